//go:build linux

package linux

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/errtext"
	"minidump/internal/snapshot"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// A processCopy is a copy of the process, by clone(2), which shares its pages until one of the two writes to them. The source makes
// one of the stopped threads call clone, and restores the thread's registers, so that the thread does not notice. The copy is
// traced from its creation and never runs. Its exit signal is 0, so the process gets no SIGCHLD, and only a wait with __WALL or
// __WCLONE reports the copy. When the copy has ended, the source makes a thread of the process call wait4 for it. The process runs
// again at once, and the dump is read from the copy.
//
// The tracing thread makes and ends the copy. A tracer that is killed while a thread makes one of the calls leaves that thread with
// wrong registers, so the tracer's process must not be killed: see CopyTo.
type processCopy struct {
	notice   func(tid, number int32) // called as soon as there is a copy; nil: no copies are made
	caller   *ptrace.Caller
	dir      procfs.Dir
	tid      int32       // of the copy; 0: there is none
	number   int32       // of the copy in the process's own PID namespace
	host     int32       // the thread that made the copy
	lost     atomic.Bool // the copy was ended early because memory ran short
	refused  refusal     // why there is no copy
	errno    sys.Errno   // the error of refused, if it has one
	reaping  int32       // the number of a copy that another process has made, for ReapCopy
	reaped   bool
	headroom headroom
	kept     keptMemory
}

// CopyTo allows the source to make copies of the process if the snapshot's Want requests one. notice is called during the stop,
// with the ids of the copy in the caller's and in the process's PID namespace. If this process is killed later, another process
// must call ReapCopy, so that the copy is waited for.
//
// The calling process must exist for the dump alone, and ignore all signals that it can.
func (l *Source) CopyTo(notice func(tid, number int32)) error {
	l.copy = &processCopy{notice: notice, caller: l.tracer.NewCaller()}
	return l.copy.kept.ranges.Reserve(2 * maxMarked * 32)
}

// wantsCopy reports whether a dump must be read from a copy, if one can be made.
func (l *Source) wantsCopy(s *snapshot.Snapshot) bool {
	return l.copy != nil && l.copy.notice != nil && s.Want.Copy != snapshot.CopyNever && s.Want.Mode != snapshot.ModeStack
}

// A refusal is the reason why no copy is made.
type refusal string

const (
	refusedNothing   refusal = ""
	refusedMachine   refusal = "not on this machine"
	refusedFlags     refusal = "the flags of its memory are not known"
	refusedFault     refusal = "a userfaultfd serves its memory"
	refusedSeccomp   refusal = "a seccomp filter watches its system calls"
	refusedThread    refusal = "not all threads stopped"
	refusedStopped   refusal = "it is stopped, or about to take a signal"
	refusedBusy      refusal = "no thread is where it can make a system call"
	refusedMemory    refusal = "memory is short"
	refusedClone     refusal = "clone failed"
	refusedInterrupt refusal = "a signal came"
	refusedBirth     refusal = "the copy has died"
)

// copyCalls has the numbers of the system calls that a copy needs, and the size of NT_PRSTATUS in bytes. The numbers are those of
// arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl, include/uapi/asm-generic/unistd.h,
// arch/powerpc/kernel/syscalls/syscall.tbl, arch/s390/kernel/syscalls/syscall.tbl and arch/arm/tools/syscall.tbl.
type copyCalls struct {
	clone, wait4, closeRange uint64
	regs                     int
	stackFirst               bool // the first two arguments of clone are in the other order (CONFIG_CLONE_BACKWARDS2)
}

// cloneCall returns the call by which a thread makes the copy, with the instruction at.
func (c *copyCalls) cloneCall(at uint64) ptrace.SystemCall {
	s := ptrace.SystemCall{At: at, Number: c.clone, Args: [6]uint64{cloneFiles, noStack}}
	if c.stackFirst {
		s.Args = [6]uint64{noStack, cloneFiles}
	}
	return s
}

func copyCallsOf(t *snapshot.Target) (c copyCalls, ok bool) {
	switch t.Arch {
	case context.AMD64:
		c = copyCalls{clone: 56, wait4: 61, regs: 216}
	case context.X86:
		c = copyCalls{clone: 120, wait4: 114, regs: 68}
	case context.ARM64:
		c = copyCalls{clone: 220, wait4: 260, regs: 272}
	case context.ARM:
		c = copyCalls{clone: 120, wait4: 114, regs: 72}
	case context.PPC64:
		c = copyCalls{clone: 120, wait4: 114, regs: 384}
	case context.RISCV64:
		c = copyCalls{clone: 220, wait4: 260, regs: 256}
	case context.S390X:
		c = copyCalls{clone: 120, wait4: 114, regs: 216, stackFirst: true}
	}
	c.closeRange = 436
	return c, c.regs != 0 && !t.ILP32 && ptrace.CanCall(c.regs)
}

// Flags of clone(2) and close_range(2).
//
// The stack pointer of the copy is an address at which nothing is mapped. The copy never runs unless its tracer is killed after the
// clone and before PTRACE_O_EXITKILL is set: then it dies at its first access to the stack.
const (
	noStack          = 8
	cloneFiles       = 0x400 // CLONE_FILES
	closeRangeUnique = 2     // CLOSE_RANGE_UNSHARE
)

// mayCopy returns, before the stop, why no copy can be made; refusedNothing if one can.
func (l *Source) mayCopy(s *snapshot.Snapshot) refusal {
	if _, ok := copyCallsOf(&s.Target); !ok {
		return refusedMachine
	}
	if !l.marked.known || l.marked.reader.More {
		return refusedFlags
	}
	for i := range l.marked.list() {
		if l.marked.list()[i].Flags&procfs.VMUserfault != 0 {
			return refusedFault
		}
	}
	if !l.copy.headroom.bears(l) {
		return refusedMemory
	}
	return refusedNothing
}

// copyProcess makes the copy, while the threads are stopped. From then on memory is read from the copy.
func (l *Source) copyProcess(s *snapshot.Snapshot) (refusal, sys.Errno) {
	c := l.copy
	for i := range l.stop.threads.All() {
		switch th := l.stop.threads.At(i); th.State {
		case ptrace.Stopped, ptrace.Gone:
		default:
			return refusedThread, th.Errno
		}
	}
	calls, _ := copyCallsOf(&s.Target)
	th, at, why := l.chooseHost(s, calls.regs)
	if th == nil {
		return why, 0
	}
	c.kept.take(l, s)
	clone := calls.cloneCall(at)
	ret, born, errno := c.caller.Call(th, &clone)
	switch {
	case errno != 0:
		why = refusedInterrupt
	case ret < 0:
		why, errno = refusedClone, sys.Errno(-ret)
	case born == 0:
		why = refusedBirth
	}
	if born != 0 {
		c.tid, c.number, c.host = born, int32(ret), th.TID
	}
	if why != refusedNothing {
		return why, errno
	}
	c.notice(c.tid, c.number)
	child, errno := c.caller.Born(born)
	if errno != 0 {
		return refusedBirth, errno
	}
	// The copy shares the process's table of descriptors, so that a file which the process closes is closed. close_range creates an
	// empty table for the copy alone, so that it keeps no file open when the process ends. Before Linux 5.9 it continues to share.
	if _, ok := c.caller.Eligible(&child, calls.regs); ok {
		c.caller.Call(&child, &ptrace.SystemCall{At: at, Number: calls.closeRange, Args: [6]uint64{0, 0xffffffff, closeRangeUnique}})
	}
	if err := c.dir.Open(int(born)); err != nil {
		return refusedBirth, unix.ESRCH
	}
	c.lost.Store(false)
	l.mem.readFrom(c)
	s.Copied = true
	if s.Want.Mode == snapshot.ModeFull {
		recordShared(s)
	}
	return refusedNothing, 0
}

// recordShared records a soft error if there is memory that a copy shares with the process.
func recordShared(s *snapshot.Snapshot) {
	const readWriteShared = snapshot.PermRead | snapshot.PermWrite | snapshot.PermShared
	for i := range s.Mappings.All() {
		m := s.Mappings.At(i)
		if m.Perm&readWriteShared != readWriteShared || m.Hidden || m.Kind == snapshot.MapSpecial {
			continue
		}
		if e := s.Soft(snapshot.OpCopyShared, 0, 0, m.Start); e != nil {
			e.Text = m.Name
		}
		return
	}
}

// chooseHost returns the thread that makes the copy, and the address of the system call instruction that it uses. It prefers a
// thread that is in a system call.
func (l *Source) chooseHost(s *snapshot.Snapshot, size int) (th *ptrace.Thread, at uint64, why refusal) {
	var other *ptrace.Thread
	why = refusedBusy
	for i := range l.stop.threads.All() {
		th := l.stop.threads.At(i)
		if th.State != ptrace.Stopped {
			continue
		}
		if th.GroupStop || th.Signal != 0 {
			why = refusedStopped
			continue
		}
		if at, ok := l.ownCall(th, size); ok {
			return l.unfiltered(th, at)
		}
		if other == nil && l.copy.caller.EligibleElsewhere(th, size) {
			other = th
		}
	}
	if other == nil {
		return nil, 0, why
	}
	at, ok := l.anyCall(other, size, &s.Target)
	if !ok {
		return nil, 0, refusedBusy
	}
	return l.unfiltered(other, at)
}

// unfiltered returns the thread, unless its system calls are filtered.
func (l *Source) unfiltered(th *ptrace.Thread, at uint64) (*ptrace.Thread, uint64, refusal) {
	n, errno := l.dir.TaskFile(th.TID, "status\x00", l.scratch.bytes)
	if errno != 0 {
		return nil, 0, refusedThread
	}
	if st := procfs.ParseStatus(l.scratch.bytes[:n]); st.Seccomp != 0 {
		return nil, 0, refusedSeccomp
	}
	return th, at, refusedNothing
}

// ownCall returns the address of the instruction of the system call that a thread is in or about to make.
func (l *Source) ownCall(th *ptrace.Thread, size int) (at uint64, ok bool) {
	at, ok = l.copy.caller.Eligible(th, size)
	if !ok || at == 0 {
		return 0, false
	}
	b := l.scratch.bytes[:4]
	return at, l.copy.caller.Own(b[:l.mem.Read(l.copy.caller.Address(at), b)])
}

// anyCall returns the address of an instruction for a thread that has none of its own.
func (l *Source) anyCall(th *ptrace.Thread, size int, t *snapshot.Target) (at uint64, ok bool) {
	if !l.copy.caller.EligibleElsewhere(th, size) {
		return 0, false
	}
	at = l.findCall(t)
	return at, at != 0
}

// findCall returns the address of a system call instruction in the vDSO of the program that the process is executing now; 0 if
// there is none.
func (l *Source) findCall(t *snapshot.Target) uint64 {
	b, errno := l.readSmall("auxv\x00")
	if errno != 0 {
		return 0
	}
	auxv := procfs.ParseAuxv(b, t.WordSize(), t.Order)
	for at, end := auxv.SysinfoEhdr, auxv.SysinfoEhdr+maxVDSO; at != 0 && at < end; at += 4096 {
		b := l.scratch.bytes[:4096]
		b = b[:l.mem.readPages(at, b)]
		if offset, ok := l.copy.caller.Find(b); ok {
			return at + offset
		}
		if len(b) < 4096 {
			break
		}
	}
	return 0
}

// maxVDSO bounds how much of the vDSO is read, in bytes.
const maxVDSO = 16 << 10

// refuse records why no copy is made. It reports whether the dump continues without one.
func (l *Source) refuse(s *snapshot.Snapshot, why refusal, errno sys.Errno) (goOn bool) {
	if e := s.Soft(snapshot.OpNoCopy, int32(errno), 0, 0); e != nil {
		e.Text = s.Bytes.PutString(string(why))
	}
	l.copy.refused, l.copy.errno = why, errno
	return s.Want.Copy != snapshot.CopyAlways
}

// refusedError returns the error of a dump that must be read from a copy when there is none.
func (c *processCopy) refusedError(pid int32) error {
	var err error = snapshot.ErrSnapshot
	if c.errno != 0 {
		err = snapshot.AlsoError(err, systemError(c.errno))
	}
	if c.errno != 0 {
		return errtext.Wrap(err, "minidump: take a snapshot of pid ", pid, ": ", string(c.refused))
	}
	return errtext.Around(err, "minidump: take a snapshot of pid ", pid, ": ", string(c.refused))
}

// endCopy ends the copy, and makes the process wait for it. The process is running at that time.
func (l *Source) endCopy(s *snapshot.Snapshot) {
	c := l.copy
	if c == nil || c.tid == 0 {
		return
	}
	if l.mem.copied {
		l.mem.readFrom(nil)
		c.headroom.stop()
		c.dir.Close()
	}
	c.caller.Kill(c.tid)
	c.tid = 0
	if !l.reapCopy(s, c.number, c.host) {
		s.Soft(snapshot.OpCopyLeft, 0, c.number, 0)
	}
}

// ReapCopy makes the process wait for a copy of it that another tracer has made and that has ended. It reports whether that was
// done, or was not necessary.
func (l *Source) ReapCopy(s *snapshot.Snapshot, tid, number int32) bool {
	if l.copy == nil && l.CopyTo(nil) != nil {
		return false
	}
	for until := ptrace.Monotonic() + int64(deathWait); ; time.Sleep(time.Millisecond) {
		state := l.copyState(tid)
		if state == 0 {
			return true
		}
		if state == 'Z' {
			break
		}
		if ptrace.Monotonic() > until {
			return false
		}
	}
	l.copy.reaping, l.snap, s.Target = number, s, l.facts.target
	l.thread.do(stepReap)
	l.snap = nil
	l.replaceThread()
	return l.copy.reaped
}

// deathWait bounds how long ReapCopy waits for the copy's death: the kernel frees the copy's memory first.
const deathWait = 10 * time.Second

// copyState returns the state letter of a copy of the process; 0 if there is no such child of it.
func (l *Source) copyState(tid int32) byte {
	var dir procfs.Dir
	if dir.Open(int(tid)) != nil {
		return 0
	}
	defer dir.Close()
	n, _, errno := dir.ReadFile("stat\x00", l.scratch.bytes)
	st := &l.scratch.stat
	if errno != 0 || !st.Parse(l.scratch.bytes[:n]) || st.PPID != l.pid {
		return 0
	}
	return st.State
}

// Bounds of reapCopy: how many threads are tried in each round, and for how long.
const (
	reapTries = 16
	reapWait  = 2 * time.Second
)

// reapCopy makes one thread of the process wait for the copy: host if it lives and can, else another. Only that thread is stopped.
// During an execve no thread can, so reapCopy tries again.
func (l *Source) reapCopy(s *snapshot.Snapshot, number, host int32) bool {
	calls, ok := copyCallsOf(&s.Target)
	wait := &ptrace.SystemCall{Number: calls.wait4, Args: [6]uint64{uint64(uint32(number)), 0, unix.WNOHANG | unix.WALL}}
	for until := ptrace.Monotonic() + int64(reapWait); ok; time.Sleep(retryWait) {
		if l.listThreads() != 0 {
			return false
		}
		tids := l.scratch.tids.All()
		for i, tid := range tids {
			if tid == host {
				tids[0], tids[i] = tids[i], tids[0]
			}
		}
		for i := range min(len(tids), reapTries) {
			if l.waitIn(l.scratch.tids.All()[i], calls.regs, &s.Target, wait) {
				return true
			}
		}
		if ptrace.Monotonic() > until {
			return false
		}
	}
	return false
}

// waitIn stops one thread and makes it perform the call wait, whose At waitIn sets. It reports whether there is nothing left to
// wait for.
func (l *Source) waitIn(tid int32, size int, t *snapshot.Target, wait *ptrace.SystemCall) (done bool) {
	l.stop.threads.Clear()
	th := l.stop.threads.Add()
	if th == nil {
		return false
	}
	*th = ptrace.Thread{TID: tid}
	l.tracer.Seize(th)
	l.tracer.Collect(l.stop.threads.All(), ptrace.Monotonic()+int64(reapWait))
	defer l.tracer.Detach(l.stop.threads.All())
	at, ok := l.ownCall(th, size)
	if !ok {
		if at, ok = l.anyCall(th, size, t); !ok {
			return false
		}
	}
	if _, _, why := l.unfiltered(th, at); why != refusedNothing {
		return false
	}
	wait.At = at
	ret, _, errno := l.copy.caller.Call(th, wait)
	return errno == 0 && (ret == int64(int32(wait.Args[0])) || ret == -int64(unix.ECHILD))
}
