package stackwalk

import "minidump/context"

// scanWords is how many words of the stack a scan examines. Most frames are small, but that of musl's qsort has 130 words, and
// what is found after a larger gap is of little use.
const scanWords = 160

// byLeaf finds the caller of a function that has no frame yet, or never makes one. It accepts a direct call to that very
// function, or, if no code is available, an address in another module, from which a wrapper of a system call was called.
func (p *Process) byLeaf(s, next *state) outcome {
	if !s.exact {
		return failed
	}
	addr, at := s.regs.value[slotLRof(p.facts)], s.regs.sp()
	if p.facts.lr == none {
		var ok bool
		if addr, ok = p.word(at); !ok {
			return failed
		}
		next.trust = TrustScan
		at += uint64(p.facts.word)
	} else if !s.regs.has(p.facts.lr) {
		return failed
	}
	if !p.isReturn(addr) || p.codeAddress(addr) == s.regs.pc() {
		return failed
	}
	if _, sure := p.calls(addr, s.regs.pc()); !sure {
		addr := p.codeAddress(addr)
		if _, ok := p.codeBefore(addr); ok || p.moduleAt(addr) < 0 || p.moduleAt(addr) == p.moduleAt(s.regs.pc()) {
			return failed
		}
		next.unsure = true
	}
	p.setPC(next, addr)
	next.regs.put(p.facts.sp, at)
	return found
}

// slotLRof returns the slot of the link register, or 0 if there is none.
func slotLRof(a *archFacts) int { return max(a.lr, 0) }

// byFramePointer follows the frame pointer. It points to the saved frame pointer, which is next to the return address. A
// saved frame pointer of 0 marks the start of the stack (System V ABI, AMD64 supplement, 3.4.1; AAPCS64, 6.4.6).
func (p *Process) byFramePointer(s, next *state) outcome {
	switch p.Arch {
	case context.PPC, context.PPC64:
		return p.byBackChain(s, next)
	}
	if fp := p.facts.fp; fp != none && s.regs.has(fp) && s.regs.value[fp] == 0 && !s.exact {
		return outermost
	}
	r, ok := p.frameRecord(s)
	if !ok {
		return failed
	}
	if can, _ := p.calls(r.addr, s.regs.pc()); !can {
		return failed
	}
	return p.fromRecord(next, &r)
}

// byOuterFramePointer follows the frame pointer although the call there leads elsewhere: the function was jumped to, or the
// frame pointer is that of a function further out, and the frames in between can't be found.
func (p *Process) byOuterFramePointer(s, next *state) outcome {
	r, ok := p.frameRecord(s)
	if !ok || !s.exact && !s.regs.has(r.layout.slot) {
		return failed
	}
	return p.fromRecord(next, &r)
}

func (p *Process) fromRecord(next *state, r *frameRecord) outcome {
	p.guessed(next)
	next.regs.put(r.layout.slot, r.saved)
	next.regs.put(p.facts.sp, r.sp)
	next.guess = r.layout.inexact
	p.setPC(next, r.addr)
	return found
}

// frameRecord is what a frame pointer points to.
type frameRecord struct {
	layout          *frameLayout
	saved, addr, sp uint64
}

// frameRecord returns the record that the frame pointer of s points to, if it is plausible.
func (p *Process) frameRecord(s *state) (r frameRecord, ok bool) {
	word := uint64(p.facts.word)
	layouts := frameLayouts[p.Arch]
	for i := range layouts {
		l := &layouts[i]
		fp := s.regs.value[l.slot]
		if !s.regs.usable(l.slot) || fp%word != 0 || fp < s.regs.sp() || fp > p.facts.mask-64 {
			continue
		}
		saved, ok1 := p.word(fp + uint64(l.saved)*word)
		addr, ok2 := p.word(fp + uint64(l.pc)*word)
		if ok1 && ok2 && p.isReturn(addr) {
			return frameRecord{l, saved, addr, fp + uint64(l.sp)*word}, true
		}
	}
	return r, false
}

// guessed marks next as found by a guess. Its registers may have been saved and changed in frames below, so none counts as
// known; but most often they are unchanged.
func (p *Process) guessed(next *state) {
	next.regs.known = 0
	next.unsure = true
}

// frameLayout describes how a frame pointer leads to the caller. Offsets are in words from where it points.
type frameLayout struct {
	slot          int
	saved, pc, sp int
	inexact       bool // SP of the caller is at sp or above
}

// frameLayouts has the layouts that compilers use on each architecture, the usual one first.
var frameLayouts = map[context.Arch][]frameLayout{
	context.AMD64:   {{slot: 6, saved: 0, pc: 1, sp: 2}},
	context.X86:     {{slot: 5, saved: 0, pc: 1, sp: 2}},
	context.ARM64:   {{slot: 29, saved: 0, pc: 1, sp: 2, inexact: true}},
	context.RISCV64: {{slot: 8, saved: -2, pc: -1, sp: 0}},
	context.LOONG64: {{slot: 22, saved: -2, pc: -1, sp: 0}},
	// gcc's fp points to the saved lr, clang's to the saved fp below it. Thumb code uses r7 as clang does.
	context.ARM: {{slot: 11, saved: -1, pc: 0, sp: 1, inexact: true}, {slot: 11, saved: 0, pc: 1, sp: 2, inexact: true},
		{slot: 7, saved: 0, pc: 1, sp: 2, inexact: true}},
}

// byBackChain follows the back chain of PowerPC: each frame begins with the address of the next one. The return address is in
// that next frame, two words (64-bit) or one word from its start.
func (p *Process) byBackChain(s, next *state) outcome {
	sp := s.regs.sp()
	up, ok := p.word(sp)
	if !ok || s.guess {
		return failed
	}
	if up == 0 && !s.exact {
		return outermost
	}
	save := uint64(16)
	if p.Arch == context.PPC {
		save = 4
	}
	if up <= sp || up%uint64(p.facts.word) != 0 {
		return failed
	}
	addr, ok := p.word(up + save)
	if !ok || !p.isReturn(addr) {
		return failed
	}
	p.guessed(next)
	next.regs.put(p.facts.sp, up)
	p.setPC(next, addr)
	return found
}

// byLinkRegister uses the link register of the innermost frame, which is correct if the function has not called anything yet.
func (p *Process) byLinkRegister(s, next *state) outcome {
	lr := p.facts.lr
	if lr == none || !s.exact || !s.regs.has(lr) {
		return failed
	}
	addr := s.regs.value[lr]
	if !p.isReturn(addr) || p.codeAddress(addr) == s.regs.pc() {
		return failed
	}
	if can, _ := p.calls(addr, s.regs.pc()); !can {
		return failed
	}
	p.guessed(next)
	next.regs.put(p.facts.sp, s.regs.sp())
	next.guess = true // the function may have moved SP
	p.setPC(next, addr)
	return found
}

// byScan looks for the next word of the stack that can be a return address.
//
// If the return address follows an indirect call, nothing proves it. One such word is accepted, but no second one from there.
// If no code is available, such a word is accepted only for the innermost function.
func (p *Process) byScan(s, next *state) outcome {
	if !s.exact && p.moduleAt(s.regs.pc()) < 0 {
		return failed
	}
	word := uint64(p.facts.word)
	at, end := (s.regs.sp()+word-1)&^(word-1), p.facts.mask-2*word
	if r, ok := p.frameRecord(s); ok {
		end = r.sp // what is above belongs to functions further out
	}
	for count := scanWords; count > 0 && at < end; count, at = count-1, at+word {
		addr, ok := p.word(at)
		if !ok {
			return failed
		}
		if !p.isReturn(addr) {
			continue
		}
		if _, ok := p.codeBefore(p.codeAddress(addr)); !ok && !s.exact {
			continue // it can't be checked
		}
		can, sure := p.calls(addr, s.regs.pc())
		if !can || s.weak && !sure {
			continue
		}
		p.guessed(next)
		next.weak = !sure
		// A frame pointer that points above the word found is most likely still a caller's.
		if fp := p.facts.fp; fp != none && s.regs.usable(fp) && s.regs.value[fp] <= at {
			p.scannedFramePointer(s, next, at)
		}
		p.scannedSP(s, next, at)
		p.setPC(next, addr)
		return found
	}
	return failed
}

// scannedSP sets SP of a caller whose return address is at address at. Except on arm64, compilers store the return address next
// to the caller's frame, and on s390x at a fixed offset in it (ELF Application Binary Interface s390x Supplement, 1.2.2.1). A
// wrong SP is noticed later: the next return addresses must follow calls.
func (p *Process) scannedSP(s, next *state, at uint64) {
	const s390xR14 = 112 // offset of r14 in the save area, from the caller's SP
	sp := at + uint64(p.facts.word)
	switch p.Arch {
	case context.ARM64:
		next.guess = true
	case context.S390X:
		if sp = at - s390xR14; sp < s.regs.sp() {
			sp, next.guess = s.regs.sp(), true
		}
	}
	next.regs.put(p.facts.sp, sp)
}

// scannedFramePointer sets the frame pointer of a caller whose return address is at address at, if the function's own frame
// pointer points to the word below.
func (p *Process) scannedFramePointer(s, next *state, at uint64) {
	fp, word := p.facts.fp, uint64(p.facts.word)
	if s.regs.value[fp] != at-word || p.facts.lr != none {
		next.regs.forget(fp)
		return
	}
	if v, ok := p.word(at - word); ok {
		next.regs.put(fp, v)
	}
}
