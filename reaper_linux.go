package minidump

import (
	"sync/atomic"
	"time"

	"minidump/ptrace"
)

// reapAfter is when a stop has taken so long that it may be hanging on an execve of the target (see ptrace.Reap).
const reapAfter = 500 * time.Millisecond

// reaper frees a stop that hangs on an execve of the target. It runs on another OS thread than the tracing one, by a timer.
//
// To set a timer makes the Go runtime wake a thread that looks for work, which on a machine of few processors takes one
// from the target. So the timer is set with the Writer, not in a stop, and one that is set already is left alone.
type reaper struct {
	pid   int
	since atomic.Int64 // when the stop that is under way began, by ptrace.Monotonic; 0: there is none
	armed atomic.Bool
	// The methods Reset and Stop of a time.Timer. A field of that type would link what prints a time.Time (100 KB)
	// into each program that dumps, since the linker keeps all methods of whatever an interface may lead to.
	reset   func(time.Duration) bool
	disable func() bool
}

func (r *reaper) start(pid int) {
	r.pid = pid
	r.armed.Store(true)
	t := time.AfterFunc(reapAfter, r.reap)
	r.reset, r.disable = t.Reset, t.Stop
}

func (r *reaper) stopBegins() {
	r.since.Store(ptrace.Monotonic())
	r.arm(reapAfter)
}

func (r *reaper) stopDone() { r.since.Store(0) }

func (r *reaper) arm(after time.Duration) {
	if !r.armed.Swap(true) {
		r.reset(after)
	}
}

func (r *reaper) reap() {
	r.armed.Store(false) // before the look: a stop that begins now either sets the timer or is seen
	since := r.since.Load()
	if since == 0 {
		return
	}
	// A younger stop only happens to be under way.
	rest := reapAfter - time.Duration(ptrace.Monotonic()-since)
	if rest <= 0 {
		ptrace.Reap(r.pid)
		rest = reapAfter
	}
	r.arm(rest)
}

func (r *reaper) stop() {
	r.since.Store(0)
	if r.disable != nil {
		r.disable()
	}
}
