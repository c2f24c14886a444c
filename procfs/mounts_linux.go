package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Device is the number of a device, as in a line of maps.
type Device struct{ Major, Minor uint32 }

// ReadMounts reads the mountinfo file of the process into buf, followed by the reader's own if that is in another mount
// namespace, which has the layers of a container. It contacts no file server. more reports that buf was too small: missing
// devices are BackingUnknown. An error after some text was read is not reported.
func (d *Dir) ReadMounts(buf []byte) (n int, more bool, errno sys.Errno) {
	n, more, errno = d.ReadFile("mountinfo\x00", buf)
	if more || errno == 0 && d.sameMountNamespace() {
		return n, more, errno
	}
	if errno != 0 {
		n = 0
	}
	k, more, ownErrno := ReadPath("/proc/self/mountinfo\x00", buf[n:])
	if n > 0 || ownErrno == 0 {
		errno = 0
	}
	return n + k, more, errno
}

// MountWatch reports whether the list that ReadMounts returned is still valid. That takes less time than to read the list again.
// It keeps a file open that refers to the mounts of the reader: one that refers to the mounts of another process would keep them
// mounted after that process has ended. A zero MountWatch is not open. It must be in heap memory.
type MountWatch struct {
	fd   int
	open bool
	poll unix.PollFd
}

// Open starts to watch, unless that was done before. Call it before ReadMounts. If it fails, Holds returns false.
func (w *MountWatch) Open() sys.Errno {
	if w.open {
		return 0
	}
	fd, errno := sys.Open(sys.AT_FDCWD, "/proc/self/mountinfo\x00", unix.O_RDONLY)
	w.fd, w.open = fd, errno == 0
	return errno
}

// Holds reports whether the process in d has the mounts of the reader, and these have not changed since the last call that
// returned false, or else since Open. It returns false if it can't tell.
//
// A poll of the file returns POLLERR and POLLPRI once after a change, and never POLLOUT (mounts_poll in the kernel's
// fs/proc_namespace.c). POLLOUT means that this kernel does not watch.
func (w *MountWatch) Holds(d *Dir) bool {
	if !w.open {
		return false
	}
	w.poll = unix.PollFd{Fd: int32(w.fd), Events: unix.POLLPRI | unix.POLLIN | unix.POLLOUT}
	return sys.PollNow(&w.poll) && w.poll.Revents == unix.POLLIN && d.sameMountNamespace()
}

// Close closes the file. Closing again does nothing.
func (w *MountWatch) Close() {
	if w.open {
		sys.Close(w.fd)
	}
	w.open = false
}

// MemoryDevices fills out with the devices of memory that is mapped from no file of a mounted file system: memfd_create, shared
// anonymous memory and System V segments, each also in huge pages. These devices are in no mountinfo, and their data is in memory
// or swap: BackingLocal. st must be in heap memory. MemoryDevices makes a few system calls, and creates and drops one empty file
// for each size of huge pages that the kernel supports.
func MemoryDevices(out []Device, st *unix.Statx_t) (n int, errno sys.Errno) {
	for i := -1; i < len(hugePageShifts) && n < len(out); i++ {
		flags := uintptr(unix.MFD_CLOEXEC)
		if i >= 0 {
			flags |= unix.MFD_HUGETLB | uintptr(hugePageShifts[i])<<mfdHugeShift
		}
		fd, e := sys.MemfdCreate("minidump\x00", flags)
		if e != 0 {
			if i < 0 {
				return 0, e // a kernel before 3.17, or a filter
			}
			continue // no such size
		}
		e = sys.Statx(fd, "\x00", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, st)
		sys.Close(fd)
		if e != 0 {
			return n, e
		}
		out[n] = Device{st.Dev_major, st.Dev_minor}
		n++
	}
	return n, 0
}

// mfdHugeShift is MFD_HUGE_SHIFT (HUGETLB_FLAG_ENCODE_SHIFT in asm-generic/hugetlb_encode.h).
const mfdHugeShift = 26

// hugePageShifts are the sizes of huge pages that memfd_create accepts (MFD_HUGE_* in linux/memfd.h), as logarithms to base 2.
var hugePageShifts = [...]uint8{14, 16, 19, 20, 21, 23, 24, 25, 28, 29, 30, 31, 34}
