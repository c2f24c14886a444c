package minidump

import (
	"sync/atomic"
	"time"

	"minidump/ptrace"
)

// reapAfter is when a stop has taken so long that it may be hanging on an execve of the target (see ptrace.Reap). A stop
// that is under way when the clock comes to it may be younger.
const reapAfter = 500 * time.Millisecond

// reaper frees a stop that hangs on an execve of the target. It runs on another OS thread than the tracing one, by a timer.
//
// To set a timer makes the Go runtime wake a thread that looks for work, which on a machine of few processors takes one
// from the target. So the timer is set with the Writer, not in a stop, and one that is set already is left alone.
type reaper struct {
	pid      int
	stopping atomic.Bool
	armed    atomic.Bool
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
	r.stopping.Store(true)
	r.arm()
}

func (r *reaper) stopDone() { r.stopping.Store(false) }

func (r *reaper) arm() {
	if !r.armed.Swap(true) {
		r.reset(reapAfter)
	}
}

func (r *reaper) reap() {
	r.armed.Store(false) // before the look: a stop that begins now either sets the timer or is seen
	if r.stopping.Load() {
		ptrace.Reap(r.pid)
		r.arm()
	}
}

func (r *reaper) stop() {
	r.stopping.Store(false)
	if r.disable != nil {
		r.disable()
	}
}
