package stackwalk

// How a register of the caller is found (DWARF 5, 6.4.1).
const (
	ruleUnspecified   = iota // as defined by the psABI
	ruleUndefined            // not recoverable
	ruleSame                 // unchanged
	ruleOffset               // in memory at CFA+offset
	ruleValOffset            // CFA+offset
	ruleRegister             // in the register with the number offset
	ruleExpression           // in memory at the value of an expression
	ruleValExpression        // the value of an expression
)

type rule struct {
	how    uint8
	offset int64
	expr   []byte
}

// row has the rules for one address.
type row struct {
	cfa    rule   // ruleRegister with cfaReg and offset, or ruleValExpression
	cfaReg uint64 // DWARF number
	regs   [numSlots]rule
	signed bool // arm64: the return address is signed
}

// Instructions of call frame information (DWARF 5, 7.24, and the extensions of LSB, MIPS and arm64).
const (
	cfaAdvanceLoc = 0x40
	cfaOffset     = 0x80
	cfaRestore    = 0xc0

	cfaNop                   = 0x00
	cfaSetLoc                = 0x01
	cfaAdvanceLoc1           = 0x02
	cfaAdvanceLoc2           = 0x03
	cfaAdvanceLoc4           = 0x04
	cfaOffsetExtended        = 0x05
	cfaRestoreExtended       = 0x06
	cfaUndefined             = 0x07
	cfaSameValue             = 0x08
	cfaRegister              = 0x09
	cfaRememberState         = 0x0a
	cfaRestoreState          = 0x0b
	cfaDefCFA                = 0x0c
	cfaDefCFARegister        = 0x0d
	cfaDefCFAOffset          = 0x0e
	cfaDefCFAExpression      = 0x0f
	cfaExpression            = 0x10
	cfaOffsetExtendedSF      = 0x11
	cfaDefCFASF              = 0x12
	cfaDefCFAOffsetSF        = 0x13
	cfaValOffset             = 0x14
	cfaValOffsetSF           = 0x15
	cfaValExpression         = 0x16
	cfaMIPSAdvanceLoc8       = 0x1d
	cfaAArch64NegateWithPC   = 0x2c
	cfaGNUWindowSave         = 0x2d // on arm64 DW_CFA_AARCH64_negate_ra_state
	cfaGNUArgsSize           = 0x2e
	cfaGNUNegativeOffset     = 0x2f
	maxRememberedRows        = 64
	maxInstructionsOfProgram = 1 << 16
)

// program executes instructions of call frame information until they are about an address after pc.
type program struct {
	facts   *archFacts
	cie     *cie
	data    uint64 // of the table, for pointers
	pc      uint64
	loc     uint64
	row     row
	initial *row // after the instructions of the CIE
	saved   []row
}

// rowAt returns the rules for the link-time address pc, which is in f.
func (t *frameTable) rowAt(a *archFacts, f *fde, pc uint64) (*row, bool) {
	p := program{facts: a, cie: f.cie, data: t.hdr, pc: pc, loc: f.start}
	c := cursor{b: f.cie.program, addr: f.cie.programAt, order: t.order, ptr: f.ptr}
	if !p.run(&c) {
		return nil, false
	}
	initial := p.row
	p.initial, p.loc, p.saved = &initial, f.start, nil
	c = cursor{b: f.program, addr: f.programAt, order: t.order, ptr: f.ptr}
	return &p.row, p.run(&c)
}

// run executes the program in c. It returns false for an invalid instruction.
func (p *program) run(c *cursor) bool {
	for n := 0; c.more() && n < maxInstructionsOfProgram; n++ {
		op := c.u8()
		low := uint64(op & 0x3f)
		ok := true
		switch op & 0xc0 {
		case cfaAdvanceLoc:
			p.advance(low)
		case cfaOffset:
			p.set(low, rule{how: ruleOffset, offset: int64(c.uleb()) * p.cie.dataAlign})
		case cfaRestore:
			p.restore(low)
		default:
			ok = p.location(c, op) || p.defCFA(c, op) || p.register(c, op)
		}
		if !ok || c.bad {
			return false
		}
		if p.loc > p.pc {
			return true
		}
	}
	return true
}

func (p *program) advance(n uint64) { p.loc += n * p.cie.codeAlign }

// set sets the rule of a register, if the register is tracked.
func (p *program) set(reg uint64, r rule) {
	if s := p.facts.columnSlot(reg, p.cie.ra); s != none {
		p.row.regs[s] = r
	}
}

func (p *program) restore(reg uint64) {
	if s := p.facts.columnSlot(reg, p.cie.ra); s != none {
		p.row.regs[s] = rule{}
		if p.initial != nil {
			p.row.regs[s] = p.initial.regs[s]
		}
	}
}

// columnSlot is slot for a column of a table whose return address is in column ra. On some architectures ra is the number of no register.
func (a *archFacts) columnSlot(reg, ra uint64) int {
	s := a.slot(reg)
	if s == none && reg == ra {
		return slotPC
	}
	return s
}

// location executes an instruction that changes the address, saves or restores a row, or does nothing.
func (p *program) location(c *cursor, op byte) bool {
	switch op {
	case cfaNop:
	case cfaSetLoc:
		p.loc, _ = c.pointer(p.cie.encoding, p.data)
	case cfaAdvanceLoc1:
		p.advance(c.uint(1))
	case cfaAdvanceLoc2:
		p.advance(c.uint(2))
	case cfaAdvanceLoc4:
		p.advance(c.uint(4))
	case cfaMIPSAdvanceLoc8:
		p.advance(c.uint(8))
	case cfaGNUArgsSize:
		c.uleb()
	case cfaGNUWindowSave, cfaAArch64NegateWithPC:
		p.row.signed = !p.row.signed
	case cfaRememberState:
		if len(p.saved) >= maxRememberedRows {
			return false
		}
		p.saved = append(p.saved, p.row)
	case cfaRestoreState:
		if len(p.saved) == 0 {
			return false
		}
		p.row = p.saved[len(p.saved)-1]
		p.saved = p.saved[:len(p.saved)-1]
	default:
		return false
	}
	return true
}

// defCFA executes an instruction that defines the CFA.
func (p *program) defCFA(c *cursor, op byte) bool {
	r := &p.row
	switch op {
	case cfaDefCFA:
		r.cfaReg = c.uleb()
		r.cfa = rule{how: ruleRegister, offset: int64(c.uleb())}
	case cfaDefCFASF:
		r.cfaReg = c.uleb()
		r.cfa = rule{how: ruleRegister, offset: c.sleb() * p.cie.dataAlign}
	case cfaDefCFARegister:
		r.cfaReg = c.uleb()
		r.cfa.how = ruleRegister
	case cfaDefCFAOffset:
		r.cfa.offset = int64(c.uleb())
	case cfaDefCFAOffsetSF:
		r.cfa.offset = c.sleb() * p.cie.dataAlign
	case cfaDefCFAExpression:
		r.cfa = rule{how: ruleValExpression, expr: c.take(c.uleb())}
	default:
		return false
	}
	return true
}

// register executes an instruction that sets the rule of a register.
func (p *program) register(c *cursor, op byte) bool {
	if op > cfaValExpression && op != cfaGNUNegativeOffset {
		return false
	}
	reg := c.uleb()
	switch op {
	case cfaOffsetExtended:
		p.set(reg, rule{how: ruleOffset, offset: int64(c.uleb()) * p.cie.dataAlign})
	case cfaOffsetExtendedSF:
		p.set(reg, rule{how: ruleOffset, offset: c.sleb() * p.cie.dataAlign})
	case cfaGNUNegativeOffset:
		p.set(reg, rule{how: ruleOffset, offset: -int64(c.uleb()) * p.cie.dataAlign})
	case cfaRestoreExtended:
		p.restore(reg)
	case cfaUndefined:
		p.set(reg, rule{how: ruleUndefined})
	case cfaSameValue:
		p.set(reg, rule{how: ruleSame})
	case cfaRegister:
		p.set(reg, rule{how: ruleRegister, offset: int64(c.uleb())})
	case cfaValOffset:
		p.set(reg, rule{how: ruleValOffset, offset: int64(c.uleb()) * p.cie.dataAlign})
	case cfaValOffsetSF:
		p.set(reg, rule{how: ruleValOffset, offset: c.sleb() * p.cie.dataAlign})
	case cfaExpression:
		p.set(reg, rule{how: ruleExpression, expr: c.take(c.uleb())})
	case cfaValExpression:
		p.set(reg, rule{how: ruleValExpression, expr: c.take(c.uleb())})
	default:
		return false
	}
	return true
}
