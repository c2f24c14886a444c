package minidump

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// live is a running process as the source of snapshots.
//
// All ptrace requests must come from one OS thread, and a thread that could not be stopped in time stays traced by that
// one until it stops or the OS thread ends. So a goroutine of its own, locked to its OS thread, does the tracing
// from NewWriter to Close. It takes steps by a futex, and never touches the Go scheduler between stop and resume.
type live struct {
	pid    int32
	mem    liveMemory
	via    int32 // the thread that dir and mem go by when the first one has ended; 0: none
	native context.Arch

	traced   table[ptrace.Thread]
	tids     table[int32]
	goStacks goStacks

	facts      facts
	auxv       procfs.Auxv
	auxvSeen   [auxvSize]byte // the vector of the program that isGo was found for
	auxvLen    int
	isGo       bool
	stat       unix.Statx_t
	procStat   procfs.Stat // the one that was read last
	debug      [8]uint64
	tracing    bool        // the goroutine runs
	traceTID   int         // its OS thread
	begun      uint32      // it does, on a thread that it can keep
	held       bool        // instead, the calling OS thread traces the process already and does the steps itself (NewTracedWriter)
	stopping   atomic.Bool // the tracing goroutine waits for threads to stop
	reapWait   unix.Timespec
	stopped    bool
	early      procfs.Statm // from before the memory map was read, before the stop; zero: it was not
	quiet      sys.QuietStops
	stopSince  int64
	otherTrace bool

	work    arena // of scratch, and of all other memory that each dump writes over
	scratch []byte

	// for what is looked up in files, and along link_map
	images elf.Reader
	zip    elf.ZipReader
	file   fdSource
	view   elf.View
	layout elf.Layout
	window memoryWindow

	// the step that the tracing goroutine is to do, and whose turn it is
	turn   uint32
	step   stepKind
	writer *Writer
	err    error

	// last, as they are large and little of them is ever touched
	tracer ptrace.Tracer
	dir    procfs.Dir
}

const auxvSize = 1024

type stepKind uint8

const (
	stepCapture stepKind = iota
	stepRelease
	stepEnd
)

// Whose turn it is. The two goroutines hand over by a futex and not by a channel: a channel makes the runtime allocate
// when a goroutine waits, and needs its scheduler.
const (
	turnIdle   = 0
	turnTracer = 1
	turnCaller = 2
)

// NewWriter prepares dumps of the live process pid. All memory that they need is taken here. The process is not
// touched yet.
//
// The process may be a child of this one. But while it is stopped, a wait for it in this program (exec.Cmd.Wait, os.Process.Wait)
// returns at once, as if it had ended: Linux reports the stops of a traced child to every wait of the tracing program.
// A program that dumps its own children should wait for them only afterwards, or run the command minidump instead.
func NewWriter(pid int, o Options) (*Writer, error) {
	w, l, err := newLive(pid, o)
	if err != nil {
		return nil, err
	}
	w.opts.Crash = w.refined(w.opts.Crash)
	l.startTracing()
	return w, nil
}

// NewTracedWriter prepares dumps of the live process pid, which the calling OS thread traces already (PTRACE_SEIZE), by
// whatever means. Package minidump/run makes its dumps with it. What is different from NewWriter:
//
//   - Dump has to be called on that OS thread, to which its goroutine is locked (runtime.LockOSThread): it does all requests of
//     ptrace itself.
//   - Threads stop and go on as by Hold and LetRun of package ptrace: one that is in a stop already, since a signal came or
//     it is about to end, is dumped as it is and left so. None is let go of: a thread that was not traced yet is
//     afterwards, and the stop of one that was too slow comes when the dump is done, for the tracer to see.
//   - In every mode the process is stopped until the dump is written, and Result.Pause tells so: one that is about to die must be
//     there until then.
//   - This program gets a SIGCHLD of each stop, if it has not asked to be spared that (SA_NOCLDSTOP).
func NewTracedWriter(pid int, o Options) (*Writer, error) {
	w, l, err := newLive(pid, o)
	if err != nil {
		return nil, err
	}
	l.held = true
	w.opts.Crash = w.refined(w.opts.Crash)
	return w, nil
}

// startTracing starts the tracing goroutine on an OS thread other than the program's first, which the Go runtime parks
// rather than ends.
//
// It waits in a system call, which keeps this OS thread from being the one. To wait by a channel would give it away, to
// the tracing goroutine more often than not.
func (l *live) startTracing() {
	l.turn, l.begun = turnIdle, 0
	l.tracing = true
	sys.OnOwnThread(l.trace)
	l.await(turnCaller, nil)
}

// newLive makes a Writer of a live process whose steps no one does yet. Writer and source are one piece of memory, and what
// is written over in each dump is another: for each size of its own the Go runtime would touch two pages.
func newLive(pid int, o Options) (*Writer, *live, error) {
	if pid == unix.Getpid() {
		return nil, nil, &processError{pid: int32(pid), err: ErrSelf}
	}
	both := new(struct {
		w Writer
		l live
	})
	w, l := &both.w, &both.l
	l.pid, l.native = int32(pid), context.Native
	l.tracer.Init(pid)
	l.mem = liveMemory{pid: pid, dir: &l.dir, tracer: &l.tracer, memFD: -1}
	if err := l.dir.Open(pid); err != nil {
		return nil, nil, &attemptError{what: "look at the process", err: mapErrno(err)}
	}
	buf, err := l.reserve()
	if err != nil {
		l.close()
		return nil, nil, err
	}
	if err := w.init(o, buf); err != nil {
		l.close()
		return nil, nil, err
	}
	w.src = l
	if err := l.firstLook(&w.snap.bytes); err != nil {
		w.Close()
		return nil, nil, err
	}
	return w, l, nil
}

// reserve takes the memory of a live source, and returns what of it the encoder may use: that which no one uses any more when
// a dump is written.
func (l *live) reserve() (buf []byte, err error) {
	const late, iovecs = dsoChunk + 2*elf.MinScratch, 2 * maxIovec
	const size = goScratch + max(late, encoderBuffer) + int(unsafe.Sizeof(unix.RemoteIovec{}))*iovecs
	for _, r := range []struct {
		a *arena
		n uintptr
	}{{&l.work, uintptr(size)}, {&l.traced.arena, 8 << 20}, {&l.tids.arena, 4 << 20}} {
		if err := r.a.reserve(r.n); err != nil {
			return nil, err
		}
	}
	if err := l.goStacks.reserve(); err != nil {
		return nil, err
	}
	work := l.work.piece(size)
	if work == nil {
		work = make([]byte, size)
	}
	cut := func(n int) (b []byte) {
		b, work = work[:n:n], work[n:]
		return b
	}
	l.scratch = cut(goScratch)
	buf = cut(max(late, encoderBuffer))
	l.mem.long = unsafe.Slice((*unix.RemoteIovec)(unsafe.Pointer(&work[0])), iovecs)
	l.images.Init(buf[:elf.MinScratch:elf.MinScratch])
	l.zip.Init(buf[elf.MinScratch:][:elf.MinScratch:elf.MinScratch])
	l.window = memoryWindow{mem: &l.mem, buf: buf[2*elf.MinScratch:][:dsoChunk:dsoChunk]}
	return buf, nil
}

// mapErrno gives the package's errors beside the system's.
func mapErrno(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT):
		return &systemError{ErrNoProcess, err}
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return &systemError{ErrPermission, err}
	}
	return err
}

// trace does the steps of all dumps on one OS thread. With its end that one ends too, and the kernel lets go of whatever it
// still traced.
func (l *live) trace() (leave bool) {
	if l.traceTID = sys.Gettid(); l.traceTID == sys.Getpid() {
		// The first one would be parked. While this one is kept, the next goroutine gets another.
		sys.OnOwnThread(l.trace)
		for atomic.LoadUint32(&l.begun) == 0 {
			sys.FutexWait(&l.begun, 0, nil)
		}
		return true
	}
	atomic.StoreUint32(&l.begun, 1)
	sys.FutexWake(&l.begun)
	l.pass(turnCaller)
	for {
		l.await(turnTracer, nil)
		l.perform()
		end := l.step == stepEnd
		l.pass(turnCaller)
		if end {
			return false
		}
	}
}

func (l *live) perform() {
	w := l.writer
	switch l.step {
	case stepCapture:
		l.err = l.captureStopped(w)
		// A process that is held is about to die of what it did: it must be there until the dump is complete.
		if w.opts.Mode != ModeFull && !l.held || l.err != nil {
			l.resume(w)
		}
	case stepRelease:
		l.resume(w)
	}
}

// await blocks until it is that one's turn, or gives ETIMEDOUT.
func (l *live) await(turn uint32, timeout *unix.Timespec) sys.Errno {
	for {
		now := atomic.LoadUint32(&l.turn)
		if now == turn {
			return 0
		}
		if sys.FutexWait(&l.turn, now, timeout) == unix.ETIMEDOUT {
			return unix.ETIMEDOUT
		}
	}
}

func (l *live) pass(turn uint32) {
	atomic.StoreUint32(&l.turn, turn)
	sys.FutexWake(&l.turn)
}

// do has one step done by whoever traces the process.
func (l *live) do(w *Writer, what stepKind) error {
	l.writer, l.step, l.err = w, what, nil
	if l.held {
		l.perform()
	} else {
		l.pass(turnTracer)
		l.awaitTracer()
	}
	l.writer = nil
	return l.err
}

func (l *live) capture(w *Writer) error {
	if err := l.prepare(w); err != nil {
		return err
	}
	err := l.do(w, stepCapture)
	l.letGoOfAll()
	return err
}

func (l *live) release(w *Writer) {
	if l.stopped {
		l.do(w, stepRelease)
		l.letGoOfAll()
	}
}

// How long a dump waits for threads to stop that were too slow to be dumped, so that they can be let go of, before it
// ends the OS thread that traces them; and then for that end.
const (
	releaseWait = 20 * time.Millisecond
	endWait     = time.Second
)

// letGoOfAll ends the tracing goroutine, and with it its OS thread, when threads of the process are still traced by it
// although the dump is done: they would hang as soon as they stop. Another one takes its place.
func (l *live) letGoOfAll() {
	if l.held || !l.tracing || l.stopped || l.tracer.Leftover() == 0 {
		return
	}
	tid := l.traceTID
	l.do(nil, stepEnd)
	deadline := ptrace.Monotonic() + int64(endWait)
	for sys.Tgkill(sys.Getpid(), tid, 0) == 0 && ptrace.Monotonic() < deadline {
		time.Sleep(100 * time.Microsecond)
	}
	l.tracer.Init(int(l.pid)) // its list of leftovers means nothing any more
	l.startTracing()
}

func (l *live) memory() targetMemory { return &l.mem }

func (l *live) close() error {
	if l.tracing {
		l.do(nil, stepEnd)
		l.tracing = false
	}
	l.mem.close()
	l.work.release()
	l.traced.release()
	l.tids.release()
	l.goStacks.release()
	return l.dir.Close()
}

// prepare does what comes before the stop. It is not bound to an OS thread: the scheduler, which after a wait likes to
// take a goroutine's turn from it, can do that here for little.
func (l *live) prepare(w *Writer) error {
	s := &w.snap
	s.target, s.system, s.proc.pid = l.facts.target, l.facts.system, l.pid
	l.choose(w)
	if err := l.readConstant(w); err != nil {
		return err
	}

	l.mem.begin()
	l.readMapsEarly(w)
	if errno := l.listThreads(); errno != 0 {
		s.soft(opListThreads, int32(errno), 0, 0)
		l.listOwn(s.proc.blamed)
	}
	return nil
}

// captureStopped does all that needs the target's threads to stand still. It runs on the tracer's thread.
func (l *live) captureStopped(w *Writer) error {
	s := &w.snap
	if !l.held { // else the tracer sees to that
		l.quiet.Begin()
	}
	l.stopSince = ptrace.Monotonic()
	l.stopped = true
	l.stopping.Store(true)
	l.stopAll(w)
	l.stopping.Store(false)
	l.readRegisters(w)
	if !l.mapsHold(s) {
		if errno := l.readMaps(s); errno != 0 {
			s.soft(opParseMaps, int32(errno), 0, 0)
			if s.threads.n == 0 || errno == unix.EACCES || errno == unix.EPERM {
				l.resume(w)
				return &attemptError{what: "read maps", pid: l.pid, err: mapErrno(errno)}
			}
		}
	}
	if w.opts.Mode == ModeFull {
		l.chooseFull(w)
	}
	l.readStacks(w)
	return nil
}

// resume lets all threads go on and measures how long they stood.
func (l *live) resume(w *Writer) {
	if !l.stopped {
		return
	}
	l.mem.peekTID = 0
	if l.held {
		l.tracer.LetRun(l.traced.all())
	} else {
		l.tracer.Detach(l.traced.all())
	}
	l.stopped = false
	w.pause = time.Duration(ptrace.Monotonic() - l.stopSince)
	l.quiet.End()
	if !l.held && l.tracer.Leftover() > 0 {
		l.tracer.Release(ptrace.Monotonic() + int64(releaseWait))
	}
}

// choose settles which thread the dump is about and what is known of its crash.
func (l *live) choose(w *Writer) {
	s, o := &w.snap, &w.opts
	s.proc.blamed = l.pid
	if o.Crash != nil && o.Crash.TID != 0 {
		s.proc.blamed = o.Crash.TID
	}
	if o.Thread != 0 {
		s.proc.blamed = int32(o.Thread)
	}
	s.crash.from(o.Crash)
}

// readConstant reads what does not change while the process runs, and what must be seen before it is stopped: its
// state and that of its threads.
func (l *live) readConstant(w *Writer) error {
	s, o := &w.snap, &w.opts
	s.raw[rawCPUInfo], s.raw[rawLSBRelease] = l.facts.cpuinfo, l.facts.osRelease
	if l.facts.cpuinfoErr != 0 {
		s.soft(opCPUInfo, int32(l.facts.cpuinfoErr), 0, 0)
	}
	if l.facts.osReleaseErr != 0 {
		s.soft(opOSRelease, int32(l.facts.osReleaseErr), 0, 0)
	}
	if l.facts.bootTime == 0 {
		s.soft(opSystem, int32(l.facts.bootTimeErr), 0, 0)
	}

	if l.via != 0 { // it may have ended too
		l.followLiving()
	}
	if err := l.readStat(s); err != nil {
		return err
	}
	l.blameLiving(w)

	l.readRaw(s, rawAuxv, "auxv\x00", opAuxv)
	auxv := s.bytes.bytes(s.raw[rawAuxv])
	l.auxv = procfs.ParseAuxv(auxv, s.target.wordSize(), s.target.order)
	if !l.auxv.Complete {
		s.soft(opReadAuxv, 0, 0, 0)
	}
	s.adoptAuxv(&l.auxv)
	if len(auxv) > 0 && string(auxv) != string(l.auxvSeen[:l.auxvLen]) { // a new program: execve changes AT_RANDOM
		l.auxvLen = copy(l.auxvSeen[:], auxv)
		l.mem.close() // an open /proc/PID/mem stays with the old program's memory
		l.isGo = s.looksLikeGo(&l.mem, l.scratch)
	}
	s.proc.isGo = l.isGo

	l.readRaw(s, rawStatus, "status\x00", opStatus)
	status := procfs.ParseStatus(s.bytes.bytes(s.raw[rawStatus]))
	l.otherTrace = status.TracerPid != 0
	l.readRaw(s, rawLimits, "limits\x00", opLimits)
	if o.Omit&OmitCmdline == 0 {
		l.readRaw(s, rawCmdline, "cmdline\x00", opCmdline)
	}
	if o.Omit&OmitEnviron == 0 {
		l.readRaw(s, rawEnviron, "environ\x00", opEnviron)
	}
	return nil
}

// readStat reads times and relations of the process. It fails if it is none that could be dumped.
func (l *live) readStat(s *snapshot) error {
	b, errno := l.readSmall("stat\x00")
	if errno != 0 {
		if errno == unix.ENOENT || errno == unix.ESRCH {
			return &attemptError{what: "read stat", pid: l.pid, err: mapErrno(errno)}
		}
		s.soft(opStat, int32(errno), 0, 0)
	} else if st := &l.procStat; st.Parse(b) {
		if st.Flags&pfKthread != 0 {
			return &processError{l.pid, "is a kernel thread", ErrUnsupported}
		}
		if st.State == 'Z' && st.NumThreads <= 1 || st.State == 'X' {
			return &processError{l.pid, "has ended and waits for its parent", ErrNoProcess}
		}
		tick := l.facts.clockTick
		s.proc.ppid = st.PPID
		s.proc.userTime, s.proc.kernelTime = uint32(st.UTime/tick), uint32(st.STime/tick)
		state, start := st.State, st.StartTime
		if l.via != 0 {
			if n, errno := l.dir.TaskFile(l.pid, "stat\x00", l.scratch); errno == 0 && st.Parse(l.scratch[:n]) {
				start = st.StartTime
			}
		}
		if s.proc.createTime = 0; l.facts.bootTime != 0 {
			s.proc.createTime = uint32(l.facts.bootTime + start/tick)
		}
		if state == 'Z' && l.via == 0 {
			l.followLiving()
		}
	}
	return nil
}

// isGoNow looks at the process before its dump does.
func (l *live) isGoNow(s *snapshot) bool {
	b, errno := l.readSmall("auxv\x00")
	if errno != 0 {
		return false
	}
	l.mem.begin() // the program may be another than that of the last dump
	s.target = l.facts.target
	auxv := procfs.ParseAuxv(b, s.target.wordSize(), s.target.order)
	s.adoptAuxv(&auxv)
	return s.looksLikeGo(&l.mem, l.scratch)
}

// pfKthread is PF_KTHREAD of the kernel's include/linux/sched.h.
const pfKthread = 0x00200000

// readSmall reads a short file of /proc/PID into scratch memory that the next call uses again.
func (l *live) readSmall(name string) ([]byte, sys.Errno) {
	n, _, errno := l.dir.ReadFile(name, l.scratch)
	return l.scratch[:n], errno
}

// readRaw reads a whole file of /proc/PID into the snapshot.
func (l *live) readRaw(s *snapshot, which int, name string, op softOp) sys.Errno {
	fd, errno := l.dir.OpenFile(name, unix.O_RDONLY)
	if errno == 0 {
		s.raw[which], errno = readAll(&s.bytes, fd)
	}
	if errno != 0 {
		s.soft(op, int32(errno), 0, 0)
	}
	return errno
}

// stopAll stops every thread that listThreads has found: all are told to stop before the first is waited for. While the
// kernel counts more threads than that, the list is read again. Since a listing can end early when a thread dies under
// it, a few have to bring nothing new.
func (l *live) stopAll(w *Writer) {
	s := &w.snap
	timeout := w.opts.StopTimeout
	if timeout <= 0 {
		timeout = DefaultStopTimeout
	}
	deadline := l.stopSince + int64(timeout)
	l.traced.clear()
	for round, idle := 0, 0; idle < 3; round++ {
		known := l.traced.n
		if round > 0 {
			if l.noneIsNew() {
				break
			}
			if errno := l.listThreads(); errno != 0 {
				s.soft(opRelist, int32(errno), 0, 0)
				break
			}
		}
		l.addNew()
		fresh := l.traced.all()[known:]
		if len(fresh) == 0 {
			idle++
			continue
		}
		idle = 0
		for i := range fresh {
			if l.held {
				l.tracer.Hold(&fresh[i])
			} else {
				l.tracer.Seize(&fresh[i])
			}
		}
		l.tracer.Collect(l.traced.all(), deadline) // all: an execve kills threads that have stopped
		if round > 0 && ptrace.Monotonic() > deadline {
			break
		}
	}
	denied := 0
	for i := range l.traced.all() {
		th := l.traced.at(i)
		if th.State == ptrace.Gone {
			continue
		}
		t := s.threads.add()
		if t == nil {
			s.soft(opTruncated, 0, th.TID, 0)
			continue
		}
		t.tid = th.TID
		switch th.State {
		case ptrace.Stopped:
			t.state = threadStopped
			if l.mem.peekTID == 0 {
				l.mem.peekTID = th.TID
			}
			continue
		case ptrace.Denied:
			if denied++; denied == 1 {
				op := opSeize
				if l.otherTrace {
					op = opOtherTracer
				}
				s.soft(op, int32(th.Errno), th.TID, 0)
			}
		case ptrace.TimedOut:
			s.soft(opStop, int32(unix.ETIMEDOUT), th.TID, 0)
		default:
			s.soft(opSeize, int32(th.Errno), th.TID, 0)
		}
		t.state = threadNoRegisters
		l.registersFromProc(t)
	}
	if l.mem.peekTID == 0 {
		s.soft(opNoThreads, 0, 0, 0)
	}
	s.addBlamed(opSeize, int32(unix.ESRCH))
}

// listOwn stands in for listThreads: the threads that are known without a list.
func (l *live) listOwn(blamed int32) {
	l.tids.clear()
	if out := l.tids.extend(1); out != nil {
		out[0] = l.pid
	}
	if blamed != l.pid {
		if out := l.tids.extend(1); out != nil {
			out[0] = blamed
		}
	}
}

// noneIsNew tells by the number of threads alone that there is none besides those known. To read the list takes the
// kernel longer than to read all registers.
func (l *live) noneIsNew() bool {
	living := 0
	for i := range l.traced.all() {
		if l.traced.at(i).State != ptrace.Gone {
			living++
		}
	}
	n, errno := l.dir.NumTasks()
	return errno == 0 && n == living
}

// listThreads reads the ids of the present threads into l.tids.
func (l *live) listThreads() sys.Errno {
	for want := max(l.tids.n, 256); ; want *= 2 {
		l.tids.clear()
		out := l.tids.extend(want)
		if out == nil {
			return unix.ENOMEM
		}
		n, more, errno := l.dir.Tasks(l.scratch, out)
		l.tids.n = n
		if errno != 0 || !more {
			return errno
		}
	}
}

// addNew adds the listed threads that are not known yet. /proc lists threads in order of birth, so the known ones come
// first unless some have ended: then the search goes on from where the last one was found.
func (l *live) addNew() {
	known := l.traced.n
	k := 0
next:
	for _, tid := range l.tids.all() {
		for i := range known {
			j := k + i
			if j >= known {
				j -= known
			}
			if l.traced.at(j).TID == tid {
				k = j + 1
				continue next
			}
		}
		if t := l.traced.add(); t != nil {
			t.TID = tid
		}
	}
}

// registersFromProc gives SP and IP of a thread that can't be traced, where the kernel shows them.
func (l *live) registersFromProc(t *thread) {
	n, errno := l.dir.TaskFile(t.tid, "syscall\x00", l.scratch)
	if errno == 0 {
		if _, sp, pc, running, ok := procfs.ParseSyscall(l.scratch[:n]); ok && !running {
			t.sp, t.pc, t.hasSP = sp, pc, true
			return
		}
	}
	n, errno = l.dir.TaskFile(t.tid, "stat\x00", l.scratch)
	if errno == 0 {
		if st := &l.procStat; st.Parse(l.scratch[:n]) && st.KStkESP != 0 && st.KStkEIP != 0 {
			t.sp, t.pc, t.hasSP = st.KStkESP, st.KStkEIP, true
		}
	}
}

// readRegisters takes the raw register sets of every stopped thread. What they mean is worked out after the resume.
func (l *live) readRegisters(w *Writer) {
	s := &w.snap
	arch := s.target.arch
	watch := debugUnknown
	for i := range s.threads.all() {
		t := s.threads.at(i)
		if t.state != threadStopped {
			continue
		}
		// The longest of the machine's own and of those that its kernel runs besides.
		gp, b := s.bytes.alloc(l.native.GPSize())
		if b == nil {
			s.soft(opTruncated, 0, t.tid, 0)
			return
		}
		n, errno := l.tracer.Regset(t.tid, ntPRStatus, b)
		if errno == unix.EIO || errno == unix.EINVAL {
			n, errno = l.tracer.GetRegs(t.tid, b)
		}
		if errno != 0 {
			s.soft(opRegisters, int32(errno), t.tid, 0)
			t.state = threadNoRegisters
			s.bytes.trim(gp, 0)
			l.registersFromProc(t)
			continue
		}
		t.gp = s.bytes.trim(gp, n)
		if context.ArchOfRegset(l.native, n) != arch {
			// A thread in the other mode of its CPU: its registers don't fit the dump's one architecture.
			s.soft(opRegisters, int32(unix.ENOTSUP), t.tid, 0)
			t.gp = span{}
			continue
		}
		r := context.Regsets{Arch: arch, Order: s.target.order, GP: s.bytes.bytes(t.gp)}
		t.sp, t.pc = r.SP(), r.PC()
		t.hasSP = true
		l.readFP(s, t)
		l.readVector(s, t)
		if watch = l.readDebug(s, t, watch); w.opts.RegisterSets {
			l.readRegsets(s, t)
		}
	}
}

func (l *live) readFP(s *snapshot, t *thread) {
	arch := s.target.arch
	fp, b := s.bytes.alloc(arch.FPSize())
	if b == nil {
		s.soft(opTruncated, 0, t.tid, 0)
		return
	}
	note := arch.FPRegset()
	n, errno := l.tracer.Regset(t.tid, note, b)
	if errno != 0 && note != ntPRFPReg {
		note = ntPRFPReg
		n, errno = l.tracer.Regset(t.tid, note, b)
	}
	if errno != 0 {
		n, errno = l.tracer.GetFPRegs(t.tid, b)
	}
	if errno != 0 {
		s.bytes.trim(fp, 0)
		s.soft(opFPRegisters, int32(errno), t.tid, 0)
		return
	}
	t.fp = s.bytes.trim(fp, n)
	t.fpType = note
}

// readVector reads what else the context record takes in. That a CPU or a kernel does not have it is no error.
func (l *live) readVector(s *snapshot, t *thread) {
	notes, sizes := vectorSets(s.target.arch)
	if sizes[0] == 0 {
		return
	}
	all, b := s.bytes.alloc(sizes[0] + sizes[1])
	if b == nil {
		return
	}
	used := 0
	for i, note := range notes {
		if sizes[i] == 0 {
			break
		}
		n, errno := l.tracer.Regset(t.tid, note, b[used:used+sizes[i]])
		if errno != 0 {
			break
		}
		used += n
	}
	t.vector = s.bytes.trim(all, used)
}

// Whether threads of the target have debug registers in use. A thread gets them from a tracer only, and debuggers set
// them in every thread: so the main and the blamed thread answer for all, unless one of them has some.
type debugState uint8

const (
	debugUnknown debugState = iota
	debugNone
	debugInUse
)

func (l *live) readDebug(s *snapshot, t *thread, known debugState) debugState {
	if s.target.arch != context.AMD64 && s.target.arch != context.X86 || l.native != context.AMD64 && l.native != context.X86 {
		return debugNone
	}
	if known == debugNone && t.tid != s.proc.blamed {
		return known
	}
	dr7, errno := l.tracer.DebugRegister(t.tid, 7)
	if errno != 0 || dr7 == 0 {
		return max(known, debugNone)
	}
	if l.tracer.DebugRegisters(t.tid, &l.debug) == 0 {
		var b []byte
		if t.debug, b = s.bytes.alloc(64); b != nil {
			copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&l.debug)), 64))
		}
	}
	return debugInUse
}

// readMapsEarly reads and parses the memory map before the stop. Of a process with many libraries the kernel takes
// milliseconds to write it, the longest part of a stop by far. In mode full, in which every mapping is copied, it does nothing.
func (l *live) readMapsEarly(w *Writer) {
	s := &w.snap
	l.early = procfs.Statm{}
	if w.opts.Mode == ModeFull || l.held {
		return
	}
	early, known := l.readStatm(), s.errors.n
	if l.readMaps(s) == 0 && s.errors.n == known {
		l.early = early
	}
	s.errors.n = known // what failed does so again in the stop, and is told of there
}

// mapsHold tells, in the stop, whether the map that was read before it is the one of now: the process's size is the same,
// and every thread stands on mappings that are known. Otherwise it forgets the map.
func (l *live) mapsHold(s *snapshot) bool {
	if l.early.Size != 0 {
		now := l.readStatm()
		hold := now.Size == l.early.Size && now.Data == l.early.Data
		for i := 0; hold && i < s.threads.n; i++ {
			t := s.threads.at(i)
			hold = !t.hasSP || s.find(t.sp) != nil && s.find(t.pc) != nil
		}
		if hold {
			return true
		}
	}
	s.mappings.clear()
	s.raw[rawMaps] = span{}
	return false
}

// readStatm gives the zero Statm where there is none.
func (l *live) readStatm() procfs.Statm {
	b, _ := l.readSmall("statm\x00")
	m, _ := procfs.ParseStatm(b)
	return m
}

// readMaps reads and parses the memory map.
func (l *live) readMaps(s *snapshot) sys.Errno {
	if errno := l.readRaw(s, rawMaps, "maps\x00", opMaps); errno != 0 {
		return errno
	}
	s.parseMaps(s.bytes.bytes(s.raw[rawMaps]))
	return 0
}

// readStacks decides what memory goes in and captures it.
func (l *live) readStacks(w *Writer) {
	s := &w.snap
	s.adoptCrash(&w.opts)
	s.chooseStacks(&w.opts, l.goStacks.find(s, &l.mem))
	s.captureChosen(w, &l.mem)
}
