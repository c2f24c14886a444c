package ptrace

import (
	"encoding/binary"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Watch follows whole processes from their first instruction to their end: every stop of every thread is reported by
// Next, and lasts until one of Continue, Listen or Detach. All calls must come from one OS thread, which should have
// no other children.
//
// As in a Tracer's session a stop is looked at and never consumed, so that a tracer which is killed takes no signal from
// the processes that it watches. That takes Linux 4.7, whose waitid knows __WALL.
type Watch struct {
	info [128]byte // struct siginfo; first, so that it is aligned
	word uintptr
	mask unix.Sigset_t

	// Plain is set by a caller that traces nothing, and only waits: for a kernel before 4.7.
	Plain bool
}

// NewWatch makes a Watch.
func NewWatch() *Watch { return new(Watch) }

// Follow says what of a process Adopt watches besides its threads.
const (
	FollowThreads  = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEEXIT
	FollowChildren = unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
)

// Adopt makes a watched process of one that has been started with PTRACE_TRACEME (SysProcAttr.Ptrace) by the calling
// thread and stands in the SIGTRAP of its execve, before its first instruction. options are FollowThreads or both.
// mask becomes its signal mask: to start it with all signals but SIGTRAP blocked keeps it from stopping, unseen, between
// PTRACE_TRACEME and execve.
//
// A process that was traced by PTRACE_TRACEME can't listen to group-stops, and the kernel has no way to make it a seized
// one but to let go of it. So it is let go of into a SIGSTOP, which only its parent (this process) is told of, seized
// in there, and woken by SIGCONT, for which the first Next that reports one can be told by its sender. Afterwards it is in
// that group-stop, and the caller must Continue it.
func (w *Watch) Adopt(pid int, mask *unix.Sigset_t, options int) sys.Errno {
	for {
		e := w.waitFor(pid, unix.WSTOPPED|unix.WEXITED)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		break
	}
	if s := w.stop(); s.Kind != KindStopped {
		return unix.ESRCH
	}
	w.mask = *mask
	sys.Ptrace(unix.PTRACE_SETSIGMASK, pid, SigsetSize(), uintptr(unsafe.Pointer(&w.mask))) // Linux 3.11
	if e := sys.Ptrace(unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); e != 0 {
		return e
	}
	if e := sys.Ptrace(unix.PTRACE_SEIZE, pid, 0, uintptr(options)); e != 0 {
		return e
	}
	for {
		e := w.waitFor(pid, unix.WSTOPPED|unix.WEXITED)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		if s := w.stop(); s.Kind != KindStopped {
			return unix.ESRCH
		}
		return 0
	}
}

func (w *Watch) waitFor(pid, options int) sys.Errno {
	_, e := sys.Blocking(unix.SYS_WAITID, unix.P_PID, uintptr(pid), uintptr(unsafe.Pointer(&w.info)),
		uintptr(options|unix.WNOWAIT|unix.WALL), 0, 0)
	return e
}

// Kind is what Next reports.
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

// Next waits for the next report and leaves it in place: a stop until it is continued, an end until Reap. With block
// false it returns KindNone when there is nothing. With others true, children of the whole process are reported too, and
// not only those of this OS thread. ECHILD says that there is nothing to wait for, EINVAL that the kernel is too old.
func (w *Watch) Next(block, others bool) (Stop, sys.Errno) {
	options := unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT | unix.WALL
	if w.Plain {
		options &^= unix.WALL
	}
	if !others {
		options |= unix.WNOTHREAD
	}
	gate := sys.Blocking
	if !block {
		options |= unix.WNOHANG
		gate = sys.Raw
	}
	if _, e := gate(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&w.info)), uintptr(options), 0, 0); e != 0 {
		return Stop{}, e
	}
	return w.stop(), 0
}

// Peek is Next for one thread, and never waits.
func (w *Watch) Peek(tid int32) (Stop, sys.Errno) {
	if e := w.waitFor(int(tid), unix.WSTOPPED|unix.WEXITED|unix.WNOHANG); e != 0 {
		return Stop{}, e
	}
	return w.stop(), 0
}

// stop takes apart what waitid stored.
func (w *Watch) stop() Stop {
	s := Stop{TID: int32(binary.NativeEndian.Uint32(w.info[siPid:]))}
	if s.TID == 0 {
		return s
	}
	siCode := 8
	if mips {
		siCode = 4
	}
	code := int32(binary.NativeEndian.Uint32(w.info[siCode:]))
	status := int32(binary.NativeEndian.Uint32(w.info[siStatus:]))
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

// Reap consumes the end of tid, or its stop: of a child that is not watched, or of a PTRACE_EVENT_EXEC.
func (w *Watch) Reap(tid int32) {
	options := unix.WEXITED | unix.WSTOPPED | unix.WNOHANG | unix.WALL
	if w.Plain {
		options &^= unix.WALL
	}
	sys.Waitid(int(tid), &w.info, options)
}

// Continue lets tid go on and, after a signal-delivery-stop, take signal (0: none).
func (w *Watch) Continue(tid, signal int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_CONT, int(tid), 0, uintptr(signal))
}

// Listen leaves tid in its group-stop, until a SIGCONT ends it.
func (w *Watch) Listen(tid int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_LISTEN, int(tid), 0, 0)
}

// Detach lets go of the stopped tid.
func (w *Watch) Detach(tid, signal int32) sys.Errno {
	return sys.Ptrace(unix.PTRACE_DETACH, int(tid), 0, uintptr(signal))
}

// EventMessage gives the number that comes with a PTRACE_EVENT_* stop: the id of the new thread, the former id of the one
// that has called execve, or the wait status with which a thread ends.
func (w *Watch) EventMessage(tid int32) (uint32, sys.Errno) {
	w.word = 0
	e := sys.Ptrace(unix.PTRACE_GETEVENTMSG, int(tid), 0, uintptr(unsafe.Pointer(&w.word)))
	return uint32(w.word), e
}

// SigsetSize is sizeof(sigset_t) of the kernel in bytes: mips has 128 signals.
func SigsetSize() uintptr {
	if mips {
		return 16
	}
	return 8
}

// Supported tells whether the kernel's waitid can do what a Watch needs, and whether the calling OS thread has no
// children.
func (w *Watch) Supported() (supported, childless bool) {
	_, e := w.Next(false, false)
	if e == unix.EINVAL {
		w.Plain = true
		_, e = w.Next(false, false)
		w.Plain = false
		return false, e == unix.ECHILD
	}
	return true, e == unix.ECHILD
}
