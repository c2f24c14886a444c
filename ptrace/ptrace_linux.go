package ptrace

import (
	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// PTRACE_EVENT_STOP of linux/ptrace.h: a stop of a seized thread by PTRACE_INTERRUPT or by a group-stop.
const PTRACE_EVENT_STOP = 128

// CLD_* of asm-generic/siginfo.h: what waitid reports in si_code.
const (
	cldExited  = 1
	cldKilled  = 2
	cldDumped  = 3
	cldTrapped = 4
	cldStopped = 5
)

// State is the progress of a session with a thread.
type State uint8

const (
	Listed   State = iota // only its id is known
	Seized                // traced and interrupted
	Stopped               // stopped: its registers can be read
	Gone                  // it exited, or its id changed by execve
	TimedOut              // it had not stopped when the deadline passed
	Denied                // EPERM: no permission, or it has another tracer
	Failed                // PTRACE_SEIZE failed for another reason, see Errno
	Attached              // traced but not interrupted, see AttachAll
)

var stateNames = [...]string{"listed", "seized", "stopped", "gone", "timed out", "denied", "failed", "attached"}

// String returns a short English name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Thread is one thread of the target. A caller sets TID; the Tracer sets the rest.
type Thread struct {
	TID       int32
	Signal    int32     // the signal of a signal-delivery-stop, else 0; Detach delivers it
	Errno     sys.Errno // the last error of this thread, or 0
	State     State
	Event     uint8 // PTRACE_EVENT_STOP, or 0 in a signal-delivery-stop
	GroupStop bool  // the process is stopped by a stop signal (state T) and will stay so
}

// MaxLeftover is the largest number of threads that a Tracer keeps for Release.
const MaxLeftover = 4096

// Tracer stops and reads the threads of one process. All calls must come from the OS thread of the first Seize. It is a single
// heap object that contains everything that the kernel reads or writes.
type Tracer struct {
	info     [128]byte // struct siginfo; first, so that it is aligned
	ts       unix.Timespec
	iov      unix.Iovec
	word     uintptr
	pid      int32
	status   int32
	old      bool  // waitid does not support __WALL (before Linux 4.7)
	pinned   bool  // see Pin
	pinUntil int64 // Monotonic time after which waits release the processor
	path     [40]byte
	stat     [256]byte

	nleft int
	over  int // leftovers that did not fit
	left  [MaxLeftover]int32
}

// New returns a Tracer for the process pid (the id of its main thread). It does not affect the process.
func New(pid int) *Tracer {
	t := new(Tracer)
	t.Init(pid)
	return t
}

// Init initializes t as New does, for a Tracer that is part of something larger. It discards the list of leftover threads.
func (t *Tracer) Init(pid int) {
	t.pid, t.old, t.nleft, t.over = int32(pid), false, 0, 0
}

// Seize attaches to th and interrupts it, without waiting for the stop. The state becomes Seized, or Gone, Denied or Failed. It
// sets no ptrace option, in particular not PTRACE_O_EXITKILL. While another thread of the target is in execve, Seize waits for
// that, in rare cases forever: see Reap.
func (t *Tracer) Seize(th *Thread) {
	if t.attach(th) {
		t.interrupt(th)
	}
}

// attach attaches to th. The state becomes Attached, or Gone, Denied or Failed.
func (t *Tracer) attach(th *Thread) (ok bool) {
	*th = Thread{TID: th.TID}
	e := t.seizeCall(int(th.TID))
	switch {
	case e == 0:
	case e == unix.ESRCH:
		th.State, th.Errno = Gone, e
		return false
	case e == unix.EPERM && t.forget(th.TID):
		// Left over from an earlier session, and still traced by this OS thread.
	case e == unix.EPERM:
		th.State, th.Errno = Denied, e
		// EPERM also means a dead thread that still exists (a main thread that has called pthread_exit).
		if state, _, e := t.readStat(th.TID); state == 'Z' || state == 'X' || e == unix.ENOENT || e == unix.ESRCH {
			th.State = Gone
		}
		return false
	default:
		th.State, th.Errno = Failed, e
		return false
	}
	th.State = Attached
	return true
}

// interrupt interrupts an attached thread.
func (t *Tracer) interrupt(th *Thread) {
	th.State = Seized
	// An error here means that the thread is dying, which Collect finds out. A second try costs nothing.
	e := sys.Ptrace(unix.PTRACE_INTERRUPT, int(th.TID), 0, 0)
	if e != 0 {
		e = sys.Ptrace(unix.PTRACE_INTERRUPT, int(th.TID), 0, 0)
	}
	th.Errno = e
	if e == unix.ESRCH && th.TID != t.pid {
		// After an execve since the attach, the thread may be the main thread now, and is traced under that id.
		t.keep(t.pid)
	}
}

// Collect waits until every Seized thread of ths has stopped or is gone, or until Monotonic() has reached deadline (if that is in
// the past it checks once). It returns how many had not stopped; their state becomes TimedOut.
//
// Pass all threads of the session, also the Stopped ones: if one of them executes a program, the kernel kills the others, Stopped
// ones too, and the execve waits in state D until their tracer has reaped them.
func (t *Tracer) Collect(ths []Thread, deadline int64) (left int) {
	first := 0
	for round := 0; ; round++ {
		if round%16 == 15 {
			t.recheck(ths)
			first = 0
		}
		left = 0
		next := len(ths)
		for i := first; i < len(ths); i++ {
			// Threads stop in about the order in which they were interrupted. So while the first running one may just need
			// another moment, those after it are not checked.
			if left > 0 && round < inOrder {
				break
			}
			th := &ths[i]
			if th.State != Seized {
				continue
			}
			t.look(th, round)
			if th.State == Seized {
				if left == 0 {
					next = i
				}
				left++
			}
		}
		if next > first && next < len(ths) && round < inOrder {
			round = -1 // a thread has stopped
		}
		first = next
		if left == 0 {
			return 0
		}
		if !t.giveWay(max(round, 0), deadline) {
			break
		}
	}
	left = 0
	for i := first; i < len(ths); i++ {
		if th := &ths[i]; th.State == Seized {
			if t.look(th, 0); th.State == Seized {
				th.State = TimedOut
				left++
			}
		}
	}
	return left
}

// recheck finds Stopped threads that no longer are, because they were killed, or because their id belongs to another thread after
// an execve. It interrupts those that have not stopped again: after an execve, the main thread may be one that was never
// interrupted.
func (t *Tracer) recheck(ths []Thread) {
	for i := range ths {
		th := &ths[i]
		if th.State == Seized {
			sys.Ptrace(unix.PTRACE_INTERRUPT, int(th.TID), 0, 0)
		}
		if th.State != Stopped || t.old { // an old kernel does not report a stop twice
			continue
		}
		code, _, e := t.wait(th.TID)
		switch {
		case code == cldTrapped || code == cldStopped:
			continue
		case e == 0 && code == 0:
			if _, _, _, ok := t.askStop(th.TID); ok {
				continue
			}
		}
		th.State = Seized // look changes that to Gone if the thread is gone
	}
}

// look checks once whether a seized thread has stopped.
func (t *Tracer) look(th *Thread, round int) {
	code, status, e := t.wait(th.TID)
	switch {
	case e == unix.ECHILD:
		th.State, th.Errno = Gone, e
	case e != 0:
		th.Errno = e // unknown: check again until the deadline
	case code == 0:
		if round >= yields && (th.TID == t.pid || round%8 == 0) {
			t.unreported(th)
		}
	case code == cldExited || code == cldKilled || code == cldDumped:
		th.State = Gone
		if !t.reap(th.TID) {
			t.keep(th.TID)
		}
	default:
		th.State, th.Errno = Stopped, 0
		th.Signal, th.Event, th.GroupStop = stopKind(status)
	}
}

// unreported checks a thread about which waitid reports nothing although time has passed. A main thread that ends before the
// others is never reported while they live. And the stop may have been reported to another thread of this process that waits for
// the same child: a wait by any thread of a tracer sees, and consumes, the stops of the process's own children.
func (t *Tracer) unreported(th *Thread) {
	state, _, e := t.readStat(th.TID)
	switch {
	case e != 0:
	case state == 'Z' && th.TID == t.pid:
		th.State = Gone
		t.keep(th.TID)
	case state == 't':
		if signal, event, groupStop, ok := t.askStop(th.TID); ok {
			th.State, th.Errno = Stopped, 0
			th.Signal, th.Event, th.GroupStop = signal, event, groupStop
		}
	}
}

// askStop determines the kind of stop that a thread is in by its siginfo; not ok if it is in none.
func (t *Tracer) askStop(tid int32) (signal int32, event uint8, groupStop, ok bool) {
	switch e := t.SigInfo(tid, &t.info); e {
	case 0:
	case unix.EINVAL: // a group-stop under PTRACE_LISTEN has no siginfo
		return 0, PTRACE_EVENT_STOP, true, true
	default:
		return 0, 0, false, false
	}
	signal, code := signalInfo(&t.info)
	if code>>8 == PTRACE_EVENT_STOP { // then si_code is the status that a wait reports
		signal, event, groupStop = stopKind(code)
		return signal, event, groupStop, true
	}
	return signal, 0, false, true
}

// How giveWay waits: first it only yields, since most stops take microseconds, then it sleeps.
const (
	yields   = 4
	inOrder  = 12     // rounds without a stop after which all threads are checked
	minSleep = 20_000 // ns
	maxSleep = 1_000_000
	rawSleep = 100_000 // shorter sleeps are not announced to the Go scheduler
)

// killWait is how long Detach waits for killed threads to die, in nanoseconds.
const killWait = 5_000_000

// giveWay lets the target run between two checks. It returns false if the deadline has passed.
func (t *Tracer) giveWay(round int, deadline int64) bool {
	rest := deadline - Monotonic()
	if rest <= 0 {
		return false
	}
	if round < yields {
		sys.Yield()
		return true
	}
	var sleep int64 = maxSleep
	if shift := (round - yields) / 2; shift < 6 { // 640 µs
		sleep = minSleep << shift
	}
	sleep = min(sleep, rest)
	t.sleep(sleep)
	return true
}
