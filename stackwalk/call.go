package stackwalk

import (
	"encoding/binary"

	"minidump/context"
)

// maxFunction is how far behind the start of a function its code may reach, for a call to count as one of that function. The
// largest functions of real programs, generated interpreters, have some 100 KB.
const maxFunction = 256 << 10

// callTarget returns where the direct call before the return address pc goes. ok is false if there is none, or the code is not
// at hand.
func (p *Process) callTarget(pc uint64) (target uint64, ok bool) {
	b, ok := p.codeBefore(pc)
	if !ok {
		return 0, false
	}
	n := len(b)
	w := uint64(p.order().Uint32(b[n-4:]))
	signed := func(v uint64, width uint) uint64 { return uint64(int64(v<<(64-width)) >> (64 - width)) }
	switch p.Arch {
	case context.AMD64, context.X86:
		if n < 5 || b[n-5] != 0xe8 {
			return 0, false
		}
		target = pc + signed(w, 32)
	case context.ARM64:
		w = uint64(binary.LittleEndian.Uint32(b[n-4:])) // code is little-endian always
		if w>>26 != 0b100101 {
			return 0, false
		}
		target = pc - 4 + signed(w&(1<<26-1), 26)<<2
	case context.ARM:
		if w>>28 == 15 || w>>24&15 != 0b1011 {
			return 0, false
		}
		target = pc + 4 + signed(w&(1<<24-1), 24)<<2
	case context.RISCV64:
		if w&0xfff != 0x0ef { // jal ra
			return 0, false
		}
		off := w>>31<<20 | w>>12&0xff<<12 | w>>20&1<<11 | w>>21&0x3ff<<1
		target = pc - 4 + signed(off, 21)
	case context.PPC, context.PPC64:
		if w>>26 != 18 || w&3 != 1 { // bl
			return 0, false
		}
		target = pc - 4 + signed(w&0x03fffffc, 26)
	case context.S390X:
		if n < 6 || b[n-6] != 0xc0 || b[n-5] != 0xe5 { // brasl %r14
			return 0, false
		}
		target = pc - 6 + signed(w, 32)<<1
	default:
		return 0, false
	}
	return target & p.facts.mask, true
}

// calls reports whether the call before the return address pc can have led to the function that runs at addr. sure is true if
// the call goes there directly. A direct call that goes elsewhere counts only if there is a jump: a stub of the dynamic
// linker's table, or the whole of a function that calls another as its last act.
func (p *Process) calls(pc, addr uint64) (can, sure bool) {
	target, ok := p.callTarget(p.codeAddress(pc))
	if !ok {
		return true, false
	}
	if addr >= target && addr-target < maxFunction {
		if t, f, vaddr, ok := p.fdeAt(target); ok && t != nil && addr-target >= f.end-vaddr {
			return p.jumps(target), false // it ends before addr
		}
		return true, true
	}
	return p.jumps(target), false
}

// jumps reports whether the code at addr begins with a jump, or is not at hand.
func (p *Process) jumps(addr uint64) bool {
	var b [32]byte
	n := p.read(addr, b[:])
	if n < len(b) {
		return true
	}
	switch p.Arch {
	case context.AMD64, context.X86:
		code := b[:]
		if b[0] == 0xf3 && b[1] == 0x0f && b[2] == 0x1e { // endbr64, endbr32
			code = code[4:]
		}
		if code[0] == 0xf2 { // bnd
			code = code[1:]
		}
		return code[0] == 0xe9 || code[0] == 0xeb || code[0] == 0xff && (code[1] == 0x25 || code[1] == 0xa3)
	}
	for at := 0; at+4 <= len(b); at += 4 { // such stubs have a few instructions
		if p.isJump(b[at:]) {
			return true
		}
	}
	return false
}

// isJump reports whether the instruction in b is a jump that does not come back.
func (p *Process) isJump(b []byte) bool {
	w := p.order().Uint32(b)
	switch p.Arch {
	case context.ARM64:
		w = binary.LittleEndian.Uint32(b)
		return w>>26 == 0b000101 || w&0xfffffc1f == 0xd61f0000 // b, br
	case context.ARM:
		return w>>24 == 0xea || w&0x0ffffff0 == 0x012fff10 || w&0x0ff0f000 == 0x0510f000 || w&0xfffff000 == 0xe5bcf000 // b, bx, ldr pc
	case context.RISCV64:
		return w&0xfff == 0x06f || w&0xfff == 0x067 || w&0xfff == 0x367 || w&0xf07f == 0x8002 // jal zero, jalr zero, jalr t1, c.jr
	case context.PPC, context.PPC64:
		return w>>26 == 18 && w&1 == 0 || w == 0x4e800420 // b, bctr
	case context.S390X:
		return b[0] == 0x07 && b[1]>>4 == 15 || b[2] == 0x07 && b[3]>>4 == 15 || b[0] == 0xc0 && b[1] == 0xf4 // br, jg
	}
	return true
}
