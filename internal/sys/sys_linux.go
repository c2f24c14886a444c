// Package sys holds the Linux system calls of the hot path, as thin typed wrappers over one gate.
//
// Every call goes through the gate, so that the root package can put its own assembly stub there and a test can make
// any call fail. A wrapper never allocates and returns a bare errno (0 is success): boxing it in an error is the
// caller's business, later.
//
// Pointers handed to a wrapper escape: what they point to must have been allocated by a constructor (or lie in mapped
// memory), because a goroutine stack can move while the kernel holds an address in it.
//
// Paths are NUL-terminated byte sequences: a constant such as "maps\x00", or bytes in an arena.
package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errno is a Linux error number; 0 is success.
type Errno = syscall.Errno

// Gate performs one system call and returns the kernel's result and error number.
type Gate func(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1 uintptr, errno Errno)

// The raw gate does not tell the Go scheduler; the blocking gate does, and serves calls that can wait for long.
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

// Install replaces the gates (nil leaves one as it is) and returns a function that puts the former ones back.
// It is not safe to call while system calls of this package are under way on other threads.
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

// Raw performs a system call through the raw gate.
//
//go:uintptrescapes
func Raw(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	return raw(nr, a1, a2, a3, a4, a5, a6)
}

// Blocking performs a system call that may wait for long.
//
//go:uintptrescapes
func Blocking(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, Errno) {
	return blocking(nr, a1, a2, a3, a4, a5, a6)
}

// AT_FDCWD as an int, for the dirfd arguments below.
const AT_FDCWD = unix.AT_FDCWD

// A conversion from unsafe.Pointer must stand in the call itself: that is where the compiler sees that the pointer
// escapes.

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

// OpenBytes is Open for a path in a byte buffer, which must hold the terminating NUL.
func OpenBytes(dirfd int, path []byte, flags int) (fd int, errno Errno) {
	return Open(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), flags)
}

// Close closes fd.
func Close(fd int) Errno {
	_, e := Raw(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0)
	return e
}

// Read reads once into p, again after EINTR.
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

// Write writes once from p through the blocking gate, again after EINTR.
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

// Getdents64 reads directory entries (struct linux_dirent64) into p; 0 is the end.
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

// ReadlinkBytes is Readlink for a path in a byte buffer, which must hold the terminating NUL.
func ReadlinkBytes(dirfd int, path []byte, p []byte) (int, Errno) {
	return Readlink(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), p)
}

// Statx fills st for path (NUL-terminated; "\x00" with AT_EMPTY_PATH for dirfd itself).
func Statx(dirfd int, path string, flags int, mask uint32, st *unix.Statx_t) Errno {
	_, e := Raw(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.StringData(path))), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// StatxBytes is Statx for a path in a byte buffer, which must hold the terminating NUL.
func StatxBytes(dirfd int, path []byte, flags int, mask uint32, st *unix.Statx_t) Errno {
	return Statx(dirfd, unsafe.String(unsafe.SliceData(path), len(path)), flags, mask, st)
}

// Ioctl performs an ioctl whose argument is a pointer.
func Ioctl(fd int, req uintptr, arg unsafe.Pointer) Errno {
	_, e := Raw(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg), 0, 0, 0)
	return e
}

// ProcessVMReadv copies from the remote ranges of process pid to the local ones. It returns the bytes copied: fewer
// than asked for when a remote page could not be read, at the granularity that process_vm_readv(2) describes.
func ProcessVMReadv(pid int, local, remote []unix.RemoteIovec) (int, Errno) {
	r, e := Raw(unix.SYS_PROCESS_VM_READV, uintptr(pid),
		uintptr(unsafe.Pointer(unsafe.SliceData(local))), uintptr(len(local)),
		uintptr(unsafe.Pointer(unsafe.SliceData(remote))), uintptr(len(remote)), 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Ptrace performs the raw ptrace system call (which for PEEK requests stores the word at data).
//
//go:uintptrescapes
func Ptrace(request, tid int, addr, data uintptr) Errno {
	_, e := raw(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return e
}

// Waitid waits for a change of the child or tracee tid (P_PID) and fills the kernel's siginfo_t (128 bytes) at info.
// Options with WNOHANG never block; others go through the blocking gate.
func Waitid(tid int, info *[128]byte, options int) Errno {
	f := raw
	if options&unix.WNOHANG == 0 {
		f = blocking
	}
	return waitid(f, uintptr(unix.P_PID), uintptr(tid), uintptr(unsafe.Pointer(info)), uintptr(options))
}

//go:uintptrescapes
func waitid(f Gate, idtype, id, info, options uintptr) Errno {
	_, e := f(unix.SYS_WAITID, idtype, id, info, options, 0, 0)
	return e
}

// Mprotect changes the protection of the pages at addr.
func Mprotect(addr unsafe.Pointer, size uintptr, prot int) Errno {
	_, e := Raw(unix.SYS_MPROTECT, uintptr(addr), size, uintptr(prot), 0, 0, 0)
	return e
}

// Yield lets another runnable thread use this CPU.
func Yield() { Raw(unix.SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0) }

// Tgkill sends sig to one thread.
func Tgkill(pid, tid int, sig int) Errno {
	_, e := Raw(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig), 0, 0, 0)
	return e
}
