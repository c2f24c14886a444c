//go:build linux

package linux

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// A tracingThread makes the ptrace requests of all dumps of one process.
//
// ptrace accepts requests from only one OS thread, and a thread of the process that could not be stopped in time stays
// traced by that OS thread until the thread stops or the OS thread ends. So a goroutine, locked to its own OS thread,
// performs the steps from NewWriter to Close. The caller and the goroutine take turns through a futex, not a channel:
// a channel makes the runtime allocate when a goroutine waits, and needs its scheduler. Alternatively the caller's OS
// thread already traces the process, and performs the steps itself.
type tracingThread struct {
	work    tracingWork
	caller  bool   // the steps are performed by the caller of do
	running bool   // there is a goroutine
	tid     int    // its OS thread
	started uint32 // it runs on an OS thread that it can keep
	turn    uint32
	step    stepKind
	wait    unix.Timespec
}

// tracingWork is the work of a tracingThread.
type tracingWork interface {
	// perform performs a step, on the tracing thread.
	perform(step stepKind)
	// overdue is called repeatedly, on the thread that waits for a step, when the step takes long.
	overdue()
	// patience returns how long the tracing thread may wait for the next step; nil: without limit.
	patience() *unix.Timespec
	// expire is called on the tracing thread when that time has passed.
	expire()
	// read does what the tracing thread requested by readApart, on the thread that waits for a step.
	read()
}

type stepKind uint8

const (
	stepCapture stepKind = iota
	stepRelease
	stepReap
	stepEnd // the goroutine ends
)

// The values of tracingThread.turn.
const (
	turnNone = iota
	turnTracer
	turnCaller
	turnReader // the caller's, to read memory during a step
)

// start starts the goroutine, on an OS thread other than the program's first, which the Go runtime parks instead of ending it.
//
// start waits in a system call, which keeps its own OS thread occupied. Waiting on a channel would release that thread,
// most often to the tracing goroutine.
func (t *tracingThread) start() {
	t.turn, t.started = turnNone, 0
	t.running = true
	sys.OnOwnThread(t.run)
	t.await(turnCaller, nil)
}

// run performs the steps until stepEnd. Then the OS thread ends, and the kernel detaches it from whatever it still traces.
func (t *tracingThread) run() (leave bool) {
	if t.tid = sys.Gettid(); t.tid == sys.Getpid() {
		// The first thread would be parked. While this goroutine occupies it, the next goroutine runs on another one.
		sys.OnOwnThread(t.run)
		for atomic.LoadUint32(&t.started) == 0 {
			sys.FutexWait(&t.started, 0, nil)
		}
		return true
	}
	atomic.StoreUint32(&t.started, 1)
	sys.FutexWake(&t.started)
	t.pass(turnCaller)
	for {
		for t.await(turnTracer, t.work.patience()) == unix.ETIMEDOUT {
			t.work.expire()
		}
		step := t.step
		if step != stepEnd {
			t.work.perform(step)
		}
		t.pass(turnCaller)
		if step == stepEnd {
			return false
		}
	}
}

// do hands over one step and returns when it is done.
func (t *tracingThread) do(step stepKind) {
	if t.caller {
		t.work.perform(step)
		return
	}
	t.step = step
	t.pass(turnTracer)
	t.wait = unix.NsecToTimespec(int64(overdueAfter))
	for {
		turn, errno := t.awaitEither(turnCaller, turnReader, &t.wait)
		switch {
		case errno == unix.ETIMEDOUT:
			t.work.overdue()
		case turn == turnCaller:
			return
		default:
			t.work.read()
			if atomic.CompareAndSwapUint32(&t.turn, turnReader, turnTracer) { // otherwise the request was given up
				sys.FutexWake(&t.turn)
			}
		}
	}
}

// readApart makes the thread that waits for the step call work.read, and reports whether read returned in time. If it did
// not, the step continues, and the waiting thread sees its end when read returns.
func (t *tracingThread) readApart(timeout *unix.Timespec) bool {
	t.pass(turnReader)
	return t.await(turnTracer, timeout) != unix.ETIMEDOUT || !atomic.CompareAndSwapUint32(&t.turn, turnReader, turnNone)
}

// end ends the goroutine, if there is one.
func (t *tracingThread) end() {
	if t.running {
		t.do(stepEnd)
		t.running = false
	}
}

// await blocks until turn is who's, or returns ETIMEDOUT after timeout. nil means no limit.
func (t *tracingThread) await(who uint32, timeout *unix.Timespec) sys.Errno {
	_, errno := t.awaitEither(who, who, timeout)
	return errno
}

// awaitEither is await for one of two turns. It returns which one it is.
func (t *tracingThread) awaitEither(a, b uint32, timeout *unix.Timespec) (uint32, sys.Errno) {
	for {
		now := atomic.LoadUint32(&t.turn)
		if now == a || now == b {
			return now, 0
		}
		if sys.FutexWait(&t.turn, now, timeout) == unix.ETIMEDOUT {
			return turnNone, unix.ETIMEDOUT
		}
	}
}

func (t *tracingThread) pass(who uint32) {
	atomic.StoreUint32(&t.turn, who)
	sys.FutexWake(&t.turn)
}
