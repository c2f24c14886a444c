package minidump

import (
	"os"
	"testing"
	"time"

	"minidump/ptrace"
)

// TestReaper sees to it that only a stop which lasts is taken for one that hangs: ptrace.Reap allocates.
func TestReaper(t *testing.T) {
	for _, c := range []struct {
		name        string
		age         time.Duration // of the stop; 0: there is none
		reaps       bool
		least, most time.Duration // until the next look; 0: there is none
	}{
		{"no stop", 0, false, 0, 0},
		{"young", 100 * time.Millisecond, false, 100 * time.Millisecond, 400 * time.Millisecond},
		{"old", time.Second, true, reapAfter, reapAfter},
	} {
		var next time.Duration
		r := &reaper{pid: os.Getpid(), reset: func(d time.Duration) bool { next = d; return true }}
		r.armed.Store(true)
		if c.age != 0 {
			r.since.Store(ptrace.Monotonic() - int64(c.age))
		}
		allocs := testing.AllocsPerRun(1, r.reap)
		if reaps := allocs > 0; reaps != c.reaps {
			t.Errorf("%s: %v allocations", c.name, allocs)
		}
		if next < c.least || next > c.most || r.armed.Load() != (next != 0) {
			t.Errorf("%s: next in %v", c.name, next)
		}
	}
	var n int
	r := &reaper{reset: func(time.Duration) bool { n++; return true }}
	for range 3 {
		r.stopBegins()
		r.stopDone()
	}
	if n != 1 {
		t.Errorf("set %d times for three stops in a row", n)
	}
}
