package ptrace

import (
	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// AttachAll attaches to the Listed threads of ths without interrupting them: they become Attached and continue to run. So a
// caller can finish everything in a session that may block before the pause begins:
//
//	t.AttachAll(threads)   // may wait for an execve of the target (see Reap), and for the Go scheduler
//	t.Pin()
//	t.Interrupt(threads)   // the pause begins
//	t.Collect(threads, deadline)
//	...                    // list again; Seize what is new
//	t.Detach(threads)
//	t.Unpin()
//
// An Attached thread that is about to receive a signal stops for its tracer. AttachAll resumes such threads if it has itself been
// delayed. The caller must call Interrupt or Detach soon.
func (t *Tracer) AttachAll(ths []Thread) {
	next := Monotonic() + heldUp
	for i := range ths {
		if ths[i].State == Listed {
			t.attach(&ths[i])
		}
		if now := Monotonic(); now > next {
			t.passSignals(ths[:i+1])
			done := Monotonic()
			next = done + max(heldUp, restFactor*(done-now))
		}
	}
}

// heldUp is the time, in nanoseconds, after which AttachAll checks the threads attached so far for stops. A check of many
// threads takes long itself, and the next one comes only after restFactor times as long: so the checks take at most a
// fifth of the time, however many threads there are.
const (
	heldUp     = 1_000_000
	restFactor = 4
)

// passSignals resumes the Attached threads that have stopped for a signal, and delivers the signal.
func (t *Tracer) passSignals(ths []Thread) {
	for i := range ths {
		th := &ths[i]
		if th.State != Attached {
			continue
		}
		code, status, e := t.wait(th.TID)
		if e != 0 || code == 0 || code == cldExited || code == cldKilled || code == cldDumped {
			continue // running or ended: Collect finds out
		}
		signal, _, groupStop := stopKind(status)
		request := unix.PTRACE_CONT
		if groupStop {
			request = unix.PTRACE_LISTEN // keeps the process stopped
		}
		sys.Ptrace(request, int(th.TID), 0, uintptr(signal))
	}
}

// Interrupt interrupts the Attached threads of ths; they become Seized. It never waits.
func (t *Tracer) Interrupt(ths []Thread) {
	for i := range ths {
		if ths[i].State == Attached {
			t.interrupt(&ths[i])
		}
	}
}

// pinnedWait is how long a pinned session waits for stops without the Go scheduler, in nanoseconds.
const pinnedWait = 5_000_000

// Pin keeps the calling goroutine on its processor until Unpin (see sys.Pin), so that a garbage collection of this program does
// not lengthen the pause of the target. The collection waits instead, so Pin is for the few milliseconds of a pause. Calls that
// may take longer release the processor while they wait: Seize, and the waits in Collect, Detach and Release for threads that
// have not stopped within 5 ms.
//
// Between Pin and Unpin the caller may use raw system calls only: no lock, channel or allocation.
func (t *Tracer) Pin() {
	if !t.pinned {
		t.pinned, t.pinUntil = true, Monotonic()+pinnedWait
		sys.Pin()
	}
}

// Pinned reports whether Pin is in effect.
func (t *Tracer) Pinned() bool { return t.pinned }

// Unpin undoes Pin. Without a Pin it does nothing.
func (t *Tracer) Unpin() {
	if t.pinned {
		t.pinned = false
		sys.Unpin()
	}
}

// seizeCall makes the only request of a session that can block, with the processor released.
func (t *Tracer) seizeCall(tid int) sys.Errno {
	if !t.pinned {
		return sys.PtraceSeize(tid)
	}
	sys.Unpin()
	e := sys.PtraceSeize(tid)
	sys.Pin()
	return e
}

// sleep sleeps for ns nanoseconds, or less if a signal arrives.
func (t *Tracer) sleep(ns int64) {
	t.ts = unix.NsecToTimespec(ns)
	long := ns > rawSleep
	release := t.pinned && Monotonic() > t.pinUntil
	if t.pinned && !release {
		long = false
	}
	if release {
		sys.Unpin()
	}
	if e := sys.Nanosleep(&t.ts, long); e != 0 && e != unix.EINTR {
		sys.Yield()
	}
	if release {
		sys.Pin()
	}
}
