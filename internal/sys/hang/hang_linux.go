// Package hang makes a system call of package sys hang, for tests: like a read of a file whose server does not answer, or a
// read of memory whose userfaultfd nobody serves.
//
//	h := hang.New(10 * time.Second)
//	defer sys.Install(h.Gates(func(nr, a1, a2, a3, a4, a5, a6 uintptr) bool { return nr == unix.SYS_PREAD64 }))()
//	go dump()
//	h.Await(time.Second) // the call hangs now
//	...                  // what must continue nevertheless
//	h.Release()          // the call is made
//
// A test that installs its own gate calls Block in it.
package hang

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Hang makes one system call hang until Release. It must be created by New.
type Hang struct {
	word    uint32 // 0 until Release: a futex
	state   uint32 // see below: a futex
	limit   time.Duration
	timeout unix.Timespec // of the thread that hangs
}

// Values of Hang.state.
const (
	waiting  = iota // no call has been made
	hanging         // it hangs
	released        // it continued after Release
	expired         // it continued because the limit was reached
)

// New returns a Hang that ends by itself after limit, so that a test whose subject waits for the call fails instead of hanging too.
func New(limit time.Duration) *Hang { return &Hang{limit: limit} }

// Gates returns gates for sys.Install, raw and blocking. The first call for which match returns true hangs, and is made
// afterwards; all others are made at once. match runs where the call is made: it must not use package sys.
//
// A call through the raw gate hangs as a real one does: the Go scheduler does not know of it, so it keeps a processor of the
// runtime, and a garbage collection waits for it. The test needs GOMAXPROCS of 2 or more, and runtime/debug.SetGCPercent(-1)
// if the subject must continue meanwhile.
func (h *Hang) Gates(match func(nr, a1, a2, a3, a4, a5, a6 uintptr) bool) (raw, blocking sys.Gate) {
	gate := func(kernel sys.Gate) sys.Gate {
		return func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
			if atomic.LoadUint32(&h.state) == waiting && match(nr, a1, a2, a3, a4, a5, a6) {
				h.Block(kernel)
			}
			return kernel(nr, a1, a2, a3, a4, a5, a6)
		}
	}
	return gate(Raw), gate(Blocking)
}

// Raw is the raw gate of package sys.
func Raw(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	r, _, e := syscall.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
	return r, e
}

// Blocking is the blocking gate of package sys.
func Blocking(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	r, _, e := syscall.Syscall6(nr, a1, a2, a3, a4, a5, a6)
	return r, e
}

// Block hangs in a system call through kernel until Release, if no call hangs or has hung in h yet. Signals do not end the hang.
func (h *Hang) Block(kernel sys.Gate) {
	if !atomic.CompareAndSwapUint32(&h.state, waiting, hanging) {
		return
	}
	futex(kernel, &h.state, futexWake, 1<<30, nil)
	end, until := uint32(released), time.Now().Add(h.limit)
	for atomic.LoadUint32(&h.word) == 0 {
		rest := time.Until(until)
		if rest <= 0 {
			end = expired
			break
		}
		h.timeout = unix.NsecToTimespec(int64(rest))
		futex(kernel, &h.word, futexWait, 0, &h.timeout)
	}
	atomic.StoreUint32(&h.state, end)
	futex(kernel, &h.state, futexWake, 1<<30, nil)
}

// Operations of futex(2), private to the process (include/uapi/linux/futex.h).
const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

func futex(kernel sys.Gate, word *uint32, operation, value uintptr, timeout *unix.Timespec) {
	kernel(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), operation, value, uintptr(unsafe.Pointer(timeout)), 0, 0)
}

// Release lets the call continue; a call that has not been made yet will not hang.
func (h *Hang) Release() {
	atomic.StoreUint32(&h.word, 1)
	if !atomic.CompareAndSwapUint32(&h.state, waiting, released) {
		futex(Raw, &h.word, futexWake, 1<<30, nil)
	}
}

// Await waits until the call hangs, for at most timeout, and reports whether it does (or did).
func (h *Hang) Await(timeout time.Duration) bool {
	return h.await(timeout, func(state uint32) bool { return state != waiting })
}

// AwaitEnd waits until the call has continued, for at most timeout. It reports whether the call continued because of
// Release: false means the limit of New, or the timeout.
func (h *Hang) AwaitEnd(timeout time.Duration) bool {
	return h.await(timeout, func(state uint32) bool { return state > hanging }) && atomic.LoadUint32(&h.state) == released
}

// Hangs reports whether the call hangs now.
func (h *Hang) Hangs() bool { return atomic.LoadUint32(&h.state) == hanging }

func (h *Hang) await(timeout time.Duration, reached func(state uint32) bool) bool {
	rest := new(unix.Timespec)
	for until := time.Now().Add(timeout); ; {
		state := atomic.LoadUint32(&h.state)
		left := time.Until(until)
		if reached(state) || left <= 0 {
			return reached(state)
		}
		*rest = unix.NsecToTimespec(int64(left))
		futex(Blocking, &h.state, futexWait, uintptr(state), rest)
	}
}
