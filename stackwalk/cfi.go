package stackwalk

// byCFI finds the caller by DWARF call frame information.
func (p *Process) byCFI(s, next *state) outcome {
	t, f, vaddr, ok := p.fdeOf(s)
	if !ok {
		return failed
	}
	return p.byFDE(s, next, t, &f, vaddr)
}

// byFDE finds the caller by the FDE f of table t, in which the link-time address of s is vaddr.
func (p *Process) byFDE(s, next *state, t *frameTable, f *fde, vaddr uint64) outcome {
	r, ok := t.rowAt(p.facts, f, vaddr)
	if !ok {
		return failed
	}
	cfa, ok := p.cfaOf(s, next, r, f.ptr)
	if !ok {
		return failed
	}
	next.cfa = cfa
	if f.signal {
		s.trampoline = true
		next.signal, next.exact = true, true
	}
	return p.applyRow(s, next, r, f, cfa)
}

// fdeOf finds the FDE of a frame and the frame's link-time address.
func (p *Process) fdeOf(s *state) (t *frameTable, f fde, vaddr uint64, ok bool) {
	if !s.exact {
		// The code that a signal handler returns to was not called: the handler returns to its first instruction.
		if t, f, vaddr, ok = p.fdeAt(s.regs.pc()); ok && f.signal {
			return t, f, vaddr, true
		}
	}
	return p.fdeAt(s.lookup())
}

func (p *Process) fdeAt(addr uint64) (t *frameTable, f fde, vaddr uint64, ok bool) {
	m := p.moduleAt(addr)
	if m < 0 {
		return nil, f, 0, false
	}
	im := p.image(m)
	vaddr = (addr - im.bias) & p.facts.mask
	t, f, ok = im.findFDE(vaddr)
	return t, f, vaddr, ok
}

// cfaOf returns the canonical frame address of s.
func (p *Process) cfaOf(s, next *state, r *row, ptr int) (uint64, bool) {
	switch r.cfa.how {
	case ruleRegister:
		slot := p.facts.slot(r.cfaReg)
		if !s.regs.usable(slot) || slot == p.facts.sp && s.guess {
			return 0, false
		}
		next.unsure = next.unsure || !s.regs.has(slot)
		return (s.regs.value[slot] + uint64(r.cfa.offset)) & p.facts.mask, true
	case ruleValExpression:
		if s.guess {
			return 0, false
		}
		return p.evaluate(r.cfa.expr, ptr, &s.regs)
	}
	return 0, false
}

// applyRow sets the registers of the caller.
func (p *Process) applyRow(s, next *state, r *row, f *fde, cfa uint64) outcome {
	for slot := range r.regs {
		rule := &r.regs[slot]
		if rule.how == ruleUnspecified {
			continue
		}
		if v, ok := p.apply(s, rule, cfa, slot, f.ptr); ok {
			next.regs.put(slot, v)
		} else {
			next.regs.forget(slot)
		}
	}
	ra := p.facts.columnSlot(f.ra, f.ra)
	if ra == none {
		return failed
	}
	switch how := r.regs[ra].how; {
	case how == ruleUndefined:
		return outermost
	case how == ruleUnspecified && ra != slotPC && s.regs.has(ra):
		p.setPC(next, s.regs.value[ra])
	case how == ruleUnspecified || !next.regs.has(ra):
		return failed
	default:
		p.setPC(next, next.regs.value[ra])
	}
	if p.facts.lr != none && !f.signal {
		next.regs.forget(p.facts.lr) // overwritten by the call that has not returned
	}
	if !next.regs.has(p.facts.sp) {
		next.regs.put(p.facts.sp, cfa-p.facts.bias)
	}
	return found
}

// apply returns the value of a register of the caller.
func (p *Process) apply(s *state, r *rule, cfa uint64, slot, ptr int) (uint64, bool) {
	switch r.how {
	case ruleSame:
		return s.regs.value[slot], s.regs.has(slot)
	case ruleOffset:
		return p.word((cfa + uint64(r.offset)) & p.facts.mask)
	case ruleValOffset:
		return cfa + uint64(r.offset), true
	case ruleRegister:
		from := p.facts.slot(uint64(r.offset))
		if !s.regs.has(from) {
			return 0, false
		}
		return s.regs.value[from], true
	case ruleExpression, ruleValExpression:
		v, ok := p.evaluate(r.expr, ptr, &s.regs, cfa)
		if ok && r.how == ruleExpression {
			v, ok = p.word(v)
		}
		return v, ok
	}
	return 0, false
}
