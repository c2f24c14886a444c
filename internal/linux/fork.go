//go:build linux

package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/sys"

	"minidump/internal/snapshot"
)

// A Fork is what a forked child knows about the process that it is a copy of and dumps. It must not be on a goroutine stack.
type Fork struct {
	TID  int32 // the thread that forked
	PPID int32 // parent of the process
	_    [8]byte
	// The registers of TID when it forked, as NT_PRSTATUS and NT_PRFPREG; 0 bytes: not known. If Fork is
	// aligned to 16 bytes, so is FP, as FXSAVE of x86 requires.
	GP, FP       [640]byte
	NumGP, NumFP int

	copied bool // the process can't be accessed, so the child dumps its own copy of the memory
	probe  [4]unix.RemoteIovec
	from   uint64
	to     uint64
}

// TraceFromFork makes a forked child of the process do the dumps. The child attaches to the threads and detaches from
// them. f is filled in before the child calls EnterFork.
func (l *Source) TraceFromFork(f *Fork) {
	l.thread.caller, l.fork = true, f
}

// attaches reports whether threads are attached to for each dump: they are not if the caller already traces them.
func (l *Source) attaches() bool { return !l.thread.caller || l.fork != nil }

// EnterFork must be the first call in the forked child. If the kernel lets the child access the process, nothing
// changes. Otherwise (dumpable is 0, a security module or seccomp forbids it) the child dumps itself: it has a copy of
// the memory, and the registers in Fork.
func (l *Source) EnterFork() {
	f := l.fork
	f.copied = false
	f.probe[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&f.to)), Len: 8}
	f.probe[1] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&f.from)), Len: 8}
	if _, errno := sys.ProcessVMReadv(int(l.pid), f.probe[:1], f.probe[1:2]); errno == 0 {
		return
	}
	// Without process_vm_readv (ENOSYS, a seccomp filter) /proc/PID/mem still works.
	if fd, errno := l.dir.OpenFile("mem\x00", unix.O_RDONLY); errno == 0 {
		sys.Close(fd)
		return
	}
	l.mem.close()
	self := sys.Getpid()
	if l.dir.Close() != nil || l.dir.Open(self) != nil {
		return
	}
	l.mem.pid = self
	f.copied = true
}

// CheckPause resumes the process if it has been stopped for too long. The forked child, which has no other thread to do
// that, calls it between writes.
func (l *Source) CheckPause() { l.expire() }

// listForked lists the only thread of a copy of the process.
func (l *Source) listForked(s *snapshot.Snapshot) {
	s.Proc.PPID = l.fork.PPID
	l.scratch.tids.Clear()
	if out := l.scratch.tids.Extend(1); out != nil {
		out[0] = l.fork.TID
	}
	s.Soft(snapshot.OpForkedCopy, int32(unix.EPERM), 0, 0)
	if t := s.Threads.Add(); t != nil {
		*t = snapshot.Thread{TID: l.fork.TID, State: snapshot.ThreadNoRegisters}
		l.registersFromFork(s, t)
	}
	s.AddBlamed(snapshot.OpSeize, int32(unix.EPERM))
}

// x86FSAVE is the size of the FSAVE image that a 386 program stores. No other architecture's register set has this size.
const x86FSAVE = 108

// registersFromFork sets the registers of the thread that forked to those it had then. It returns false for any other
// thread.
func (l *Source) registersFromFork(s *snapshot.Snapshot, t *snapshot.Thread) bool {
	f := l.fork
	if f == nil || t.TID != f.TID || f.NumGP == 0 {
		return false
	}
	t.GP = s.Put(f.GP[:f.NumGP])
	if f.NumFP > 0 {
		t.FP, t.FPType = s.Put(f.FP[:f.NumFP]), context.NT_PRFPREG
		if f.NumFP != x86FSAVE {
			t.FPType = s.Target.Arch.FPRegset()
		}
	}
	r := context.Regsets{Arch: s.Target.Arch, Order: s.Target.Order, GP: s.Bytes.Get(t.GP)}
	if len(r.GP) < s.Target.Arch.GPSize() {
		return false
	}
	t.SP, t.PC, t.HasSP = r.SP(), r.PC(), true
	return true
}
