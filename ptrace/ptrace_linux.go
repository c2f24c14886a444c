package ptrace

import (
	"unsafe"

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

// State is how far a session has come with a thread.
type State uint8

const (
	Listed   State = iota // known by its id, nothing done yet
	Seized                // traced and told to stop
	Stopped               // stopped: its registers can be read
	Gone                  // it exited, or became another id by execve
	TimedOut              // it had not stopped when the deadline passed
	Denied                // EPERM: no permission, or another tracer has it
	Failed                // PTRACE_SEIZE failed for another reason, see Errno
)

var stateNames = [...]string{"listed", "seized", "stopped", "gone", "timed out", "denied", "failed"}

// String returns a short English name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Thread is one thread of the target. A caller fills TID and leaves the rest to the Tracer.
type Thread struct {
	TID       int32
	Signal    int32     // the signal of a signal-delivery-stop, 0 without; Detach delivers it
	Errno     sys.Errno // the last error with this thread; 0 is none
	State     State
	Event     uint8 // PTRACE_EVENT_STOP, or 0 in a signal-delivery-stop
	GroupStop bool  // the process is stopped by a stop signal (state T) and will stay so
}

// MaxLeftover is how many threads that could not be let go of a Tracer keeps for Release.
const MaxLeftover = 4096

// Tracer stops and reads the threads of one process. All calls must come from the OS thread of the first Seize.
// It is one heap object that holds everything the kernel reads or writes.
type Tracer struct {
	info   [128]byte // struct siginfo; first, so that it is aligned
	ts     unix.Timespec
	iov    unix.Iovec
	word   uintptr
	pid    int32
	status int32
	old    bool // waitid does not know __WALL (before Linux 4.7)
	path   [40]byte
	stat   [256]byte

	nleft int
	over  int // leftovers for which there was no room
	left  [MaxLeftover]int32
}

// New makes a Tracer for the process pid (the id of its main thread). It touches the process in no way.
func New(pid int) *Tracer {
	t := new(Tracer)
	t.Init(pid)
	return t
}

// Init makes of t what New returns, for a Tracer that is part of something larger. Of threads that are left over it knows
// nothing any more.
func (t *Tracer) Init(pid int) {
	t.pid, t.old, t.nleft, t.over = int32(pid), false, 0, 0
}

// Seize attaches to th and tells it to stop, without waiting for that. The state becomes Seized, or Gone, Denied or
// Failed. No ptrace option is set: above all not PTRACE_O_EXITKILL. While another thread of the target is in execve it
// waits for that, in rare cases for ever: see Reap.
func (t *Tracer) Seize(th *Thread) {
	tid := int(th.TID)
	*th = Thread{TID: th.TID}
	e := sys.PtraceSeize(tid)
	switch {
	case e == 0:
	case e == unix.ESRCH:
		th.State, th.Errno = Gone, e
		return
	case e == unix.EPERM && t.forget(th.TID):
		// Left over from an earlier session: it is ours already.
	case e == unix.EPERM:
		th.State, th.Errno = Denied, e
		// A dead thread that is still there (a main thread that has called pthread_exit) gives EPERM too.
		if state, _, e := t.readStat(th.TID); state == 'Z' || state == 'X' || e == unix.ENOENT || e == unix.ESRCH {
			th.State = Gone
		}
		return
	default:
		th.State, th.Errno = Failed, e
		return
	}
	th.State = Seized
	// An error here means that the thread is dying; Collect finds out. A second try costs nothing.
	if e = sys.Ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0); e != 0 {
		e = sys.Ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
	}
	th.Errno = e
	if e == unix.ESRCH && th.TID != t.pid {
		// It may have become the main thread by an execve while PTRACE_SEIZE waited, and is traced under that id.
		t.keep(t.pid)
	}
}

// Collect waits until every Seized thread of ths has stopped or is gone, or until Monotonic() has reached deadline (a
// deadline in the past makes it look once). It returns how many had not stopped; their state becomes TimedOut.
//
// It is best given all threads of the session, also those that are Stopped: when one of them executes a program, the
// kernel kills the others, Stopped ones too, and the execve waits in state D until their tracer has reaped them.
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
			// Threads stop about in the order in which they were told to. So while the first that has not may just
			// need another moment, those behind it are not asked.
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
			round = -1 // something has moved on
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

// recheck finds Stopped threads that are so no more because they were killed, or are another thread after its execve.
// Those that have not stopped are told again to: after an execve, the main thread may be one that never was.
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
		th.State = Seized // which look makes Gone if it is
	}
}

// look asks once whether a seized thread has stopped.
func (t *Tracer) look(th *Thread, round int) {
	code, status, e := t.wait(th.TID)
	switch {
	case e == unix.ECHILD:
		th.State, th.Errno = Gone, e
	case e != 0:
		th.Errno = e // nothing is known: ask again until the deadline
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

// unreported looks at a thread of which waitid says nothing although time has passed. A main thread that ends before the
// others is never reported while they live. And a stop may have been reported to another thread of this process that
// waits for the same child: a wait by any thread of a tracer sees, and takes away, the stops of its own children.
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

// askStop finds out what kind of stop a thread is in by its siginfo; not ok if it is in none.
func (t *Tracer) askStop(tid int32) (signal int32, event uint8, groupStop, ok bool) {
	switch e := t.SigInfo(tid, &t.info); e {
	case 0:
	case unix.EINVAL: // a group-stop that is listened to has no siginfo
		return 0, PTRACE_EVENT_STOP, true, true
	default:
		return 0, 0, false, false
	}
	signal, code := signalInfo(&t.info)
	if code>>8 == PTRACE_EVENT_STOP { // then si_code is what a wait reports
		signal, event, groupStop = stopKind(code)
		return signal, event, groupStop, true
	}
	return signal, 0, false, true
}

// stopKind takes apart the status of a stop: the signal number, and above it the ptrace event.
func stopKind(status int32) (signal int32, event uint8, groupStop bool) {
	signal, event = status&0x7f, uint8(status>>8)
	if event == 0 {
		return signal, 0, false
	}
	switch unix.Signal(signal) {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		groupStop = event == PTRACE_EVENT_STOP
	}
	return 0, event, groupStop
}

// wait asks what has happened to tid, without consuming it (see the package comment), and without waiting. A code of
// 0 means that nothing has.
func (t *Tracer) wait(tid int32) (code, status int32, errno sys.Errno) {
	options := unix.WSTOPPED | unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	if !t.old {
		errno = sys.Waitid(int(tid), &t.info, options|unix.WALL)
		if errno == unix.ECHILD { // asked twice: a thread that is taken for gone would be left stopped for good
			errno = sys.Waitid(int(tid), &t.info, options|unix.WALL)
		}
		if errno != unix.EINVAL {
			return t.childInfo(errno)
		}
		t.old = true
	}
	// Before Linux 4.7 waitid sees no thread but the main one. wait4 does, but consumes what it reports.
	if tid == t.pid {
		return t.childInfo(sys.Waitid(int(tid), &t.info, options))
	}
	t.status = 0
	r, errno := sys.Wait4(int(tid), &t.status, unix.WNOHANG|unix.WALL)
	switch {
	case errno != 0 || r == 0:
		return 0, 0, errno
	case t.status&0xff == 0x7f:
		return cldTrapped, t.status >> 8, 0
	default:
		return cldExited, t.status, 0
	}
}

// reap lets a dead thread vanish, and passes the exit of a main thread on to its parent. If the parent is this
// process, it is left for whoever waits there.
func (t *Tracer) reap(tid int32) bool {
	if tid == t.pid {
		_, ppid, e := t.readStat(tid)
		if e != 0 {
			return false // not known: rather leave it
		}
		if int(ppid) == sys.Getpid() {
			return true
		}
	}
	options := unix.WEXITED | unix.WNOHANG
	if t.old {
		t.status = 0
		_, e := sys.Wait4(int(tid), &t.status, unix.WNOHANG|unix.WALL)
		return e == 0 || e == unix.ECHILD
	}
	e := sys.Waitid(int(tid), &t.info, options|unix.WALL)
	return e == 0 || e == unix.ECHILD
}

// Detach lets every thread of ths go on that Seize has attached to, in whatever state it is, with the signal that it
// was about to take. Threads of a stopped process stay stopped. A thread that can't be let go of (see the package
// comment) is kept for Release and counted by Leftover. All states become Listed, but for Gone, Denied and Failed.
func (t *Tracer) Detach(ths []Thread) {
	late := 0
	for i := range ths {
		th := &ths[i]
		switch th.State {
		case Stopped:
			// A stopped main thread may have become another thread by its execve.
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
	// A thread that was stopped and now is not has been killed, and is dead in a moment.
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

// letGo detaches from tid if it is in a stop, reaps it if it is dead, and reports whether it is traced no longer.
// The signal is one that a consumed stop has reported.
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

// Leftover returns how many threads are still traced after Detach because they could not be stopped, and will hang
// when they can, unless they are let go of (see the package comment).
func (t *Tracer) Leftover() int { return t.nleft + t.over }

// Release tries to let go of the threads that Detach could not, until none is left or Monotonic() has reached
// deadline; a deadline in the past makes it try once. It returns how many are left.
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

// forget takes tid off the leftovers and reports whether it was there.
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

// How giveWay waits: first it only lets others run, since most stops take microseconds, then it sleeps.
const (
	yields   = 4
	inOrder  = 12     // rounds without a stop after which all threads are asked
	minSleep = 20_000 // ns
	maxSleep = 1_000_000
	rawSleep = 100_000 // up to here without telling the Go scheduler
)

// killWait is how long Detach waits for killed threads to die, in nanoseconds.
const killWait = 5_000_000

// giveWay lets the target run between two looks. It reports false when the deadline has passed.
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
	t.ts = unix.NsecToTimespec(sleep)
	if e := sys.Nanosleep(&t.ts, sleep > rawSleep); e != 0 && e != unix.EINTR {
		sys.Yield()
	}
	return true
}

// Regset reads the register set note (NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, …) of a Stopped thread into buf, and
// returns how many bytes the kernel stored: fewer than len(buf) if the set is smaller. EINVAL means that this machine
// has no such set, ENODEV that the thread has not used it.
func (t *Tracer) Regset(tid int32, note uint32, buf []byte) (n int, errno sys.Errno) {
	t.iov.Base = unsafe.SliceData(buf)
	t.iov.SetLen(len(buf))
	e := sys.Ptrace(unix.PTRACE_GETREGSET, int(tid), uintptr(note), uintptr(unsafe.Pointer(&t.iov)))
	t.iov.Base = nil
	if e != 0 {
		return 0, e
	}
	return min(int(t.iov.Len), len(buf)), 0
}

// SigInfo reads the siginfo of a thread in a signal-delivery-stop into buf, in the layout of the target's machine.
func (t *Tracer) SigInfo(tid int32, buf *[128]byte) sys.Errno {
	return sys.Ptrace(unix.PTRACE_GETSIGINFO, int(tid), 0, uintptr(unsafe.Pointer(buf)))
}

// Peek reads memory of a Stopped thread's process word by word (PTRACE_PEEKDATA). It is slow, and meant for when
// process_vm_readv and /proc/PID/mem both fail. It returns the bytes read before the first word that failed, and why
// that failed.
func (t *Tracer) Peek(tid int32, addr uint64, p []byte) (n int, errno sys.Errno) {
	const size = uint64(unsafe.Sizeof(t.word))
	for n < len(p) {
		at := addr + uint64(n)
		if at < addr || uint64(uintptr(at)) != at {
			return n, unix.EFAULT
		}
		if e := sys.Ptrace(unix.PTRACE_PEEKDATA, int(tid), uintptr(at&^(size-1)), uintptr(unsafe.Pointer(&t.word))); e != 0 {
			return n, e
		}
		word := unsafe.Slice((*byte)(unsafe.Pointer(&t.word)), size)
		n += copy(p[n:], word[at&(size-1):])
	}
	return n, 0
}

// readStat reads the state letter and the parent's id of a thread from /proc/PID/task/TID/stat.
func (t *Tracer) readStat(tid int32) (state byte, ppid int32, errno sys.Errno) {
	n := copy(t.path[:], "/proc/")
	n = t.pathNumber(n, t.pid)
	n += copy(t.path[n:], "/task/")
	n = t.pathNumber(n, tid)
	n += copy(t.path[n:], "/stat\x00")
	fd, errno := sys.OpenBytes(unix.AT_FDCWD, t.path[:n], unix.O_RDONLY)
	if errno != 0 {
		return 0, 0, errno
	}
	r, errno := sys.Read(fd, t.stat[:])
	sys.Close(fd)
	if errno != 0 {
		return 0, 0, errno
	}
	// "TID (NAME) STATE PPID …", where NAME (up to 64 bytes) may hold anything.
	b := t.stat[:r]
	i := len(b) - 1
	for i >= 0 && b[i] != ')' {
		i--
	}
	if i < 0 || i+4 >= len(b) {
		return 0, 0, unix.EINVAL
	}
	state = b[i+2]
	for _, c := range b[i+4:] {
		if c < '0' || c > '9' {
			return state, ppid, 0
		}
		ppid = ppid*10 + int32(c-'0')
	}
	return 0, 0, unix.EINVAL
}

func (t *Tracer) pathNumber(n int, v int32) int {
	var digits [10]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + v%10)
		v /= 10
		if v <= 0 || i == 0 {
			break
		}
	}
	return n + copy(t.path[n:], digits[i:])
}
