package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), private to the process (include/uapi/linux/futex.h).
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// FutexWait blocks while *word is value, for as long as timeout at most, and may return early; ETIMEDOUT is the one
// error that tells something. A nil timeout is none. Neither may be on a goroutine stack.
func FutexWait(word *uint32, value uint32, timeout *unix.Timespec) Errno {
	_, e := Blocking(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitPrivate, uintptr(value),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	return e
}

// FutexWake wakes one waiter on word.
func FutexWake(word *uint32) {
	Raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1, 0, 0, 0)
}
