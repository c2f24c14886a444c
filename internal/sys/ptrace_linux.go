package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wait4 reports and consumes a change of the child or tracee tid. status receives the wait status. It serves kernels
// before 4.7, whose waitid knows no __WALL. Options must hold WNOHANG. The result is 0 when there is nothing to report.
func Wait4(tid int, status *int32, options int) (int, Errno) {
	r, e := Raw(unix.SYS_WAIT4, uintptr(tid), uintptr(unsafe.Pointer(status)), uintptr(options), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Nanosleep sleeps for the relative time ts, or less when a signal arrives. Short sleeps (some ten microseconds) may
// stay on the raw gate; longer ones tell the Go scheduler.
func Nanosleep(ts *unix.Timespec, long bool) Errno {
	f := raw
	if long {
		f = blocking
	}
	return nanosleep(f, uintptr(unsafe.Pointer(ts)))
}

//go:uintptrescapes
func nanosleep(f Gate, ts uintptr) Errno {
	_, e := f(unix.SYS_NANOSLEEP, ts, 0, 0, 0, 0, 0)
	return e
}

// Getpid returns the id of the calling process, asked of the kernel each time: it differs in a forked child.
func Getpid() int {
	r, _ := Raw(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0)
	return int(r)
}

// Gettid returns the id of the calling thread.
func Gettid() int {
	r, _ := Raw(unix.SYS_GETTID, 0, 0, 0, 0, 0, 0)
	return int(r)
}

// PtraceSeize is PTRACE_SEIZE through the blocking gate: the kernel waits in it while the target executes a program.
func PtraceSeize(tid int) Errno {
	_, e := blocking(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, 0, 0, 0)
	return e
}
