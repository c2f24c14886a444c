package ptrace

import (
	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Hold is Seize for a thread that the calling OS thread traces already (see Watch): it interrupts the thread, unless the thread
// is in a stop. The state becomes Seized, Stopped or Gone. Hold attaches to the thread first if it was created with
// CLONE_UNTRACED.
func (t *Tracer) Hold(th *Thread) {
	*th = Thread{TID: th.TID}
	code, status, e := t.wait(th.TID)
	switch {
	case e != 0:
		// Not a tracee of this OS thread: PTRACE_INTERRUPT fails, and Seize attaches to it.
	case code == cldExited || code == cldKilled || code == cldDumped:
		th.State = Gone
		return
	case code != 0:
		th.State = Stopped
		th.Signal, th.Event, th.GroupStop = stopKind(status)
		return
	}
	if e = sys.Ptrace(unix.PTRACE_INTERRUPT, int(th.TID), 0, 0); e != 0 {
		t.Seize(th)
		return
	}
	th.State = Seized
}

// LetRun undoes Hold: it resumes the threads that stopped because of it. A thread that stopped for another reason, for a signal
// or because it was about to exit, stays in that stop for its Watch. A thread that did not stop in time reports its stop to the
// Watch later.
func (t *Tracer) LetRun(ths []Thread) {
	for i := range ths {
		th := &ths[i]
		if th.State == Stopped && th.Event == PTRACE_EVENT_STOP && !th.GroupStop {
			sys.Ptrace(unix.PTRACE_CONT, int(th.TID), 0, 0)
		}
		if th.State == Stopped || th.State == Seized || th.State == TimedOut {
			th.State = Listed
		}
	}
}
