package ptrace

import (
	"encoding/binary"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Watch traces whole processes from their first instruction to their end. Next reports every stop of every thread, and the stop
// lasts until Continue, Listen or Detach. All calls must come from one OS thread, which should have no other children.
//
// As in a Tracer's session a stop is read and never consumed, so that no signal of the watched processes is lost if the tracer is
// killed. That requires __WALL in waitid, since Linux 4.7.
type Watch struct {
	info [128]byte // struct siginfo; first, so that it is aligned
	word uintptr
	mask unix.Sigset_t

	// Plain, if not 0, is a child of a caller that traces nothing, on a kernel before 4.7: Next waits for that child, or with
	// others for any child of the process.
	Plain int32
}

// NewWatch returns a Watch.
func NewWatch() *Watch { return new(Watch) }

// What Adopt watches: FollowThreads the threads of a process, FollowChildren also its children.
const (
	FollowThreads  = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEEXIT
	FollowChildren = unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
)

// Adopt watches a process that the calling thread has started with PTRACE_TRACEME (SysProcAttr.Ptrace) and that is in the SIGTRAP
// of its execve, before its first instruction. options are FollowThreads, or both. mask becomes its signal mask: start it with
// all signals except SIGTRAP blocked, so that it can't stop unnoticed between PTRACE_TRACEME and execve.
//
// A process traced by PTRACE_TRACEME does not support PTRACE_LISTEN in group-stops, and the kernel can't convert it to a seized
// one except by a detach. So Adopt detaches it with a SIGSTOP, which only its parent (this process) is notified of, and seizes it
// in that stop. Afterwards the process is in that group-stop, which the caller ends by SIGCONT and then Continues it. The first
// Next that reports a SIGCONT can identify this one by its sender. If another SIGCONT has ended the group-stop, the process is in
// another stop, which Next reports.
func (w *Watch) Adopt(pid int, mask *unix.Sigset_t, options int) sys.Errno {
	if e := w.awaitStop(pid); e != 0 {
		return e
	}
	w.mask = *mask
	sys.Ptrace(unix.PTRACE_SETSIGMASK, pid, sys.SigsetSize(), uintptr(unsafe.Pointer(&w.mask))) // Linux 3.11
	if e := sys.Ptrace(unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); e != 0 {
		return e
	}
	if e := sys.Ptrace(unix.PTRACE_SEIZE, pid, 0, uintptr(options)); e != 0 {
		return e
	}
	sys.Ptrace(unix.PTRACE_INTERRUPT, pid, 0, 0) // without the group-stop it would not stop
	return w.awaitStop(pid)
}

// awaitStop waits until pid is in a stop, and leaves it there. It returns ESRCH if the process has ended.
func (w *Watch) awaitStop(pid int) sys.Errno {
	for {
		switch e := w.waitFor(pid, unix.WSTOPPED|unix.WEXITED); {
		case e == unix.EINTR:
			continue
		case e != 0:
			return e
		}
		if w.stop().Kind != KindStopped {
			return unix.ESRCH
		}
		return 0
	}
}

func (w *Watch) waitFor(pid, options int) sys.Errno {
	return sys.Waitid(pid, &w.info, options|unix.WNOWAIT|unix.WALL)
}

// Kind is the kind of a Stop.
type Kind uint8

const (
	KindNone     Kind = iota
	KindStopped       // the thread is in a ptrace-stop
	KindExited        // it ended, with Status
	KindKilled        // it ended by Signal
	KindUntraced      // a child that is not watched was stopped by Signal
)

// Stop is one report of Next.
type Stop struct {
	TID       int32
	Kind      Kind
	Signal    int32 // of a signal-delivery-stop, a group-stop or a death
	Event     uint8 // PTRACE_EVENT_*; 0 in a signal-delivery-stop
	GroupStop bool
	Status    int32 // the exit status
}

// Next waits for the next report and leaves it in place: a stop until it is continued, an end until Reap. If block is false and
// there is nothing to report, it returns KindNone. If others is true, it also reports children of other OS threads of this
// process. ECHILD: there is nothing to wait for. EINVAL: the kernel is too old.
func (w *Watch) Next(block, others bool) (Stop, sys.Errno) {
	which, id := unix.P_ALL, 0
	options := unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT
	switch {
	case w.Plain == 0 && others:
		options |= unix.WALL
	case w.Plain == 0:
		options |= unix.WALL | unix.WNOTHREAD
	case !others:
		which, id = unix.P_PID, int(w.Plain)
	}
	gate := sys.Blocking
	if !block {
		options |= unix.WNOHANG
		gate = sys.Raw
	}
	if _, e := gate(unix.SYS_WAITID, uintptr(which), uintptr(id), uintptr(unsafe.Pointer(&w.info)), uintptr(options), 0, 0); e != 0 {
		return Stop{}, e
	}
	return w.stop(), 0
}

// Peek is Next for one thread. It never waits.
func (w *Watch) Peek(tid int32) (Stop, sys.Errno) {
	if e := w.waitFor(int(tid), unix.WSTOPPED|unix.WEXITED|unix.WNOHANG); e != 0 {
		return Stop{}, e
	}
	return w.stop(), 0
}

// stop decodes the siginfo that waitid stored.
func (w *Watch) stop() Stop {
	code, status := childCode(&w.info)
	if code == 0 {
		return Stop{}
	}
	s := Stop{TID: int32(binary.NativeEndian.Uint32(w.info[siPid:]))}
	switch code {
	case cldExited:
		s.Kind, s.Status = KindExited, status
	case cldKilled, cldDumped:
		s.Kind, s.Signal = KindKilled, status&0x7f
	case cldStopped:
		s.Kind, s.Signal = KindUntraced, status&0x7f
	default:
		s.Kind = KindStopped
		s.Signal, s.Event, s.GroupStop = stopKind(status)
		if s.GroupStop {
			s.Signal = status & 0x7f
		}
	}
	return s
}

// Reap consumes the end of tid.
func (w *Watch) Reap(tid int32) { w.consume(tid, unix.WEXITED) }

// Pass consumes a stop of tid, but not its end if it has been killed since. It is for a child that is not watched, and for a
// PTRACE_EVENT_EXEC.
func (w *Watch) Pass(tid int32) { w.consume(tid, unix.WSTOPPED) }

func (w *Watch) consume(tid int32, what int) {
	if w.Plain == 0 {
		what |= unix.WALL
	}
	sys.Waitid(int(tid), &w.info, what|unix.WNOHANG)
}

// Continue resumes tid. After a signal-delivery-stop it delivers signal (0: none).
func (w *Watch) Continue(tid, signal int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_CONT, int(tid), 0, uintptr(signal))
}

// Listen leaves tid in its group-stop, until a SIGCONT ends it.
func (w *Watch) Listen(tid int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_LISTEN, int(tid), 0, 0)
}

// Detach resumes the stopped tid with signal (0: none), and stops tracing it.
func (w *Watch) Detach(tid, signal int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_DETACH, int(tid), 0, uintptr(signal))
}

// EventMessage returns the number that belongs to a PTRACE_EVENT_* stop: the id of the new thread, the former id of the thread
// that called execve, or the wait status with which a thread ends.
func (w *Watch) EventMessage(tid int32) (uint32, sys.Errno) {
	w.word = 0
	e := sys.Ptrace(unix.PTRACE_GETEVENTMSG, int(tid), 0, uintptr(unsafe.Pointer(&w.word)))
	return uint32(w.word), e
}

// Supported reports whether the kernel's waitid supports what a Watch requires, and whether the calling OS thread has no
// children. If the former is false the latter is not known, which does not matter to a caller that sets Plain.
func (w *Watch) Supported() (supported, childless bool) {
	_, e := w.Next(false, false)
	return e != unix.EINVAL, e == unix.EINVAL || e == unix.ECHILD
}
