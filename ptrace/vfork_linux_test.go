package ptrace

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// vforkAndWait creates a child and waits in the kernel, in state D, until the child exits, which it does when mem.Stop is set.
// The child has a copy of the memory, so it can use the stack; only mem is shared.
//
//go:nosplit
//go:norace
func vforkAndWait(mem *shared) {
	flags, stack := uintptr(unix.CLONE_VFORK|unix.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" {
		flags, stack = stack, flags
	}
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, flags, stack, 0, 0, 0, 0)
	if pid != 0 || e != 0 {
		return
	}
	for mem.Stop.Load() == 0 {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		if napTime != nil {
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(napTime)), 0, 0)
		}
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
}

// forkAndExit creates a child by fork, which exits at once with status 5.
//
//go:nosplit
//go:norace
func forkAndExit() int {
	flags, stack := uintptr(unix.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" {
		flags, stack = stack, flags
	}
	pid, _, _ := unix.RawSyscall6(unix.SYS_CLONE, flags, stack, 0, 0, 0, 0)
	if pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 5, 0, 0)
	}
	return int(pid)
}

var napTime = &unix.Timespec{Nsec: 1e6}

// stuckVictim starts a victim with a thread in state D.
func stuckVictim(t *testing.T) (v *victim, tid int32) {
	v = startVictim(t, "parent vfork")
	eventually(t, "the thread in vfork says its id", func() bool { return v.Beats[1].Load() != 0 })
	tid = int32(v.Beats[1].Load())
	eventually(t, "it is in state D", func() bool { return stateOf(v.pid, int(tid)) == 'D' })
	return v, tid
}

func TestStuckThread(t *testing.T) {
	victims.SkipEmulated(t, "it races a whole execve against a deadline")
	patience := 200 * time.Millisecond
	if rounds(60) < 60 {
		patience = 2 * time.Second
	}
	// stop stops the victim and finds the one thread that did not stop. On a busy machine others may need more time.
	stop := func(t *testing.T, tr *Tracer, v *victim, tid int32) []Thread {
		start := time.Now()
		ths := stopAll(t, tr, v.pid, patience)
		if d := time.Since(start); d > patience+5*time.Second {
			t.Errorf("the deadline of %v took %v", patience, d)
		}
		if count(ths, TimedOut) > 1 {
			tr.Detach(ths)
			ths = stopAll(t, tr, v.pid, 10*patience)
		}
		if count(ths, TimedOut) != 1 || count(ths, Stopped) != len(ths)-1 {
			t.Errorf("not one thread timed out: %+v", ths)
		}
		for i := range ths {
			if ths[i].State == TimedOut && ths[i].TID != tid {
				t.Errorf("thread %d timed out, not %d", ths[i].TID, tid)
			}
		}
		tr.Detach(ths)
		if tr.Leftover() != 1 {
			t.Errorf("%d leftovers", tr.Leftover())
		}
		return ths
	}
	notTraced := func(t *testing.T, v *victim, tid int32) {
		eventually(t, "not traced", func() bool { return status(v.pid, int(tid), "TracerPid") == "0" })
	}
	awake := func(t *testing.T, v *victim) {
		v.Stop.Store(1)
		v.runsOn(t)
	}

	t.Run("the thread ends", func(t *testing.T) {
		v, tid := stuckVictim(t)
		onThread(func() { stop(t, New(v.pid), v, tid) })
		notTraced(t, v, tid)
		if s := stateOf(v.pid, int(tid)); s != 'D' {
			t.Fatalf("state %c: the victim does not test what it should", s)
		}
		awake(t, v)
	})
	t.Run("Release", func(t *testing.T) {
		v, tid := stuckVictim(t)
		onThread(func() {
			tr := New(v.pid)
			stop(t, tr, v, tid)
			if tr.Release(0) != 1 {
				t.Error("released in state D")
			}
			v.Stop.Store(1)
			if n := tr.Release(Monotonic() + 5e9); n != 0 {
				t.Errorf("%d left", n)
			}
			awake(t, v) // the tracing thread must live until then
		})
	})
	t.Run("the next session", func(t *testing.T) {
		v, tid := stuckVictim(t)
		onThread(func() {
			tr := New(v.pid)
			stop(t, tr, v, tid)
			stop(t, tr, v, tid)
			v.Stop.Store(1)
			ths := stopAll(t, tr, v.pid, 5*time.Second)
			if count(ths, Stopped) != len(ths) {
				t.Errorf("not all stopped: %+v", ths)
			}
			tr.Detach(ths)
			if n := tr.Leftover(); n != 0 {
				t.Errorf("%d leftovers", n)
			}
			awake(t, v)
		})
	})
}
