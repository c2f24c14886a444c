package ptrace

import (
	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Hold is Seize for a thread that the calling OS thread traces already (see Watch): it is told to stop, unless it is in
// a stop. The state becomes Seized, Stopped or Gone. A thread that was born with CLONE_UNTRACED is attached to first.
func (t *Tracer) Hold(th *Thread) {
	*th = Thread{TID: th.TID}
	code, status, e := t.wait(th.TID)
	switch {
	case e != 0:
		// Not ours; see below.
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

// LetRun ends what Hold began: the threads that stopped for it go on. One that stopped for another reason, because a
// signal came or it was about to exit, stays so for its Watch to see; and one that had not stopped in time will
// show that to the Watch.
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
