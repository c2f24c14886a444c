package stackwalk

// Fields of an encoding for arm64 (<mach-o/compact_unwind_encoding.h>).
const (
	arm64Pairs     = 5          // bits 0 to 4: x19 and x20, to x27 and x28. Bits 8 to 11 are d8 and d9, to d14 and d15.
	arm64StackSize = 0x00fff000 // in units of 16 bytes, of a function without a frame pointer
)

// Slots of arm64.
const (
	slotX19   = 19
	slotX29   = 29
	slotX30   = 30
	slotARMSP = 31
)

// byCompactARM64 is byCompact for arm64.
func (p *Process) byCompactARM64(s, next *state, im *image, f *compactFunction) outcome {
	mode := f.encoding & compactModeMask
	if mode != compactARM64Frame && mode != compactARM64Frameless {
		return failed
	}
	if s.exact {
		if moved, ok := p.prologARM64(f, im.bias, s.regs.pc()); ok {
			return p.returnARM64(next, &s.regs, s.regs.sp()+moved)
		}
	}
	if mode == compactARM64Frameless {
		// The registers of a pair are below the caller's SP. The return address is still in its register.
		up := s.regs.sp() + 16*uint64(f.encoding&arm64StackSize>>12)
		if !p.restorePairs(next, f.encoding, up) {
			return failed
		}
		return p.returnARM64(next, &s.regs, up)
	}
	if !s.regs.usable(slotX29) {
		return failed
	}
	next.unsure = next.unsure || !s.regs.has(slotX29)
	fp := s.regs.value[slotX29]
	saved, ok1 := p.word(fp)
	addr, ok2 := p.word(fp + 8)
	if !ok1 || !ok2 || !p.restorePairs(next, f.encoding, fp) {
		return failed
	}
	next.regs.put(slotX29, saved)
	next.regs.forget(slotX30)
	p.setPC(next, addr)
	next.regs.put(slotARMSP, fp+16)
	return found
}

// restorePairs loads the registers that an encoding names: each pair is below the previous one, its first register above the second.
func (p *Process) restorePairs(next *state, encoding uint32, at uint64) bool {
	for pair := range arm64Pairs {
		if encoding>>pair&1 == 0 {
			continue
		}
		for i := range 2 {
			at -= 8
			v, ok := p.word(at)
			if !ok {
				return false
			}
			next.regs.put(slotX19+2*pair+i, v)
		}
	}
	return true
}

// returnARM64 moves to the caller by the link register.
func (p *Process) returnARM64(next *state, regs *Registers, sp uint64) outcome {
	if !regs.has(slotX30) {
		return failed
	}
	next.regs.forget(slotX30)
	p.setPC(next, regs.value[slotX30])
	next.regs.put(slotARMSP, sp)
	return found
}
