//go:build linux

package linux

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// A tracingThread makes the ptrace requests of all dumps of one process.
//
// ptrace takes requests from one OS thread only, and a thread of the process that could not be stopped in time stays
// traced by that one until it stops or the OS thread ends. So a goroutine, locked to an OS thread of its own, does the
// steps from NewWriter to Close. The two hand over by a futex, not by a channel: a channel makes the runtime allocate
// when a goroutine waits, and needs its scheduler. Or the caller's OS thread traces the process already, and does the
// steps itself.
type tracingThread struct {
	work    tracingWork
	caller  bool   // the steps are done by whoever calls do
	running bool   // there is a goroutine
	tid     int    // its OS thread
	started uint32 // it runs on an OS thread that it can keep
	turn    uint32
	step    stepKind
	wait    unix.Timespec
}

// tracingWork is the work of a tracingThread.
type tracingWork interface {
	// perform does a step, on the tracing thread.
	perform(step stepKind)
	// overdue is called on the thread that waits for a step, when it takes long, and again and again.
	overdue()
	// patience returns how long the tracing thread may wait for the next step; nil: as long as it takes.
	patience() *unix.Timespec
	// expire is called on the tracing thread when that time has passed.
	expire()
	// read does what the tracing thread has asked for by readApart, on the thread that waits for a step.
	read()
}

type stepKind uint8

const (
	stepCapture stepKind = iota
	stepRelease
	stepReap
	stepEnd // of the goroutine
)

// The values of tracingThread.turn.
const (
	turnNone = iota
	turnTracer
	turnCaller
	turnReader // the caller's, to read something in the midst of a step
)

// start starts the goroutine, on an OS thread other than the program's first, which the Go runtime parks rather than
// ends.
//
// It waits in a system call, which keeps this OS thread from being the one. To wait by a channel would give it away, to
// the tracing goroutine more often than not.
func (t *tracingThread) start() {
	t.turn, t.started = turnNone, 0
	t.running = true
	sys.OnOwnThread(t.run)
	t.await(turnCaller, nil)
}

// run does the steps until stepEnd. With its end the OS thread ends too, and the kernel lets go of whatever it still
// traced.
func (t *tracingThread) run() (leave bool) {
	if t.tid = sys.Gettid(); t.tid == sys.Getpid() {
		// The first one would be parked. While this goroutine keeps it, the next one gets another.
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
			if atomic.CompareAndSwapUint32(&t.turn, turnReader, turnTracer) { // else it was given up
				sys.FutexWake(&t.turn)
			}
		}
	}
}

// readApart has the thread that waits for the step call work.read, and reports whether that was done in time. If it was not,
// the step goes on, and its end is seen when read returns.
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

// await blocks until turn is who's, or returns ETIMEDOUT after timeout. nil is no timeout.
func (t *tracingThread) await(who uint32, timeout *unix.Timespec) sys.Errno {
	_, errno := t.awaitEither(who, who, timeout)
	return errno
}

// awaitEither is await for one of two turns, and returns which.
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
