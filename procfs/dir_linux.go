package procfs

import (
	"encoding/binary"
	"io/fs"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// ErrNoProcess is wrapped by the error of Open if there is no process or thread with that number.
var ErrNoProcess error = syscall.ESRCH

// Dir is the /proc/PID directory of one process, held open: reads through it either return data of that process or fail with
// ENOENT or ESRCH, even if the number has been reused for a new process. It is not safe for concurrent use.
type Dir struct {
	fd      int
	taskFd  int // task/, or -1
	taskErr sys.Errno

	how  unix.OpenHow   // for openat2
	stat unix.Statx_t   // for NumTasks
	path [pathSize]byte // for building relative paths
}

// pathSize is the length of the longest path that the kernel accepts (PATH_MAX, its NUL included).
const pathSize = 4096

// Open opens /proc/PID and its task directory. pid may also be the number of a thread other than the first: the kernel does not
// list such directories but opens them. Status.Tgid then differs from pid.
func Open(pid int) (*Dir, error) {
	d := new(Dir)
	if err := d.Open(pid); err != nil {
		return nil, err
	}
	return d, nil
}

// Open is the function Open for a Dir that is part of something larger. d must not be open.
func (d *Dir) Open(pid int) error {
	if pid <= 0 {
		return &fs.PathError{Op: "open", Path: procPath(pid), Err: ErrNoProcess}
	}
	n := copy(d.path[:], "/proc/")
	n = d.number(n, 10, uint64(pid))
	d.path[n] = 0
	fd, errno := sys.OpenBytes(sys.AT_FDCWD, d.path[:n+1], unix.O_RDONLY|unix.O_DIRECTORY)
	if errno == unix.ENOENT {
		// Without /proc, every process would seem to have ended.
		probe, probeErrno := sys.Open(sys.AT_FDCWD, "/proc/self\x00", unix.O_PATH)
		if probeErrno != 0 {
			return &fs.PathError{Op: "/proc is not mounted: open", Path: procPath(pid), Err: errno}
		}
		sys.Close(probe)
		errno = unix.ESRCH
	}
	if errno != 0 {
		return &fs.PathError{Op: "open", Path: procPath(pid), Err: errno}
	}
	d.fd = fd
	d.taskFd, d.taskErr = sys.Open(fd, "task\x00", unix.O_RDONLY|unix.O_DIRECTORY)
	if d.taskErr != 0 {
		d.taskFd = -1
	}
	return nil
}

// number appends v to the path being built, at index n, and returns the index after it.
func (d *Dir) number(n, base int, v uint64) int { return len(strconv.AppendUint(d.path[:n], v, base)) }

func procPath(pid int) string { return "/proc/" + strconv.Itoa(pid) }

// Follow makes d read files of the process as those of its thread tid from now on. A process whose first thread has ended while
// others live has no maps, mem, exe, auxv, environ, fd or map_files of its own: /proc/TID still has them. Files about a single
// thread (stat, status) are then those of tid; Tasks and TaskFile still list and find all threads. Follow returns ENOENT if tid
// is no thread of the process.
func (d *Dir) Follow(tid int32) sys.Errno {
	if d.taskFd < 0 {
		return d.taskErr
	}
	if tid <= 0 {
		return unix.EINVAL
	}
	n := copy(d.path[:], "../../")
	n = d.number(n, 10, uint64(tid))
	d.path[n] = 0
	fd, errno := sys.OpenBytes(d.taskFd, d.path[:n+1], unix.O_RDONLY|unix.O_DIRECTORY)
	if errno != 0 {
		return errno
	}
	// With fd open, check that the number is still that of a thread of this process: it may have been reused before.
	probe, errno := sys.OpenBytes(d.taskFd, d.path[len("../../"):n+1], unix.O_PATH)
	if errno != 0 {
		sys.Close(fd)
		return errno
	}
	sys.Close(probe)
	sys.Close(d.fd)
	d.fd = fd
	return 0
}

// Close closes everything that Open opened. Closing again does nothing.
func (d *Dir) Close() error {
	var errno sys.Errno
	if d.taskFd >= 0 {
		errno = sys.Close(d.taskFd)
		d.taskFd, d.taskErr = -1, unix.EBADF
	}
	if d.fd >= 0 {
		if e := sys.Close(d.fd); e != 0 {
			errno = e
		}
		d.fd = -1
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// Fd returns the descriptor of the directory itself; -1 after Close.
func (d *Dir) Fd() int { return d.fd }

// OpenFile opens the file name (NUL-terminated, such as "maps\x00") of the process, with O_CLOEXEC added to flags. The caller
// must close fd with sys.Close.
func (d *Dir) OpenFile(name string, flags int) (fd int, errno sys.Errno) {
	return sys.Open(d.fd, name, flags)
}

// ReadFile reads the file name (NUL-terminated) until its end or until buf is full. more reports that the end was not reached:
// buf may be too small, and the data may end inside a line.
func (d *Dir) ReadFile(name string, buf []byte) (n int, more bool, errno sys.Errno) {
	fd, errno := d.OpenFile(name, unix.O_RDONLY)
	if errno != 0 {
		return 0, false, errno
	}
	n, more, errno = ReadFd(fd, buf)
	sys.Close(fd)
	return n, more, errno
}

// ReadPath is ReadFile for a file that belongs to no process, by its path (NUL-terminated, such as "/proc/cpuinfo\x00").
func ReadPath(path string, buf []byte) (n int, more bool, errno sys.Errno) {
	fd, errno := sys.Open(sys.AT_FDCWD, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errno != 0 {
		return 0, false, errno
	}
	n, more, errno = ReadFd(fd, buf)
	sys.Close(fd)
	return n, more, errno
}

// ReadFd reads from the file offset of fd until the end of the file or until buf is full. In the latter case more is true, and
// another ReadFd continues into another buffer. A read of a file in /proc returns at most about a page. n includes the bytes read
// before an error.
func ReadFd(fd int, buf []byte) (n int, more bool, errno sys.Errno) {
	for n < len(buf) {
		k, errno := sys.Read(fd, buf[n:])
		if errno != 0 {
			return n, false, errno
		}
		if k <= 0 {
			return n, false, 0
		}
		n += min(k, len(buf)-n)
	}
	return n, true, 0
}

// Tasks lists the threads of the process (the numeric entries of task/) in out, in the kernel's order, which is that of creation.
// scratch receives the kernel's records: 24 bytes a thread, and at least 512 in all. If out is full, more is true; a new call
// starts over. A thread created or ended during the call may or may not be listed.
func (d *Dir) Tasks(scratch []byte, out []int32) (n int, more bool, errno sys.Errno) {
	if d.taskFd < 0 {
		return 0, false, d.taskErr
	}
	if errno = sys.Rewind(d.taskFd); errno != 0 {
		return 0, false, errno
	}
	return listNumbers(d.taskFd, scratch, out)
}

// NumTasks returns the number of threads of the process without listing them. It is the link count of task/ minus the 2 of every
// directory (proc_task_getattr in the kernel's fs/proc/base.c).
func (d *Dir) NumTasks() (n int, errno sys.Errno) {
	if d.taskFd < 0 {
		return 0, d.taskErr
	}
	errno = sys.Statx(d.taskFd, "\x00", unix.AT_EMPTY_PATH, unix.STATX_NLINK, &d.stat)
	return int(d.stat.Nlink) - 2, errno
}

// listNumbers lists the entries of a directory whose names are numbers, from the current offset on.
func listNumbers(fd int, scratch []byte, out []int32) (n int, more bool, errno sys.Errno) {
	for {
		size, errno := sys.Getdents64(fd, scratch)
		if errno != 0 {
			return n, false, errno
		}
		if size <= 0 || size > len(scratch) {
			return n, false, 0
		}
		for b := scratch[:size]; len(b) > 0; {
			name, rest := nextDirent(b)
			if rest == nil {
				break
			}
			b = rest
			v, next := decimalAt(name, 0)
			if next == 0 || next != len(name) || v > 1<<31-1 {
				continue
			}
			if n == len(out) {
				return n, true, 0
			}
			out[n] = int32(v)
			n++
		}
	}
}

// nextDirent splits one struct linux_dirent64 (linux/dirent.h: d_ino u64, d_off s64, d_reclen u16, d_type u8, d_name) from the
// start of b. rest is nil if the record is malformed. The byte order is that of this machine, whose kernel wrote the record.
func nextDirent(b []byte) (name, rest []byte) {
	const nameAt = 19
	if len(b) < nameAt {
		return nil, nil
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size <= nameAt || size > len(b) {
		return nil, nil
	}
	name = b[nameAt:size]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return name, b[size:]
}

// OpenTaskFile opens the file name (NUL-terminated, such as "comm\x00") of the thread tid, with O_CLOEXEC added to flags.
func (d *Dir) OpenTaskFile(tid int32, name string, flags int) (fd int, errno sys.Errno) {
	if d.taskFd < 0 {
		return -1, d.taskErr
	}
	if tid <= 0 || len(name) > 64 {
		return -1, unix.EINVAL
	}
	n := d.number(0, 10, uint64(tid))
	d.path[n] = '/'
	n++
	n += copy(d.path[n:], name)
	return sys.OpenBytes(d.taskFd, d.path[:n], flags)
}

// TaskFile reads the file name (NUL-terminated, such as "stat\x00") of the thread tid with exactly three system calls: open,
// read, close. For a file that is one record (comm, stat, status, syscall, wchan, schedstat), the kernel returns all of it in one
// read if buf is large enough. For a file of many records (maps, smaps) use OpenTaskFile and ReadFd.
func (d *Dir) TaskFile(tid int32, name string, buf []byte) (n int, errno sys.Errno) {
	fd, errno := d.OpenTaskFile(tid, name, unix.O_RDONLY)
	if errno != 0 {
		return 0, errno
	}
	n, errno = sys.Read(fd, buf)
	sys.Close(fd)
	return min(n, len(buf)), errno
}

// TaskName reads the name of the thread tid without the newline that the kernel adds. The name has up to 15 bytes (64 for kernel
// threads) of any value, including newlines. It makes exactly three system calls.
func (d *Dir) TaskName(tid int32, buf []byte) (n int, errno sys.Errno) {
	n, errno = d.TaskFile(tid, "comm\x00", buf)
	if errno == 0 && n > 0 && buf[n-1] == '\n' {
		n--
	}
	return n, errno
}
