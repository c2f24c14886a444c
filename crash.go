package minidump

import (
	"minidump/context"
	"minidump/stream"
)

// DumpRequested is the exception code of a dump that no crash caused (MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED).
const DumpRequested = stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED

// from fills in what the exception stream says.
func (c *crashInfo) from(crash *context.Crash) {
	*c = crashInfo{code: DumpRequested}
	if crash == nil {
		return
	}
	c.have = true
	c.code, c.flags, c.address = uint32(crash.Signo), uint32(crash.Code), crash.Address
	c.nparams = min(crash.NumParams, uint32(len(c.params)))
	copy(c.params[:], crash.Params[:c.nparams])
}

// adoptCrash gives the blamed thread the registers of the crash context: those at the fault, not those inside the
// signal handler that reports it.
func (s *snapshot) adoptCrash(o *Options) {
	t := s.blamedThread()
	if t == nil {
		return
	}
	c := o.Crash
	if c == nil || !c.HasContext || c.Arch != s.target.arch || c.ContextLen == 0 || int(c.ContextLen) > len(c.Context) {
		if s.crash.address == 0 && t.hasSP && !s.crash.have {
			s.crash.address = t.pc
		}
		return
	}
	t.context = s.put(c.Context[:c.ContextLen])
	t.hasRegs = t.context.len > 0
	t.pc, t.sp, t.hasSP = c.PC, c.SP, true
}

// pointers gives the integer registers of a thread.
func (s *snapshot) pointers(t *thread, out []uint64) int {
	if t.context.len > 0 {
		return context.IntegerRegisters(s.target.arch, s.bytes.bytes(t.context), s.target.order, out)
	}
	r := context.Regsets{Arch: s.target.arch, Order: s.target.order, GP: s.bytes.bytes(t.gp)}
	if len(r.GP) == 0 {
		return 0
	}
	return r.Registers(out)
}

func (c *crashInfo) record(s *snapshot, ctx stream.Location) stream.Exception {
	e := stream.Exception{ThreadID: uint32(s.proc.blamed), Context: ctx}
	e.Code, e.Flags, e.Address = c.code, c.flags, c.address
	e.NumberParameters, e.Information = c.nparams, c.params
	return e
}
