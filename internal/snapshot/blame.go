package snapshot

import (
	"encoding/binary"

	"minidump/context"
	"minidump/stream"
)

// Exception is the content of the exception stream, except the context of the blamed thread.
type Exception struct {
	cause     *context.Crash // its source; nil: no crash
	Code      uint32
	Flags     uint32
	Address   uint64
	Params    [15]uint64
	NumParams uint32
	DiedOf    int32 // the signal that finally killed the process, if it is not Code; else 0
	Absent    bool  // there is no exception stream: the system's own dumps without a crash have none
}

// Blame decides which thread the dump is about, and sets s.Crash. found is the thread that the source would choose, and
// cause the crash that the source knows of, or nil. The caller's choice takes precedence: Want.Thread, then the thread
// of Want.Crash, then found; Want.Crash, then cause.
func (s *Snapshot) Blame(found int32, cause *context.Crash) {
	w := &s.Want
	s.Proc.Blamed = found
	if w.Crash != nil {
		if cause = w.Crash; cause.TID != 0 {
			s.Proc.Blamed = cause.TID
		}
	}
	if w.Thread != 0 {
		s.Proc.Blamed = w.Thread
	}
	c := &s.Crash
	*c = Exception{cause: cause, Code: stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED}
	if cause == nil {
		return
	}
	c.set(cause)
}

// set sets the exception from a crash.
func (e *Exception) set(c *context.Crash) {
	e.Code, e.Flags, e.Address = uint32(c.Signo), uint32(c.Code), c.Address
	e.NumParams = min(c.NumParams, uint32(len(e.Params)))
	copy(e.Params[:], c.Params[:e.NumParams])
}

// useRegisters sets the registers of a thread to those of a crash, which must have some.
func (s *Snapshot) useRegisters(t *Thread, c *context.Crash) {
	t.Context = s.Put(c.Context[:c.ContextLen])
	t.HasRegs = t.Context.Len > 0
	t.PC, t.SP, t.HasSP = c.PC, c.SP, true
}

// Refine completes a crash that has registers from the instruction at the fault: it determines the address and the
// kind of access if the kernel has not reported them. Package context/insn must be linked in to decode the
// instruction. It returns a copy, or c itself if c is nil or has no registers. It allocates.
func Refine(c *context.Crash, mem Memory) *context.Crash {
	if c == nil || !c.HasContext {
		return c
	}
	out := *c
	code := make([]byte, 16) // longer than any instruction of any architecture
	if n := mem.Read(c.PC, code); n > 0 {
		out.Refine(code[:n])
	}
	return &out
}

// RefineBy is Refine for a crash without registers; regs are those of the thread at the fault. The result has no
// registers either, because a dump takes them, and more of them, from the source.
func RefineBy(c *context.Crash, regs *context.Regsets, mem Memory) *context.Crash {
	out := *c
	out.BigEndian = regs.Order == binary.ByteOrder(binary.BigEndian)
	out.SetContext(regs)
	out = *Refine(&out, mem)
	out.HasContext, out.ContextLen = false, 0
	return &out
}

// AddBlamed adds the blamed thread to the thread list if the source has not listed it: the exception stream refers to
// it, and a crash may have its registers even if the thread has ended. The missing thread is recorded as a soft error.
func (s *Snapshot) AddBlamed(op Op, errno int32) {
	if s.blamedThread() != nil {
		return
	}
	s.Soft(op, errno, s.Proc.Blamed, 0)
	t := s.Threads.Add()
	if t == nil && s.Threads.N > 0 { // the table is full: replace the last one
		t = s.Threads.At(s.Threads.N - 1)
	}
	if t != nil {
		*t = Thread{TID: s.Proc.Blamed, State: ThreadGone}
	}
}

// adoptCrash replaces the registers of the blamed thread with those of the crash: they are from the fault, not
// from inside the signal handler that reports it.
func (s *Snapshot) adoptCrash() {
	s.interrupted.handler = 0
	t := s.blamedThread()
	if t == nil {
		return
	}
	c := s.Crash.cause
	if c == nil || !c.HasContext || c.Arch != s.Target.Arch || c.ContextLen == 0 || int(c.ContextLen) > len(c.Context) {
		if s.Crash.Address == 0 && t.HasSP && c == nil {
			s.Crash.Address = t.PC
		}
		return
	}
	if t.HasSP && t.GoSP != 0 {
		s.interrupted.handler = t.SP
	}
	s.useRegisters(t, c)
}
