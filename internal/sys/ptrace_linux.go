package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wait4 reports and consumes a state change of the child or tracee tid. status receives the wait status. It is for kernels
// before 4.7, whose waitid does not support __WALL. Options must include WNOHANG. The result is 0 if there is nothing to report.
func Wait4(tid int, status *int32, options int) (int, Errno) {
	r, e := Raw(unix.SYS_WAIT4, uintptr(tid), uintptr(unsafe.Pointer(status)), uintptr(options), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// PtraceSeize is PTRACE_SEIZE through the blocking gate: the kernel blocks in it while the target executes a program.
func PtraceSeize(tid int) Errno {
	_, e := blocking(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, 0, 0, 0)
	return e
}

// Ptrace makes the raw ptrace system call (which for PEEK requests stores the word at data).
//
//go:uintptrescapes
func Ptrace(request, tid int, addr, data uintptr) Errno {
	_, e := raw(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return e
}

// Waitid waits for a state change of the child or tracee tid (P_PID) and stores the kernel's siginfo_t (128 bytes)
// in info. Options with WNOHANG never block; others go through the blocking gate.
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
