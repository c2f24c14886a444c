package sys

import (
	"encoding/binary"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errno is a Linux error number; 0 is success.
type Errno = syscall.Errno

// Gate performs one system call and returns the kernel's result and error number.
type Gate func(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1 uintptr, errno Errno)

// The raw gate does not notify the Go scheduler. The blocking gate does, and is for calls that can block for long.
var (
	raw      Gate = rawSyscall
	blocking Gate = blockingSyscall
)

func rawSyscall(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	r, _, e := syscall.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
	return r, e
}

func blockingSyscall(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	r, _, e := syscall.Syscall6(nr, a1, a2, a3, a4, a5, a6)
	return r, e
}

// Install replaces the gates (nil leaves one unchanged) and returns a function that restores the previous
// ones. It must not be called while system calls of this package are in progress on other threads.
func Install(newRaw, newBlocking Gate) (restore func()) {
	r, b := raw, blocking
	if newRaw != nil {
		raw = newRaw
	}
	if newBlocking != nil {
		blocking = newBlocking
	}
	return func() { raw, blocking = r, b }
}

// EnterFork makes every call of this package go through the raw gate. A forked child, which has no Go scheduler, must call it first.
func EnterFork() { blocking = raw }

// Raw performs a system call through the raw gate.
//
//go:uintptrescapes
func Raw(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	return raw(nr, a1, a2, a3, a4, a5, a6)
}

// Blocking performs a system call that may block for long.
//
//go:uintptrescapes
func Blocking(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	return blocking(nr, a1, a2, a3, a4, a5, a6)
}

// AT_FDCWD is unix.AT_FDCWD as an int, for the dirfd arguments below.
const AT_FDCWD = unix.AT_FDCWD

// A conversion from unsafe.Pointer must be in the call itself: only then does the compiler see that the pointer escapes.

// Open opens path (NUL-terminated) relative to dirfd, with O_CLOEXEC added.
func Open(dirfd int, path string, flags int) (fd int, errno Errno) {
	for {
		r, e := Raw(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.StringData(path))), uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return int(r), e
	}
}

// OpenBytes is Open for a path in a byte buffer, which must include the terminating NUL.
func OpenBytes(dirfd int, path []byte, flags int) (fd int, errno Errno) {
	return Open(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), flags)
}

// Close closes fd.
func Close(fd int) Errno {
	_, e := Raw(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
	return e
}

// Read reads once into p and repeats the call after EINTR.
func Read(fd int, p []byte) (int, Errno) {
	for {
		r, e := Raw(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// ReadLong is Read through the blocking gate, for a file that may take the kernel milliseconds to generate.
func ReadLong(fd int, p []byte) (int, Errno) {
	for {
		r, e := Blocking(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// Write writes once from p through the blocking gate and repeats the call after EINTR.
func Write(fd int, p []byte) (int, Errno) {
	for {
		r, e := Blocking(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// Getdents64 reads directory entries (struct linux_dirent64) into p; 0 means the end.
func Getdents64(fd int, p []byte) (int, Errno) {
	r, e := Raw(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Readlink reads the target of the link path (NUL-terminated) below dirfd into p.
func Readlink(dirfd int, path string, p []byte) (int, Errno) {
	r, e := Raw(unix.SYS_READLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.StringData(path))), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// ReadlinkBytes is Readlink for a path in a byte buffer, which must include the terminating NUL.
func ReadlinkBytes(dirfd int, path []byte, p []byte) (int, Errno) {
	return Readlink(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), p)
}

// Statx fills st for path (NUL-terminated; "\x00" with AT_EMPTY_PATH for dirfd itself).
func Statx(dirfd int, path string, flags int, mask uint32, st *unix.Statx_t) Errno {
	_, e := Raw(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.StringData(path))), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// StatxBytes is Statx for a path in a byte buffer, which must include the terminating NUL.
func StatxBytes(dirfd int, path []byte, flags int, mask uint32, st *unix.Statx_t) Errno {
	return Statx(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), flags, mask, st)
}

// Ioctl performs an ioctl whose argument is a pointer.
func Ioctl(fd int, req uintptr, arg unsafe.Pointer) Errno {
	_, e := Raw(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg), 0, 0, 0)
	return e
}

// IoctlResult is Ioctl for a request whose result is a number.
func IoctlResult(fd int, req uintptr, arg unsafe.Pointer) (int, Errno) {
	r, e := Raw(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// MemfdCreate creates a file in memory. name is NUL-terminated.
func MemfdCreate(name string, flags uintptr) (fd int, errno Errno) {
	r, e := Raw(unix.SYS_MEMFD_CREATE, uintptr(unsafe.Pointer(unsafe.StringData(name))), flags, 0, 0, 0, 0)
	return int(r), e
}

// ProcessVMReadv copies from the remote ranges of process pid to the local ones. It returns the number of bytes copied:
// fewer than requested if a remote page could not be read, at the granularity described in process_vm_readv(2).
func ProcessVMReadv(pid int, local, remote []unix.RemoteIovec) (int, Errno) {
	return count(Raw(unix.SYS_PROCESS_VM_READV, uintptr(pid),
		uintptr(unsafe.Pointer(unsafe.SliceData(local))), uintptr(len(local)),
		uintptr(unsafe.Pointer(unsafe.SliceData(remote))), uintptr(len(remote)), 0))
}

// ProcessVMReadvSlow is ProcessVMReadv through the blocking gate, for memory that may take long to arrive.
func ProcessVMReadvSlow(pid int, local, remote []unix.RemoteIovec) (int, Errno) {
	return count(Blocking(unix.SYS_PROCESS_VM_READV, uintptr(pid),
		uintptr(unsafe.Pointer(unsafe.SliceData(local))), uintptr(len(local)),
		uintptr(unsafe.Pointer(unsafe.SliceData(remote))), uintptr(len(remote)), 0))
}

// Pread reads at a file offset and repeats the call after EINTR.
func Pread(fd int, p []byte, off int64) (int, Errno) {
	a4, a5, a6 := fileOffset(off)
	for {
		n, e := count(Raw(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), a4, a5, a6))
		if e != unix.EINTR {
			return n, e
		}
	}
}

// PreadSlow is Pread through the blocking gate, for memory that may take long to arrive.
func PreadSlow(fd int, p []byte, off int64) (int, Errno) {
	a4, a5, a6 := fileOffset(off)
	for {
		n, e := count(Blocking(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), a4, a5, a6))
		if e != unix.EINTR {
			return n, e
		}
	}
}

// count converts a result that is a number of bytes.
func count(r uintptr, e Errno) (int, Errno) {
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Mprotect changes the protection of the pages at addr.
func Mprotect(addr unsafe.Pointer, size uintptr, prot int) Errno {
	_, e := Raw(unix.SYS_MPROTECT, uintptr(addr), size, uintptr(prot), 0, 0, 0)
	return e
}

// Rewind sets the position of fd to its start, so that a directory can be listed again.
func Rewind(fd int) Errno {
	_, e := Raw(unix.SYS_LSEEK, uintptr(fd), 0, unix.SEEK_SET, 0, 0, 0)
	return e
}

// Openat2 opens path (NUL-terminated bytes) relative to dirfd as specified by how (Linux 5.6), and repeats the call
// after EINTR. Unlike Open it adds no flag. After ForbidOpenat2 it returns ENOSYS.
func Openat2(dirfd int, path []byte, how *unix.OpenHow) (fd int, errno Errno) {
	if noOpenat2.Load() {
		return -1, unix.ENOSYS
	}
	for {
		r, e := Raw(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
			uintptr(unsafe.Pointer(how)), unix.SizeofOpenHow, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return int(r), e
	}
}

var noOpenat2 atomic.Bool

// ForbidOpenat2 makes Openat2 act like an old kernel's, or undoes that. Android's seccomp filter for applications kills
// the process on an unknown system call instead of refusing it, and the filters of most versions lack openat2.
func ForbidOpenat2(forbid bool) { noOpenat2.Store(forbid) }

// NativeOrder is the byte order of this program, and therefore of what the kernel returns about a live
// process. Unlike binary.NativeEndian it can be compared with binary.LittleEndian and binary.BigEndian.
var NativeOrder binary.ByteOrder = binary.LittleEndian

func init() {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		NativeOrder = binary.BigEndian
	}
}
