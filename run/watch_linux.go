package run

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/deadline"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// A runner watches a command. All of it runs on one OS thread, except the goroutine that standIn starts.
type runner struct {
	o     *Options
	out   *destination
	watch *ptrace.Watch
	regs  *ptrace.Tracer // reads the registers and siginfo of stopped threads
	info  [128]byte

	self, main int32
	reapAll    bool
	wakeSent   bool // the SIGCONT of the start has not arrived yet
	threads    map[int32]*watchedThread
	processes  map[int32]*watchedProcess
	stopSignal int32 // a signal with which this process must be stopped too; 0: none
	stopLooks  int   // how often stopToo has checked since then whether the command is still stopped

	command liveCommand
	signals *standIn        // nil without Options.StandIn
	dumping *deadline.Watch // over each dump; nil without Options.OnStuck
	reports chan Dump
	result  Result
}

type watchedThread struct {
	process *watchedProcess
	fault   *fault   // the last fault that the process caught; nil: none
	caught  []*fault // the last caught faults and SIGABRTs that the process sent itself, the oldest first
}

type watchedProcess struct {
	pid        int32
	dumped     bool
	lostThread int32  // signal of a dump that was made although the process did not end: a single thread was killed
	fault      *fault // the last fault of any thread
}

// Signals whose default action is to end the process with a core dump (signal(7)).
var coreSignals = signalSet(unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV,
	unix.SIGXCPU, unix.SIGXFSZ, unix.SIGSYS)

func signalSet(list ...unix.Signal) (set uint64) {
	for _, s := range list {
		set |= signalBit(int32(s))
	}
	return set
}

// signalBit returns the bit of a signal, or 0 for a signal above 64: mips has real-time signals up to 128.
func signalBit(signal int32) uint64 {
	if signal < 1 || signal > 64 {
		return 0
	}
	return 1 << (signal - 1)
}

// loop handles every stop until the command has ended.
func (r *runner) loop() error {
	for {
		stop, errno := r.watch.Next(r.stopSignal == 0, r.reapAll)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return fmt.Errorf("minidump: wait for pid %d: %w", r.main, errno)
		}
		switch stop.Kind {
		case ptrace.KindNone:
			r.stopToo()
		case ptrace.KindStopped:
			r.stopped(stop)
		case ptrace.KindUntraced:
			r.watch.Pass(stop.TID)
			if stop.TID == r.main {
				r.stopWith(stop.Signal)
			}
		default:
			if r.ended(stop) {
				return nil
			}
		}
	}
}

// ended records the end of a thread or child, and reports whether it was the command.
func (r *runner) ended(stop ptrace.Stop) bool {
	if stop.TID != r.main {
		r.watch.Reap(stop.TID)
		delete(r.threads, stop.TID)
		if p := r.processes[stop.TID]; p != nil { // threads that ended during the dump are still in the list
			maps.DeleteFunc(r.threads, func(_ int32, t *watchedThread) bool { return t.process == p })
			delete(r.processes, stop.TID)
		}
		return false
	}
	r.command.end()
	r.watch.Reap(stop.TID)
	if stop.Kind == ptrace.KindKilled {
		r.result.Signal = syscall.Signal(stop.Signal)
	} else {
		r.result.ExitCode = int(stop.Status)
	}
	return true
}

// thread returns the entry of a thread, and adds it if it is new. It returns nil for a thread that must not be watched:
// PTRACE_O_TRACECLONE also attaches to the child process of a clone(2) whose exit signal is not SIGCHLD.
func (r *runner) thread(tid int32) *watchedThread {
	if t := r.threads[tid]; t != nil {
		return t
	}
	pid := r.main
	if tid != pid && sys.Tgkill(int(pid), int(tid), 0) == unix.ESRCH {
		if !r.o.FollowChildren {
			return nil
		}
		if s, ok := readThreadStatus(tid); ok {
			pid = s.Tgid
		} else {
			pid = tid
		}
	}
	p := r.processes[pid]
	if p == nil {
		p = &watchedProcess{pid: pid}
		r.processes[pid] = p
	}
	t := &watchedThread{process: p}
	r.threads[tid] = t
	return t
}

// stopped handles a stop of a traced thread. If a request fails, the thread has been killed meanwhile.
func (r *runner) stopped(stop ptrace.Stop) {
	tid := stop.TID
	t := r.thread(tid)
	switch {
	case t == nil:
		if stop.Event != 0 {
			stop.Signal = 0
		}
		r.watch.Detach(tid, stop.Signal)
		return
	case stop.Event == 0:
		r.signal(t, stop)
		return
	case stop.GroupStop:
		r.watch.Listen(tid)
		if t.process.pid == r.main {
			r.wakeSent = false // the SIGCONT came before, or this stop has revoked it
			r.stopWith(stop.Signal)
		}
		return
	case stop.Event == unix.PTRACE_EVENT_EXEC:
		// If the thread's id has changed, the kernel accepts no request until the stop has been waited for, in case the
		// tracer means the thread that had this id before (looks_like_a_spurious_pid in kernel/ptrace.c).
		r.watch.Pass(tid)
		r.executed(t, tid)
	case stop.Event == unix.PTRACE_EVENT_EXIT:
		r.exiting(t, tid)
	case stop.Event == ptrace.PTRACE_EVENT_STOP && t.process.pid == r.main:
		r.stopSignal = 0 // the command has been continued
	}
	r.watch.Continue(tid, 0)
}

// executed removes the threads that execve has ended: all except the one that called it, which now has the id of the
// process.
func (r *runner) executed(t *watchedThread, tid int32) {
	p := t.process
	maps.DeleteFunc(r.threads, func(id int32, other *watchedThread) bool { return other.process == p && id != tid })
	t.fault, t.caught = nil, nil
	*p = watchedProcess{pid: p.pid}
}

// signal handles a thread to which a signal is about to be delivered.
func (r *runner) signal(t *watchedThread, stop ptrace.Stop) {
	signal := stop.Signal
	bit := signalBit(signal)
	wake := signal == int32(unix.SIGCONT) && r.wakeSent
	if t.process.pid == r.main && (wake || r.signals != nil && bit&watchedArrivals != 0) {
		sender := r.sender(stop.TID)
		if wake {
			r.wakeSent = false // even if it is another sender's: then ours found that one pending and was dropped
		}
		switch {
		case sender == r.self && wake:
			signal = 0
		case sender != r.self && r.signals != nil:
			r.signals.arrived(signal)
		}
	}
	if bit&coreSignals != 0 {
		r.fatal(t, stop)
	}
	r.watch.Continue(stop.TID, signal)
}

// sender returns the pid of the process that sent the signal, 0 for the kernel.
func (r *runner) sender(tid int32) int32 {
	if r.regs.SigInfo(tid, &r.info) != 0 {
		return 0
	}
	c, err := context.CrashFromSiginfo(context.Native, sys.NativeOrder, 0, 0, r.info[:])
	if err != nil {
		return 0
	}
	return c.SenderPID
}

// fatal handles a signal that may end the process.
func (r *runner) fatal(t *watchedThread, stop ptrace.Stop) {
	status, ok := readThreadStatus(stop.TID)
	if !ok {
		return
	}
	bit := signalBit(stop.Signal)
	switch {
	case status.SigIgn&bit != 0:
	case status.SigCgt&bit != 0:
		r.remember(t, stop, &status)
	case !t.process.dumped:
		t.process.dumped = true
		r.dump(t, stop.TID, death{signal: stop.Signal, deliver: true, status: status})
	}
}

// exiting handles a thread that is about to end.
func (r *runner) exiting(t *watchedThread, tid int32) {
	if t.process.dumped {
		return
	}
	code, errno := r.watch.EventMessage(tid)
	if errno != 0 {
		return
	}
	d := death{signal: int32(code & 0x7f), exitCode: int(code >> 8 & 0xff)}
	wanted := r.wantsExit(d.exitCode)
	maybePanic := d.signal == 0 && !wanted && d.exitCode == goPanicStatus && !r.o.IgnorePanics
	if d.signal != 0 && signalBit(d.signal)&coreSignals == 0 || d.signal == 0 && !wanted && !maybePanic {
		return
	}
	if d.signal != 0 && d.signal == t.process.lostThread {
		return
	}
	ending, ends := r.processEnds(t.process.pid, tid)
	if d.signal == 0 {
		// The thread that called exit_group has ended the process, however long the other threads take to end. On a slow
		// machine it could otherwise be gone before them, and one of them would be blamed. The Go runtime always ends with
		// exit_group, and the calling thread gets here too: the list of threads may lack it, because another thread died while
		// the list was read.
		caller, known := r.exitCaller(ending)
		if caller == 0 && (!ends || maybePanic && known) {
			return
		}
		if ends = true; caller != 0 {
			tid = caller
		}
	} else {
		tid = r.blame(ending, d)
	}
	if r.threads[tid] != nil {
		t = r.threads[tid]
	}
	if maybePanic && !r.goRuntimeExits(t.process.pid, tid) {
		t.process.dumped = true // its other threads get here too, when the one that called exit_group is gone
		return
	}
	if ends {
		t.process.dumped = true
	} else {
		t.process.lostThread = d.signal // a seccomp filter can do that
	}
	d.status, _ = readThreadStatus(tid)
	r.dump(t, tid, d)
}

func (r *runner) wantsExit(code int) bool {
	for _, c := range r.o.ExitCodes {
		if c == code && code != 0 {
			return true
		}
	}
	return false
}

// dyingWait is how long to wait until all threads of a dying process are about to end. Tests change it.
var dyingWait = 50 * time.Millisecond

// processEnds reports whether the end of the thread tid is the end of its process: all other threads are dead, about to
// be killed, or stopped before their end as tid is. ending are the threads stopped there, including tid.
func (r *runner) processEnds(pid, tid int32) (ending []int32, ok bool) {
	for start := time.Now(); ; time.Sleep(500 * time.Microsecond) {
		entries, err := os.ReadDir(procPath(int(pid), "task"))
		if err != nil {
			return []int32{tid}, false
		}
		ending, ok = []int32{tid}, true
		for _, e := range entries {
			n, err := strconv.Atoi(e.Name())
			if err != nil || int32(n) == tid {
				continue
			}
			if s, errno := r.watch.Peek(int32(n)); errno == 0 && s.Kind == ptrace.KindStopped && s.Event == unix.PTRACE_EVENT_EXIT {
				ending = append(ending, int32(n))
				continue
			}
			s, alive := readThreadStatus(int32(n))
			if alive && s.State != 'Z' && s.State != 'X' && s.SigPnd&signalBit(int32(unix.SIGKILL)) == 0 {
				ok = false
			}
		}
		// A thread that has received its SIGKILL, or that ends the others, takes a moment to reach that stop.
		if ok || time.Since(start) > dyingWait {
			return ending, ok
		}
	}
}

// blame returns the thread whose signal has ended the process, among the threads stopped before their end, which are in no particular
// order: the one with a fault for which no handler could be called.
func (r *runner) blame(ending []int32, d death) int32 {
	for _, tid := range ending {
		var now threadRegisters
		if t := r.threads[tid]; t != nil && t.fault != nil && t.fault.signal == d.signal && now.read(r.regs, tid) &&
			now.pc == t.fault.regs.pc && now.sp == t.fault.regs.sp {
			return tid
		}
	}
	return ending[0]
}

// exitCaller returns which of the threads stopped before their end called exit_group; 0 if none of them did. known is false if
// the kernel does not report their system calls.
func (r *runner) exitCaller(ending []int32) (caller int32, known bool) {
	buf := make([]byte, 256)
	for _, tid := range ending {
		var now threadRegisters
		if !now.read(r.regs, tid) {
			continue
		}
		fd, err := os.Open(procPath(int(tid), "syscall"))
		if err != nil {
			continue
		}
		n, _ := fd.Read(buf)
		fd.Close()
		nr, _, _, _, ok := procfs.ParseSyscall(buf[:n])
		if ok && nr == exitGroup(now.arch) {
			return tid, true
		}
		known = known || ok
	}
	return 0, known
}

// exitGroup returns the number of the system call exit_group for threads of an architecture that this program's kernel
// runs (arch/*/entry/syscalls/*.tbl of the kernel).
func exitGroup(a context.Arch) int64 {
	switch {
	case a == context.Native:
		return unix.SYS_EXIT_GROUP
	case a == context.X86:
		return 252
	case a == context.ARM:
		return 248
	case a == context.MIPS:
		return 4246
	case a == context.PPC:
		return 234
	}
	return -1
}

func readThreadStatus(tid int32) (procfs.Status, bool) {
	b, err := os.ReadFile(procPath(int(tid), "status"))
	if err != nil {
		return procfs.Status{}, false
	}
	return procfs.ParseStatus(b), true
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
