//go:build linux

package linux

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// stop is the state of the threads while they are stopped.
type stop struct {
	threads arena.Table[ptrace.Thread]
	active  atomic.Bool
	since   int64         // by ptrace.Monotonic
	until   int64         // when the threads are resumed in any case, by ptrace.Monotonic
	pause   time.Duration // how long the threads were stopped, set afterwards
	waiting atomic.Bool   // waiting for threads to stop
	expired atomic.Bool   // until passed before the dump was written
	wait    unix.Timespec // time left until until
	quiet   sys.QuietStops
}

// stopAll stops every thread that listThreads found, and those created since: a stop of all is requested before the
// first is waited for. While the kernel counts more threads than are known, the list is read again. A listing can end
// early when a thread exits during it, so only several listings without a new thread count as complete.
//
// The known threads are attached to first, while they run: attaching may wait, for an execve of the process or for the
// Go scheduler. From the first requested stop until the resume this goroutine keeps its processor, so that a garbage
// collection of this program does not lengthen the stop. It does not keep it in mode full, where a stop lasts until the
// dump is written, or if the caller traces.
func (l *Source) stopAll(s *snapshot.Snapshot) {
	l.stop.threads.Clear()
	l.stop.expired.Store(false)
	l.stop.active.Store(true)
	l.stop.waiting.Store(true)
	if l.attaches() { // otherwise the caller is responsible for these steps
		l.stop.quiet.Begin()
		l.addNew()
		l.attach(s)
		if s.Want.Mode != snapshot.ModeFull && l.fork == nil { // a forked child has no scheduler
			l.tracer.Pin()
		}
	}
	l.stop.since = ptrace.Monotonic()
	l.stop.until = l.stop.since + int64(s.Want.StopTimeout) + int64(s.Want.MaxPause)
	l.stopThreads(s, l.stop.since+int64(s.Want.StopTimeout))
	// A dump without a stopped thread is of little use, and the process cannot be copied while a thread runs.
	if (l.in(ptrace.Stopped) == 0 || l.forCopy) && l.in(ptrace.TimedOut) > 0 {
		l.waitOn(l.stop.since + moreTime*int64(s.Want.StopTimeout))
	}
	l.stop.waiting.Store(false)
	l.listStopped(s)
}

// moreTime is how many times StopTimeout is waited for the first thread to stop: a busy machine may not let the process run.
const moreTime = 5

// retryWait is how many nanoseconds to wait before another attempt to attach to threads that another tracer traces:
// most tracers detach within a millisecond.
const retryWait = 1_000_000

// attach attaches to the threads. While another tracer traces all of them, it tries again until StopTimeout has passed.
func (l *Source) attach(s *snapshot.Snapshot) {
	ths := l.stop.threads.All()
	l.tracer.AttachAll(ths)
	until := ptrace.Monotonic() + int64(s.Want.StopTimeout)
	for l.in(ptrace.Attached) == 0 && l.in(ptrace.Denied) > 0 && ptrace.Monotonic() < until {
		l.stop.wait = unix.NsecToTimespec(retryWait)
		sys.Nanosleep(&l.stop.wait, true)
		for i := range ths {
			if ths[i].State == ptrace.Denied {
				ths[i].State = ptrace.Listed
			}
		}
		l.tracer.AttachAll(ths)
	}
}

// waitOn continues to wait for threads that have not stopped in time.
func (l *Source) waitOn(deadline int64) {
	ths := l.stop.threads.All()
	for i := range ths {
		if ths[i].State == ptrace.TimedOut {
			ths[i].State = ptrace.Seized
		}
	}
	l.tracer.Collect(ths, deadline)
}

// in counts the threads in a state.
func (l *Source) in(state ptrace.State) (n int) {
	for i := range l.stop.threads.All() {
		if l.stop.threads.At(i).State == state {
			n++
		}
	}
	return n
}

// stopThreads requests a stop of every thread, and waits for all of them until the deadline. The threads in
// l.stop.threads are already attached to.
func (l *Source) stopThreads(s *snapshot.Snapshot, deadline int64) {
	if attached := l.stop.threads.All(); len(attached) > 0 {
		l.tracer.Interrupt(attached)
		l.tracer.Collect(attached, deadline)
	}
	for round, idle := l.stop.threads.N, 0; idle < 3; round++ {
		known := l.stop.threads.N
		if round > 0 {
			if l.noneIsNew() {
				break
			}
			if errno := l.listThreads(); errno != 0 {
				s.Soft(snapshot.OpRelist, int32(errno), 0, 0)
				break
			}
		}
		l.addNew()
		fresh := l.stop.threads.All()[known:]
		if len(fresh) == 0 {
			idle++
			continue
		}
		idle = 0
		for i := range fresh {
			if !l.attaches() {
				l.tracer.Hold(&fresh[i])
			} else {
				l.tracer.Seize(&fresh[i])
			}
		}
		l.tracer.Collect(l.stop.threads.All(), deadline) // all: an execve kills stopped threads
		if round > 0 && ptrace.Monotonic() > deadline {
			break
		}
	}
}

// listStopped fills the thread list of the dump, and records threads that could not be stopped.
func (l *Source) listStopped(s *snapshot.Snapshot) {
	denied := 0
	for i := range l.stop.threads.All() {
		th := l.stop.threads.At(i)
		if th.State == ptrace.Gone {
			continue
		}
		t := s.Threads.Add()
		if t == nil {
			s.Soft(snapshot.OpTruncated, 0, th.TID, 0)
			continue
		}
		t.TID = th.TID
		switch th.State {
		case ptrace.Stopped:
			t.State = snapshot.ThreadStopped
			if l.mem.peekTID == 0 {
				l.mem.peekTID = th.TID
			}
			continue
		case ptrace.Denied:
			if denied++; denied == 1 {
				op := snapshot.OpSeize
				if l.program.otherTracer {
					op = snapshot.OpOtherTracer
				}
				s.Soft(op, int32(th.Errno), th.TID, 0)
			}
		case ptrace.TimedOut:
			s.Soft(snapshot.OpStop, 0, th.TID, 0)
		default:
			s.Soft(snapshot.OpSeize, int32(th.Errno), th.TID, 0)
		}
		t.State = snapshot.ThreadNoRegisters
		if !l.registersFromFork(s, t) {
			l.registersFromProc(t)
		}
	}
	if l.mem.peekTID == 0 {
		s.Soft(snapshot.OpNoThreads, 0, 0, 0)
	}
	s.AddBlamed(snapshot.OpSeize, int32(unix.ESRCH))
}

// noneIsNew reports whether all threads are known, from their number alone. Reading the list takes the kernel longer
// than reading all registers.
func (l *Source) noneIsNew() bool {
	living := 0
	for i := range l.stop.threads.All() {
		if l.stop.threads.At(i).State != ptrace.Gone {
			living++
		}
	}
	n, errno := l.dir.NumTasks()
	return errno == 0 && n == living
}

// addNew adds the listed threads that are not known yet. /proc lists threads in order of creation, so the known ones
// come first unless some have ended: the search for each thread continues from where the previous one was found.
func (l *Source) addNew() {
	known := l.stop.threads.N
	k := 0
next:
	for _, tid := range l.scratch.tids.All() {
		for i := range known {
			j := k + i
			if j >= known {
				j -= known
			}
			if l.stop.threads.At(j).TID == tid {
				k = j + 1
				continue next
			}
		}
		if t := l.stop.threads.Add(); t != nil {
			t.TID = tid
		}
	}
}

// resume lets all threads run again and records how long they were stopped.
func (l *Source) resume() {
	if !l.stop.active.Load() {
		return
	}
	l.mem.peekTID = 0
	if !l.attaches() {
		l.tracer.LetRun(l.stop.threads.All())
	} else {
		l.tracer.Detach(l.stop.threads.All())
	}
	l.stop.pause = time.Duration(ptrace.Monotonic() - l.stop.since)
	l.tracer.Unpin()
	l.stop.quiet.End()
	if l.attaches() && l.tracer.Leftover() > 0 {
		l.tracer.Release(ptrace.Monotonic() + int64(releaseWait))
	}
	l.stop.active.Store(false) // last: a thread that sees this may use what is set above
}

// patience returns how long the threads may stay stopped while the dump is written on another thread.
func (l *Source) patience() *unix.Timespec {
	if !l.stop.active.Load() {
		return nil
	}
	l.stop.wait = unix.NsecToTimespec(max(1, l.stop.until-ptrace.Monotonic()))
	return &l.stop.wait
}

// expire resumes the threads before the dump is written: the reader of the dump, or a memory read, is too slow.
func (l *Source) expire() {
	if l.stop.active.Load() && ptrace.Monotonic() >= l.stop.until {
		l.stop.expired.Store(true)
		l.resume()
	}
}

// How long a dump waits for threads that did not stop in time, so that it can detach from them, before it ends the OS
// thread that traces them; and how long it then waits for that thread to end.
const (
	releaseWait = 20 * time.Millisecond
	endWait     = time.Second
)

// slowWait is the minimum time for a slow read if the stop has used up StopTimeout.
const slowWait = 20 * time.Millisecond

// readApart implements slowReader.
func (l *Source) readApart() bool {
	now := ptrace.Monotonic()
	l.stop.wait = unix.NsecToTimespec(max(int64(slowWait), l.stop.since+int64(l.snap.Want.StopTimeout)-now))
	pinned := l.tracer.Pinned()
	l.tracer.Unpin() // the other thread needs a processor
	done := l.thread.readApart(&l.stop.wait)
	if pinned {
		l.tracer.Pin()
	}
	return done
}

// read implements tracingWork.
func (l *Source) read() { l.mem.readSlow() }

// replaceThread ends the tracing thread if it still traces threads of the process after the dump: these would hang as
// soon as they stop. A new thread replaces it.
func (l *Source) replaceThread() {
	if !l.thread.running || l.stop.active.Load() || l.tracer.Leftover() == 0 {
		return
	}
	tid := l.thread.tid
	l.thread.end()
	deadline := ptrace.Monotonic() + int64(endWait)
	for sys.Tgkill(sys.Getpid(), tid, 0) == 0 && ptrace.Monotonic() < deadline {
		time.Sleep(100 * time.Microsecond)
	}
	l.tracer.Init(int(l.pid)) // the list of leftover threads is no longer valid
	l.thread.start()
}

// overdueAfter is the time after which a stop may be hanging on an execve of the target (see ptrace.Reap), and the
// time between two checks of that.
const overdueAfter = 500 * time.Millisecond

// overdue unblocks a stop that hangs. It must not be called on the tracing thread.
func (l *Source) overdue() {
	if l.stop.waiting.Load() {
		l.reap()
	}
}

// reap lists the threads for ptrace.Reap. It has its own memory because the tracing thread uses the scratch memory.
func (l *Source) reap() (n int) {
	dir, err := procfs.Open(int(l.pid))
	if err != nil {
		return 0
	}
	defer dir.Close()
	scratch := make([]byte, 8<<10)
	for tids := make([]int32, 256); ; tids = make([]int32, 2*len(tids)) {
		listed, more, errno := dir.Tasks(scratch, tids)
		if errno != 0 {
			return 0
		}
		if !more {
			return ptrace.Reap(int(l.pid), tids[:listed])
		}
	}
}
