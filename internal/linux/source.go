//go:build linux

package linux

import (
	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"

	"minidump/internal/snapshot"
)

// Source is a live process as a source of snapshots.
type Source struct {
	Reader
	thread tracingThread
	stop   stop
	fork   *Fork        // the caller is a forked child of the process; nil: it is not
	named  int32        // the thread whose id was given to Init instead of the process's; 0: none
	copy   *processCopy // nil: the process is not copied
	early  procfs.Statm // read before the memory map, before the stop; zero: not read

	// The arguments and the result of the step that thread performs.
	snap *snapshot.Snapshot
	err  error

	tracer ptrace.Tracer // large, and little of it is ever touched
}

// TraceByOwnThread makes a dedicated OS thread trace the process.
func (l *Source) TraceByOwnThread() { l.thread.start() }

// TraceByCaller makes the OS thread that calls Capture and Release trace the process. That thread must already trace it.
func (l *Source) TraceByCaller() { l.thread.caller = true }

// Init opens the process and allocates the memory of the source. It returns the part of the memory that the encoder may use.
//
// pid may be the id of one of the threads, as some monitors report it. Then the process of the thread is opened, and the
// dump is about that thread unless the caller names another.
func (l *Source) Init(pid int) (buf []byte, err error) {
	l.thread.work = l
	l.mem.tracer = &l.tracer
	if buf, err = l.open(pid); err != nil {
		return nil, err
	}
	if process := l.processOf(pid); process != pid {
		l.Reader.Close()
		if buf, err = l.open(process); err != nil {
			return nil, err
		}
		l.named = int32(pid)
	}
	l.tracer.Init(int(l.pid))
	if err := l.stop.threads.Reserve(8 << 20); err != nil {
		l.Reader.Close()
		return nil, err
	}
	return buf, nil
}

// Named returns the thread whose id was given to Init instead of its process's, or 0 if the id was that of the process.
func (l *Source) Named() int32 { return l.named }

// processOf returns the process that the thread of the open folder belongs to, or pid if that is not known.
func (l *Source) processOf(pid int) int {
	b, errno := l.readSmall("status\x00")
	if errno != 0 {
		return pid
	}
	if st := procfs.ParseStatus(b); st.Tgid > 0 {
		return int(st.Tgid)
	}
	return pid
}

func (l *Source) Close() error {
	l.thread.end()
	l.stop.threads.Release()
	if l.copy != nil {
		l.copy.kept.ranges.Release()
	}
	return l.Reader.Close()
}

func (l *Source) Capture(s *snapshot.Snapshot) error {
	if err := l.prepare(s); err != nil {
		return err
	}
	l.snap, l.err = s, nil
	l.thread.do(stepCapture)
	l.snap = nil
	if !l.stop.active.Load() {
		s.Pause = l.stop.pause
	}
	l.replaceThread()
	return l.err
}

// Release resumes the process. The error is ErrPause if that was done before the dump was written.
func (l *Source) Release(s *snapshot.Snapshot) error {
	copied := l.mem.copied
	if l.stop.active.Load() || l.copy != nil && l.copy.tid != 0 {
		l.snap = s
		l.thread.do(stepRelease)
		l.snap = nil
		s.Pause = l.stop.pause
		l.replaceThread()
	}
	l.mem.expired = nil
	if copied && l.copy.lost.Load() {
		return errCopyLost
	}
	if l.stop.expired.Swap(false) {
		return snapshot.ErrPause
	}
	return nil
}

// perform performs one step of a dump. It runs on the thread that traces the process.
func (l *Source) perform(step stepKind) {
	switch step {
	case stepCapture:
		s := l.snap
		if l.thread.running {
			l.mem.slow.apart = l
		}
		errno := l.captureStopped(s)
		l.mem.slow.apart = nil
		// A process that the caller traces is about to die of what it did: it must exist until the dump is complete.
		if s.Want.Mode != snapshot.ModeFull && l.attaches() || errno != 0 {
			l.resume()
		}
		switch {
		case errno == errRefused:
			l.err = l.copy.refusedError(l.pid)
		case errno != 0: // only after the resume: the text is allocated
			l.err = errtext.Wrap(systemError(errno), "minidump: read maps of pid ", l.pid)
		}
	case stepRelease:
		l.resume()
		l.endCopy(l.snap)
	case stepReap:
		l.copy.reaped = l.reapCopy(l.snap, l.copy.reaping, 0)
	}
}

// prepare does what precedes the stop. It does not run on the tracing thread: the scheduler tends to deschedule a
// goroutine after a wait, which costs less here.
func (l *Source) prepare(s *snapshot.Snapshot) error {
	s.Target, s.System, s.Proc.PID = l.facts.target, l.facts.system, l.pid
	if err := l.readProcess(s); err != nil {
		return err
	}
	s.Blame(l.firstLiving(), nil)
	l.mem.begin(s)
	l.forCopy = l.wantsCopy(s)
	l.findHidden(s)
	if l.forCopy {
		l.copy.refused = refusedNothing
		if why := l.mayCopy(s); why != refusedNothing && !l.refuse(s, why, 0) {
			return l.copy.refusedError(l.pid)
		}
	}
	l.readMapsEarly(s)
	if l.goList != nil {
		l.goList.Prepare(s, &l.mem)
	}
	if errno := l.listThreads(); errno != 0 {
		s.Soft(snapshot.OpListThreads, int32(errno), 0, 0)
		l.listOwn(s.Proc.Blamed)
	}
	return nil
}

// captureStopped does everything for which the target's threads must be stopped. It runs on the tracing thread. An
// error is that of reading the memory map, without which no dump is possible.
func (l *Source) captureStopped(s *snapshot.Snapshot) sys.Errno {
	l.mem.pages.Forget()
	l.mem.expired = &l.stop.expired
	if l.fork != nil && l.fork.copied {
		l.listForked(s)
	} else {
		l.stopAll(s)
		l.readRegisters(s)
	}
	if !l.mapsHold(s) {
		if errno := l.readMaps(s); errno != 0 {
			s.Soft(snapshot.OpParseMaps, int32(errno), 0, 0)
			if s.Threads.N == 0 || errno == unix.EACCES || errno == unix.EPERM {
				return errno
			}
		}
	}
	if l.wantsCopy(s) && l.copy.refused == refusedNothing {
		why, errno := l.copyProcess(s)
		if why == refusedNothing {
			l.resume()
			l.copy.headroom.watch(l.copy)
		} else if !l.refuse(s, why, errno) {
			return errRefused
		}
	}
	l.captureMemory(s)
	return 0
}

// errRefused means that the process could not be copied although the dump requires a copy.
const errRefused = sys.Errno(unix.ENOTRECOVERABLE)
