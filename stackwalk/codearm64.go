package stackwalk

import "encoding/binary"

// armClass is what an instruction of arm64 does to the stack.
type armClass uint8

const (
	armOther  armClass = iota
	armBranch          // it may jump elsewhere
	armNone            // it signs or checks the return address, or does nothing
	armMove            // SP += by
	armStore           // registers from SP+off on; SP += by before it
	armLoad            // registers from SP+off on; SP += by after it
	armSetFP           // x29 = SP+off
	armFromFP          // SP = x29+off
	armReturn
)

// armCode is an instruction of arm64.
type armCode struct {
	class armClass
	by    uint64
	off   uint64
	first int // of the registers, as a slot; none if they are not tracked
	count int
	other int // the second register of a pair
}

// Instructions by mask and value (Arm Architecture Reference Manual for A-profile, C4.1). Loads and stores are those of 64-bit registers
// with base SP: pairs have a 7-bit offset in words, others a 9-bit offset in bytes or a 12-bit offset in words.
var armCodes = []struct {
	mask, value uint32
	class       armClass
	kind        byte // p: pair with write-back, o: pair, s: single with write-back, u: single with offset, i: immediate
	float       bool
}{
	{0xffc003e0, 0xa98003e0, armStore, 'p', false},
	{0xffc003e0, 0x6d8003e0, armStore, 'p', true},
	{0xffc003e0, 0xa90003e0, armStore, 'o', false},
	{0xffc003e0, 0x6d0003e0, armStore, 'o', true},
	{0xffe00fe0, 0xf8000fe0, armStore, 's', false},
	{0xffe00fe0, 0xfc000fe0, armStore, 's', true},
	{0xffc003e0, 0xf90003e0, armStore, 'u', false},
	{0xffc003e0, 0xfd0003e0, armStore, 'u', true},
	{0xffc003e0, 0xa8c003e0, armLoad, 'p', false},
	{0xffc003e0, 0x6cc003e0, armLoad, 'p', true},
	{0xffc003e0, 0xa94003e0, armLoad, 'o', false},
	{0xffc003e0, 0x6d4003e0, armLoad, 'o', true},
	{0xffe00fe0, 0xf84007e0, armLoad, 's', false},
	{0xffe00fe0, 0xfc4007e0, armLoad, 's', true},
	{0xffc003e0, 0xf94003e0, armLoad, 'u', false},
	{0xffc003e0, 0xfd4003e0, armLoad, 'u', true},
	{0xff8003ff, 0xd10003ff, armMove, '-', false}, // sub sp, sp
	{0xff8003ff, 0x910003ff, armMove, 'i', false}, // add sp, sp
	{0xff8003ff, 0x910003fd, armSetFP, 'i', false},
	{0xff8003ff, 0xd10003bf, armFromFP, '-', false}, // sub sp, x29
	{0xff8003ff, 0x910003bf, armFromFP, 'i', false}, // add sp, x29; mov
	{0xffffff1f, 0xd503231f, armNone, 0, false},     // paciasp, pacibsp, autiasp, autibsp
	{0xffffff1f, 0xd503241f, armNone, 0, false},     // bti
	{0xffffffff, 0xd503201f, armNone, 0, false},     // nop
	{0xfffffbff, 0xd65f0bff, armReturn, 0, false},   // retaa, retab
	{0xffffffff, 0xd65f03c0, armReturn, 0, false},
	{0x7c000000, 0x14000000, armBranch, 0, false}, // b, bl
	{0xfe000000, 0xd6000000, armBranch, 0, false}, // br, blr and the like
	{0x7c000000, 0x34000000, armBranch, 0, false}, // cbz, cbnz, tbz, tbnz
	{0xfe000000, 0x54000000, armBranch, 0, false}, // b.cond
	{0xff000000, 0xd4000000, armBranch, 0, false}, // svc, brk
}

// decodeARM decodes the relevant fields of an instruction.
func decodeARM(w uint32) armCode {
	for i := range armCodes {
		e := &armCodes[i]
		if w&e.mask != e.value {
			continue
		}
		c := armCode{class: e.class, first: int(w & 31), other: int(w >> 10 & 31), count: 1}
		if e.float {
			c.first, c.other = none, none
		}
		switch e.kind {
		case 'p', 'o':
			c.off, c.count = signed(uint64(w>>15&0x7f), 7)*8, 2
		case 's':
			c.off = signed(uint64(w>>12&0x1ff), 9)
		case 'u':
			c.off = uint64(w>>10&0xfff) * 8
		case 'i', '-':
			c.off = uint64(w>>10&0xfff) << (w >> 22 & 1 * 12)
			if e.kind == '-' {
				c.off = -c.off
			}
		}
		if e.kind == 'p' || e.kind == 's' { // the offset is the new SP
			c.by, c.off = c.off, 0
		}
		if c.class == armMove {
			c.by = c.off
		}
		return c
	}
	return armCode{}
}

// codeARM64 returns up to most instructions at addr.
func (p *Process) codeARM64(addr uint64, most int) (code []uint32) {
	b := make([]byte, 4*most)
	for b = b[:p.read(addr, b)]; len(b) >= 4; b = b[4:] {
		code = append(code, binary.LittleEndian.Uint32(b))
	}
	return code
}

// prologARM64 reports whether pc is among the first instructions of a function, before its frame is complete, and by how many bytes
// these have lowered SP so far.
//
// The linker merges adjacent functions with the same encoding, so f may begin with another function. The function begins after the
// last branch before pc, because a prolog contains no branch.
func (p *Process) prologARM64(f *compactFunction, bias, pc uint64) (moved uint64, ok bool) {
	const most = 32 // instructions
	from := max(f.start+bias, pc-4*most)
	done := p.codeARM64(from, int(pc-from)/4)
	begun := from == f.start+bias
	for i := len(done) - 1; i >= 0; i-- {
		c := decodeARM(done[i])
		if c.class == armBranch || c.class == armReturn {
			begun = true
			break
		}
		moved -= c.sinks()
	}
	if !begun || len(done) < int(pc-from)/4 {
		return 0, false
	}
	rest, saves := uint64(0), false
	for _, w := range p.codeARM64(pc, most) {
		c := decodeARM(w)
		if f.encoding&compactModeMask == compactARM64Frame {
			switch c.class {
			case armSetFP:
				return moved, true
			case armBranch, armReturn, armFromFP:
				return 0, false
			}
			continue
		}
		if c.class == armOther || c.class == armBranch || c.class == armReturn {
			break
		}
		rest -= c.sinks()
		saves = saves || c.class == armStore && c.first >= slotX19
	}
	return moved, (rest > 0 || saves) && moved+rest == 16*uint64(f.encoding&arm64StackSize>>12)
}

// sinks returns by how many bytes an instruction of a prolog lowers SP; 0 for instructions of an epilog.
func (c *armCode) sinks() uint64 {
	if int64(c.by) < 0 {
		return c.by
	}
	return 0
}

// armRegisters are the registers while instructions are executed.
type armRegisters struct {
	p      *Process
	regs   Registers
	sp     uint64
	loaded uint64 // bit i: slot i was loaded
	trap   bool   // regs are those of code that an exception interrupted, including PC
}

// load loads a register.
func (r *armRegisters) load(slot int, at uint64) bool {
	if slot == none || slot > slotX30 {
		return true
	}
	v, ok := r.p.word(at)
	if ok {
		r.regs.put(slot, v)
		r.loaded |= 1 << slot
	}
	return ok
}

// epilog reports whether the code at pc is the rest of an epilog, and if so, executes it up to the return, or to the jump to
// another function.
func (r *armRegisters) epilog(pc uint64) bool {
	const most = 24 // instructions
	try := *r
	for i, w := range r.p.codeARM64(pc, most) {
		switch c := decodeARM(w); c.class {
		case armNone:
		case armMove:
			try.sp += c.by
		case armFromFP:
			if !try.regs.has(slotX29) {
				return false
			}
			try.sp = try.regs.value[slotX29] + c.off
		case armLoad:
			if !try.load(c.first, try.sp+c.off) || c.count == 2 && !try.load(c.other, try.sp+c.off+8) {
				return false
			}
			try.sp += c.by
		case armReturn:
			*r = try
			return true
		case armBranch:
			if jump := w>>26 == 0b000101 || w&0xfffffc1f == 0xd61f0000; !jump || i == 0 || try.loaded>>slotX30&1 == 0 { // b, br
				return false
			}
			*r = try
			return true
		default:
			return false
		}
	}
	return false
}
