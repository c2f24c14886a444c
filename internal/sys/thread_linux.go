package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OnOwnThread runs f on a new goroutine, with nothing else on its OS thread. The OS thread ends with f, unless f returns
// true: then other goroutines may use it.
//
// The runtime looks up the name of a goroutine's first function, and unwinds the stack of the goroutine that first locks a thread,
// in tables of 64 KB and more. The tables for functions of this package are next to the runtime's own, which are already in memory.
func OnOwnThread(f func() (leave bool)) {
	go func() {
		growStack()
		runtime.LockOSThread()
		if f() {
			runtime.UnlockOSThread()
		}
	}()
}

// growStack makes the stack of the calling goroutine 32 KB large, which is enough for a dump. If the stack grew during a dump,
// the runtime would read its tables for each function on the stack, and nothing else needs most of these tables in memory. A
// stack of 32 KB is allocated alone, and only the pages in use are touched. Smaller stacks are allocated in groups, and the
// runtime writes to each stack of a group. Implemented in stack_linux.s.
func growStack()

// Operations of futex(2), private to the process (include/uapi/linux/futex.h).
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// FutexWait blocks while *word is value, for at most timeout, and may return early; only the error ETIMEDOUT has a
// meaning. A nil timeout means no limit. Neither word nor timeout may be on a goroutine stack.
func FutexWait(word *uint32, value uint32, timeout *unix.Timespec) Errno {
	_, e := Blocking(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate, uintptr(value),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	return e
}

// FutexWake wakes one waiter on word.
func FutexWake(word *uint32) {
	Raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1, 0, 0, 0)
}

// Nanosleep sleeps for the relative time ts, or less if a signal arrives. Short sleeps (about ten microseconds) may
// stay on the raw gate; longer ones notify the Go scheduler.
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

// noTime is a timeout of zero. ppoll writes the time that is left into it, which is zero too.
var noTime unix.Timespec

// PollNow reports whether p has one of its events, or POLLERR, POLLHUP or POLLNVAL, now. p must be in heap memory.
func PollNow(p *unix.PollFd) bool {
	r, e := Raw(unix.SYS_PPOLL, uintptr(unsafe.Pointer(p)), 1, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0)
	return r == 1 && e == 0
}

// Getpid returns the id of the calling process. It calls the kernel each time, because the id differs in a forked child.
func Getpid() int {
	r, _ := Raw(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0)
	return int(r)
}

// Gettid returns the id of the calling thread.
func Gettid() int {
	r, _ := Raw(unix.SYS_GETTID, 0, 0, 0, 0, 0, 0)
	return int(r)
}

// Yield lets another runnable thread use this CPU.
func Yield() { Raw(unix.SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0) }

// Tgkill sends sig to one thread.
func Tgkill(pid, tid int, sig int) Errno {
	_, e := Raw(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig), 0, 0, 0)
	return e
}
