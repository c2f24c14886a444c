package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OnOwnThread runs f on a new goroutine, with nothing else on its OS thread. That ends with f, unless f returns true: then it
// is left to other goroutines.
//
// The runtime looks for the name of a goroutine's first function, and walks the stack of the one that first locks a
// thread, in tables of 64 KB and more. Those of this package lie among the runtime's own, which are in memory already.
func OnOwnThread(f func() (leave bool)) {
	go func() {
		runtime.LockOSThread()
		if f() {
			runtime.UnlockOSThread()
		}
	}()
}

// Operations of futex(2), private to the process (include/uapi/linux/futex.h).
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// FutexWait blocks while *word is value, for as long as timeout at most, and may return early; ETIMEDOUT is the one
// error that means something. A nil timeout is none. Neither may be on a goroutine stack.
func FutexWait(word *uint32, value uint32, timeout *unix.Timespec) Errno {
	_, e := Blocking(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate, uintptr(value),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	return e
}

// FutexWake wakes one waiter on word.
func FutexWake(word *uint32) {
	Raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1, 0, 0, 0)
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

// Yield lets another runnable thread use this CPU.
func Yield() { Raw(unix.SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0) }

// Tgkill sends sig to one thread.
func Tgkill(pid, tid int, sig int) Errno {
	_, e := Raw(unix.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig), 0, 0, 0)
	return e
}
