package ptrace

import (
	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Detach resumes and detaches every thread of ths that Seize has attached to, in whatever state it is, with the signal that it
// was about to receive. Threads of a stopped process stay stopped. Threads that can't be detached (see the package comment) are
// kept for Release and counted by Leftover. All states become Listed, except Gone, Denied and Failed.
func (t *Tracer) Detach(ths []Thread) {
	for i := range ths {
		if ths[i].State == Attached { // threads can only be detached in a stop
			t.Interrupt(ths)
			t.Collect(ths, Monotonic()+killWait)
			break
		}
	}
	late := 0
	for i := range ths {
		th := &ths[i]
		switch th.State {
		case Stopped:
			// After an execve, the id of a stopped main thread may belong to another thread.
			if th.TID != t.pid {
				th.Errno = sys.Ptrace(unix.PTRACE_DETACH, int(th.TID), 0, uintptr(th.Signal))
				if th.Errno == 0 {
					th.State = Listed
					continue
				}
			}
			if t.letGo(th.TID, th.Signal) {
				th.State = Listed
			} else {
				late++
			}
		case Seized, TimedOut:
			th.State = Listed
			if !t.letGo(th.TID, 0) {
				t.keep(th.TID)
			}
		}
	}
	// A thread that was stopped and no longer is has been killed, and is dead in a moment.
	deadline := Monotonic() + killWait
	for round := 0; late > 0 && t.giveWay(round, deadline); round++ {
		late = 0
		for i := range ths {
			th := &ths[i]
			if th.State == Stopped {
				if t.letGo(th.TID, th.Signal) {
					th.State = Listed
				} else {
					late++
				}
			}
		}
	}
	for i := range ths {
		if th := &ths[i]; late > 0 && th.State == Stopped {
			th.State = Listed
			t.keep(th.TID)
		}
	}
}

// letGo detaches from tid if it is in a stop, reaps it if it is dead, and reports whether it is no longer traced. signal is the
// one that a consumed stop has reported.
func (t *Tracer) letGo(tid, signal int32) bool {
	for range 3 {
		code, status, e := t.wait(tid)
		switch {
		case e == unix.ECHILD:
			return true
		case e != 0:
			continue
		case code == cldExited || code == cldKilled || code == cldDumped:
			return t.reap(tid)
		case code != 0:
			signal, _, _ = stopKind(status)
		case !t.old:
			var stopped bool
			if signal, _, _, stopped = t.askStop(tid); !stopped {
				return false
			}
		}
		if sys.Ptrace(unix.PTRACE_DETACH, int(tid), 0, uintptr(signal)) == 0 {
			return true
		}
	}
	return false
}

// Leftover returns how many threads are still traced after Detach because they could not be stopped. Unless they are detached
// later (see the package comment), they will hang in the stop that is pending.
func (t *Tracer) Leftover() int { return t.nleft + t.over }

// Release tries to detach the threads that Detach could not, until none is left or Monotonic() has reached deadline; if deadline
// is in the past it tries once. It returns how many are left.
func (t *Tracer) Release(deadline int64) (left int) {
	for round := 0; ; round++ {
		n := 0
		for i := range t.nleft {
			tid := t.left[i]
			if round%8 == 0 {
				sys.Ptrace(unix.PTRACE_INTERRUPT, int(tid), 0, 0) // see recheck
			}
			if !t.letGo(tid, 0) {
				t.left[n] = tid
				n++
			}
		}
		t.nleft = n
		if n == 0 || !t.giveWay(round, deadline) {
			return t.Leftover()
		}
	}
}

func (t *Tracer) keep(tid int32) {
	for i := range t.nleft {
		if t.left[i] == tid {
			return
		}
	}
	if t.nleft == len(t.left) {
		t.over++
		return
	}
	t.left[t.nleft] = tid
	t.nleft++
}

// forget removes tid from the leftovers and reports whether it was one.
func (t *Tracer) forget(tid int32) bool {
	for i := range t.nleft {
		if t.left[i] == tid {
			t.nleft--
			t.left[i] = t.left[t.nleft]
			return true
		}
	}
	return false
}

// Reap frees a session that hangs in Seize. Call it from another OS thread of the tracing process, with the ids of the threads
// that the process pid has now. It returns how many dead threads it has reaped.
//
// A thread of the target in execve holds a lock (the kernel's cred_guard_mutex) that PTRACE_SEIZE waits for, uninterruptibly and
// without a time limit. Meanwhile the kernel kills the other threads of the target, and the execve waits until they are gone.
// Those that are traced already are not gone until their tracer has waited for them, but the tracer is blocked in Seize. Any
// other thread of the tracer's process can wait for them instead. (If the tracing process is killed, that frees the target too.)
//
// Calling it when nothing hangs does no harm: it reaps only threads that are dead and traced by this process, and never a main
// thread, which an execve does not wait for. Call it if a stop takes longer than it should, and repeatedly until the stop has
// ended.
func Reap(pid int, tids []int32) (n int) {
	info := new([128]byte)
	for _, tid := range tids {
		tid := int(tid)
		if tid == pid {
			continue
		}
		// The kernel reports stops of tracees even if they are not requested. Consuming a stop would hide it from the Tracer, and
		// might lose a signal of the target: so look without consuming first.
		const options = unix.WEXITED | unix.WNOHANG | unix.WALL
		if sys.Waitid(tid, info, options|unix.WNOWAIT) != 0 {
			continue
		}
		if code, _ := childCode(info); code == cldExited || code == cldKilled || code == cldDumped {
			if sys.Waitid(tid, info, options) == 0 {
				n++
			}
		}
	}
	return n
}
