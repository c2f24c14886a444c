package stackwalk

import (
	"minidump/context"
	"minidump/context/insn"
)

// state is one frame while its caller is being searched for.
type state struct {
	regs  Registers
	trust Trust

	// exact states that PC is the next instruction and all registers are those of the frame: the frame is the innermost
	// one, or a signal interrupted it.
	exact      bool
	signal     bool
	trampoline bool

	interrupted bool // PC is the next instruction, but not all registers are known

	cfa     uint64 // CFA of the frame below, as determined on the way here
	guess   bool   // SP is not exact, but not higher than this
	unsure  bool   // a guess led here: return addresses must be proven
	weak    bool   // a scan led here, to a call with an unknown target
	signals int    // number of signal frames so far
}

// outcome is the result of one method of finding the caller.
type outcome uint8

const (
	failed    outcome = iota // another method may find the caller
	found                    // the caller was found
	outermost                // there is no caller
)

// maxSignals is the maximum number of signal frames of one stack. Handlers are nested a few levels deep at most.
const maxSignals = 64

// Walk returns the frames of a thread with the registers cpu, the innermost first: always at least that one, if the
// architecture is that of the process.
func (p *Process) Walk(cpu *context.CPU) []Frame {
	p.facts = factsOf(p.Arch)
	if cpu == nil || p.facts == nil || cpu.Arch != p.Arch {
		return nil
	}
	p.reads = maxReads
	limit := p.MaxFrames
	if limit <= 0 {
		limit = DefaultMaxFrames
	}
	s := state{regs: p.facts.start(cpu), exact: true}
	var frames []Frame
	seen := make(map[[2]uint64]bool)
	for {
		frames = append(frames, Frame{PC: s.regs.pc(), SP: s.regs.sp(), Registers: s.regs, Trust: s.trust,
			Signal: s.signal || s.interrupted,
			Module: p.moduleAt(s.regs.pc())})
		here := &frames[len(frames)-1]
		seen[[2]uint64{here.PC, here.SP}] = true
		if len(frames) >= limit {
			return frames
		}
		next, ok := p.caller(&s)
		here.Trampoline = s.trampoline
		if !ok || seen[[2]uint64{next.regs.pc(), next.regs.sp()}] {
			return frames
		}
		here.CFA = next.cfa
		s = next
	}
}

// caller finds the caller of s by the best method that works.
func (p *Process) caller(s *state) (state, bool) {
	ways := [...]struct {
		trust Trust
		find  func(*state, *state) outcome
	}{
		{TrustSignal, p.bySignal},
		{TrustScan, p.byBadCall},
		{TrustCFI, p.byCompact},
		{TrustCFI, p.byCFI},
		{TrustCFI, p.byExidx},
		{TrustCFI, p.byPE},
		{TrustScan, p.byVDSO},
		{TrustLinkRegister, p.byLeaf},
		{TrustFramePointer, p.byFramePointer},
		{TrustLinkRegister, p.byLinkRegister},
		{TrustScan, p.byScan},
		{TrustFramePointer, p.byOuterFramePointer},
	}
	for _, way := range ways {
		if s.trampoline && way.trust > TrustCFI {
			continue // code that a signal interrupted can't be guessed
		}
		next := state{regs: s.regs.caller(), trust: way.trust, unsure: s.unsure, signals: s.signals}
		switch way.find(s, &next) {
		case outermost:
			return next, false
		case found:
			if next.regs.pc() == 0 && (next.trust == TrustCFI || next.trust == TrustFramePointer) {
				return next, false // the start of a stack
			}
			if p.accept(s, &next) {
				return next, true
			}
			if next.trust == TrustCFI && !s.unsure && !s.exact {
				return next, false // the return address has been overwritten: what is above proves nothing
			}
		}
	}
	return state{}, false
}

// accept checks the caller of s that was found.
func (p *Process) accept(s, next *state) bool {
	if next.cfa == 0 {
		next.cfa = next.regs.sp() + p.facts.bias
	}
	pc := next.regs.pc()
	if next.signal {
		next.signals++
		return next.signals <= maxSignals
	}
	if sp := next.regs.sp(); sp < s.regs.sp() || sp == s.regs.sp() && !(s.exact && p.facts.lr != none) && !s.guess {
		return false
	}
	if !p.isCode(pc) {
		// It may be where a signal handler returns to: on the stack, or in an unknown page of the kernel.
		return next.trust == TrustCFI && p.moduleAt(pc) < 0 && p.signalFrame(next.regs.sp()) != nil
	}
	if next.trust != TrustCFI || next.unsure {
		return p.isReturn(pc)
	}
	// If there is no call before the return address, the frame below was not called from there: a signal handler made the thread
	// enter the function below, as the Go runtime's does for sigpanic, or the function above begins there, as with makecontext.
	code, ok := p.codeBefore(pc)
	next.interrupted = ok && !insn.IsCall(p.Arch, p.order(), code)
	return true
}

// setPC sets the PC of a caller to a return address.
func (p *Process) setPC(next *state, addr uint64) {
	next.regs.put(slotPC, p.codeAddress(addr))
}

// codeAddress returns the address of the instruction to which a return address refers.
func (p *Process) codeAddress(addr uint64) uint64 {
	switch p.Arch {
	case context.ARM: // bit 0 is set for Thumb code
		return addr &^ 1
	case context.ARM64:
		return p.stripPAC(addr)
	}
	return addr & p.facts.mask
}

// stripPAC removes the pointer authentication code from a return address of arm64. The code is above the address, which
// has 48 bits, or 52 if a process asks for more; bit 55 is not part of the code and is 0 in user space.
func (p *Process) stripPAC(addr uint64) uint64 {
	if addr>>48 == 0 || p.moduleAt(addr) >= 0 {
		return addr
	}
	const wide, narrow = 1<<52 - 1, 1<<48 - 1
	if m := addr & wide; p.moduleAt(m) >= 0 {
		return m
	}
	return addr & narrow
}

// lookup returns the address with which the tables are searched for a frame.
func (s *state) lookup() uint64 {
	if s.exact || s.interrupted {
		return s.regs.pc()
	}
	return s.regs.pc() - 1
}

// byBadCall finds the caller after a call of something that is not code: PC came from a bad pointer, and nothing else has changed.
func (p *Process) byBadCall(s, next *state) outcome {
	if !s.exact || p.isCode(s.regs.pc()) {
		return failed
	}
	if p.facts.lr != none {
		if !s.regs.has(p.facts.lr) {
			return failed
		}
		next.trust = TrustLinkRegister
		p.setPC(next, s.regs.value[p.facts.lr])
		next.regs.put(p.facts.sp, s.regs.sp())
		return found
	}
	addr, ok := p.word(s.regs.sp())
	if !ok {
		return failed
	}
	p.setPC(next, addr)
	next.regs.put(p.facts.sp, s.regs.sp()+uint64(p.facts.word))
	return found
}
