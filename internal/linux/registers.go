//go:build linux

package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/sys"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// readRegisters reads the raw register sets of every stopped thread. They are decoded after the resume.
func (l *Source) readRegisters(s *snapshot.Snapshot) {
	arch := s.Target.Arch
	watch := debugUnknown
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		if t.State != snapshot.ThreadStopped {
			continue
		}
		// The native set is the longest of those that the kernel can return.
		gp, b := s.Bytes.Alloc(l.native.GPSize())
		if b == nil {
			s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
			return
		}
		n, errno := l.tracer.Regset(t.TID, context.NT_PRSTATUS, b)
		if errno == unix.EIO || errno == unix.EINVAL {
			n, errno = l.tracer.GetRegs(t.TID, b)
		}
		if errno != 0 {
			s.Soft(snapshot.OpRegisters, int32(errno), t.TID, 0)
			t.State = snapshot.ThreadNoRegisters
			s.Bytes.Trim(gp, 0)
			l.registersFromProc(t)
			continue
		}
		t.GP = s.Bytes.Trim(gp, n)
		if context.ArchOfRegset(l.native, n) != arch {
			// The thread runs in the other mode of its CPU, but a dump has only one architecture.
			s.Soft(snapshot.OpRegisters, int32(unix.ENOTSUP), t.TID, 0)
			t.GP = arena.Span{}
			continue
		}
		r := context.Regsets{Arch: arch, Order: s.Target.Order, GP: s.Bytes.Get(t.GP)}
		t.SP, t.PC = r.SP(), r.PC()
		t.HasSP = true
		var set []byte
		if note, size := arch.ThreadPointerRegset(); note != 0 {
			if n, errno := l.tracer.Regset(t.TID, note, l.scratch.bytes[:size]); errno == 0 {
				set = l.scratch.bytes[:n]
			}
		}
		t.Teb = r.ThreadPointer(set)
		if t.TID == s.Proc.Blamed {
			t.Blocked = l.blockedSignals(t.TID)
		}
		l.readFP(s, t)
		l.readVector(s, t)
		if watch = l.readDebug(s, t, watch); s.Want.RegisterSets {
			l.readRegsets(s, t)
		}
	}
}

// blockedSignals returns which of the first 64 signals a stopped thread blocks: bit 0 is signal 1. Before Linux 3.11,
// which can't report them, it returns none.
func (l *Source) blockedSignals(tid int32) uint64 {
	set := &l.scratch.debug // large enough for sigset_t, which consists of words of the kernel's size, with signal 1 in the lowest bit
	if sys.Ptrace(unix.PTRACE_GETSIGMASK, int(tid), sys.SigsetSize(), uintptr(unsafe.Pointer(set))) != 0 {
		return 0
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(set)), 8)
	if unsafe.Sizeof(uintptr(0)) == 4 {
		return uint64(sys.NativeOrder.Uint32(b)) | uint64(sys.NativeOrder.Uint32(b[4:]))<<32
	}
	return sys.NativeOrder.Uint64(b)
}

func (l *Source) readFP(s *snapshot.Snapshot, t *snapshot.Thread) {
	arch := s.Target.Arch
	fp, b := s.Bytes.Alloc(arch.FPSize())
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
		return
	}
	note := arch.FPRegset()
	n, errno := l.tracer.Regset(t.TID, note, b)
	if errno != 0 && note != context.NT_PRFPREG {
		note = context.NT_PRFPREG
		n, errno = l.tracer.Regset(t.TID, note, b)
	}
	if errno != 0 {
		n, errno = l.tracer.GetFPRegs(t.TID, b)
	}
	if errno != 0 {
		s.Bytes.Trim(fp, 0)
		s.Soft(snapshot.OpFPRegisters, int32(errno), t.TID, 0)
		return
	}
	t.FP = s.Bytes.Trim(fp, n)
	t.FPType = note
}

// readVector reads the other register sets that the context record contains. It is not an error if the CPU or the
// kernel does not have them.
func (l *Source) readVector(s *snapshot.Snapshot, t *snapshot.Thread) {
	notes, sizes := snapshot.VectorSets(s.Target.Arch)
	if sizes[0] == 0 {
		return
	}
	all, b := s.Bytes.Alloc(sizes[0] + sizes[1])
	if b == nil {
		return
	}
	used := 0
	for i, note := range notes {
		if sizes[i] == 0 {
			break
		}
		n, errno := l.tracer.Regset(t.TID, note, b[used:used+sizes[i]])
		if errno != 0 {
			break
		}
		used += n
	}
	t.Vector = s.Bytes.Trim(all, used)
}

// debugState is whether threads of the target use debug registers. Only a tracer can set them, and debuggers set them in
// every thread. So they are read from the first and the blamed thread, and from the others only if one of these uses them.
type debugState uint8

const (
	debugUnknown debugState = iota
	debugNone
	debugInUse
)

// readDebug reads the debug registers of a thread of an x86 process, if it may use them, and returns the new state.
func (l *Source) readDebug(s *snapshot.Snapshot, t *snapshot.Thread, known debugState) debugState {
	if s.Target.Arch != context.AMD64 && s.Target.Arch != context.X86 || l.native != context.AMD64 && l.native != context.X86 {
		return debugNone
	}
	if known == debugNone && t.TID != s.Proc.Blamed {
		return known
	}
	dr7, errno := l.tracer.DebugRegister(t.TID, 7)
	if errno != 0 || dr7 == 0 {
		return max(known, debugNone)
	}
	if l.tracer.DebugRegisters(t.TID, &l.scratch.debug) == 0 {
		var b []byte
		if t.Debug, b = s.Bytes.Alloc(64); b != nil {
			copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&l.scratch.debug)), 64))
		}
	}
	return debugInUse
}

// readRegsets stores the register sets that the context record does not contain, each as type, size and bytes.
func (l *Source) readRegsets(s *snapshot.Snapshot, t *snapshot.Thread) {
	all, b := s.Bytes.Alloc(snapshot.MaxRegsets)
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
		return
	}
	used := 0
	for _, note := range snapshot.RegsetNotes(s.Target.Arch) {
		if len(b)-used < 8 {
			break
		}
		// The kernel requires a size in whole registers, which have at most 32 bytes.
		n, errno := l.tracer.Regset(t.TID, note, b[used+8:used+8+(len(b)-used-8)&^31])
		if errno == unix.EIO && note != context.NT_MIPS_DSP || errno == unix.ESRCH { // a MIPS without DSP returns EIO
			s.Soft(snapshot.OpRegsets, int32(errno), t.TID, 0)
		}
		if errno != 0 || n == 0 {
			continue // this CPU or kernel does not have this register set
		}
		used = s.EndRegset(b, used, note, n)
	}
	t.Extra = s.Bytes.Trim(all, used)
}
