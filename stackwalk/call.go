package stackwalk

import (
	"encoding/binary"

	"golang.org/x/arch/x86/x86asm"

	"minidump/context"
)

// maxFunction is the maximum distance of a function's code from its start for a call to count as one of that function. The
// largest functions of real programs, generated interpreters, have about 100 KB.
const maxFunction = 256 << 10

// callTarget returns the target of the direct call before the return address pc. ok is false if there is none, or if the code
// is not available.
func (p *Process) callTarget(pc uint64) (target uint64, ok bool) {
	b, ok := p.codeBefore(pc)
	if !ok {
		return 0, false
	}
	n := len(b)
	w := uint64(p.order().Uint32(b[n-4:]))
	switch p.Arch {
	case context.AMD64, context.X86:
		target, ok = pc+signed(w, 32), n > 4 && b[n-5] == 0xe8
	case context.ARM64: // code is always little-endian
		w = uint64(binary.LittleEndian.Uint32(b[n-4:]))
		target, ok = pc-4+signed(w, 26)<<2, w>>26 == 0b100101 // bl
	case context.ARM:
		target, ok = pc+4+signed(w, 24)<<2, w>>28 != 15 && w>>24&15 == 0b1011 // bl
	case context.RISCV64:
		off := w>>31<<20 | w>>12&0xff<<12 | w>>20&1<<11 | w>>21&0x3ff<<1
		target, ok = pc-4+signed(off, 21), w&0xfff == 0x0ef // jal ra
	case context.PPC, context.PPC64:
		target, ok = pc-4+signed(w&0x03fffffc, 26), w>>26 == 18 && w&3 == 1 // bl
	case context.S390X:
		target, ok = pc-6+signed(w, 32)<<1, n > 5 && b[n-6] == 0xc0 && b[n-5] == 0xe5 // brasl %r14
	case context.MIPS, context.MIPS64:
		target, ok = callTargetMIPS(p.order(), b, pc)
	case context.LOONG64:
		target, ok = pc-4+signed(w>>10&0xffff<<2|w&0x3ff<<18, 28), w>>26 == 0b010101 // bl
	default:
		ok = false
	}
	return target & p.facts.mask, ok
}

// signed extends the sign of the low width bits of v.
func signed(v uint64, width uint) uint64 { return uint64(int64(v<<(64-width)) >> (64 - width)) }

// callTargetMIPS is callTarget for MIPS, where the call is before the instruction in the delay slot.
func callTargetMIPS(o binary.ByteOrder, b []byte, pc uint64) (target uint64, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	switch w := uint64(o.Uint32(b[len(b)-8:])); {
	case w>>26 == 3: // jal
		return (pc-4)&^(1<<28-1) | w&(1<<26-1)<<2, true
	case w>>16 == 0x0411: // bal
		return pc - 4 + signed(w, 16)<<2, true
	}
	return 0, false
}

// calls reports whether the call before the return address pc can have led to the function that runs at addr. sure is true if
// the call goes there directly. A direct call that goes elsewhere counts only if there is a jump at its target: a stub of the
// dynamic linker's table, or a function that ends with a jump to another function.
func (p *Process) calls(pc, addr uint64) (can, sure bool) {
	pc = p.codeAddress(pc)
	if _, at := p.atTrampoline(pc); at {
		return true, false
	}
	target, ok := p.callTarget(pc)
	if !ok {
		return true, false
	}
	target = p.follow(target)
	_, f, vaddr, known := p.fdeAt(target)
	if addr >= target && addr-target < maxFunction && !(known && addr-target >= f.end-vaddr) {
		return true, true
	}
	const maxStub = 128 // bytes; a larger function does more than jump
	return !(known && f.end-vaddr > maxStub) && p.jumps(target), false
}

// follow returns the target of a direct jump at addr, or addr itself if there is none.
func (p *Process) follow(addr uint64) uint64 {
	const most = 4 // jumps
	for range most {
		var b [5]byte
		n := p.read(addr, b[:])
		switch {
		case p.facts.lr == none && n == 5 && b[0] == 0xe9:
			addr = (addr + 5 + uint64(int64(int32(p.order().Uint32(b[1:]))))) & p.facts.mask
		case p.Arch == context.ARM64 && n >= 4 && b[3]>>2 == 0b000101:
			addr += uint64(int64(int32(binary.LittleEndian.Uint32(b[:])<<6)) >> 4)
		default:
			return addr
		}
	}
	return addr
}

// jumps reports whether there is a jump among the first instructions at addr, or whether the instructions are not available.
func (p *Process) jumps(addr uint64) bool {
	var b [32]byte
	n := p.read(addr, b[:])
	if n < len(b) {
		return true
	}
	if p.facts.lr == none {
		return jumpsX86(b[:], 8*p.facts.word)
	}
	for at := 0; at+4 <= len(b); at += 4 { // such stubs have a few instructions
		if p.isJump(b[at:]) {
			return true
		}
	}
	return false
}

// jumpsX86 is jumps for x86 and amd64.
func jumpsX86(code []byte, mode int) (jumps bool) {
	defer func() { // the disassembler may read past the end
		if recover() != nil {
			jumps = false
		}
	}()
	const most = 6 // instructions
	for range most {
		if len(code) > 4 && code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e { // endbr32, endbr64
			code = code[4:]
			continue
		}
		if len(code) > 0 && code[0] == 0xf2 { // bnd
			code = code[1:]
		}
		in, err := x86asm.Decode(code, mode)
		if err != nil || in.Len == 0 || in.Len > len(code) {
			return false
		}
		switch in.Op {
		case x86asm.JMP, x86asm.LJMP:
			return true
		case x86asm.RET, x86asm.CALL:
			return false
		}
		code = code[in.Len:]
	}
	return false
}

// isJump reports whether the instruction in b is a jump that does not return.
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
	case context.MIPS, context.MIPS64:
		return w>>26 == 2 || w&0xfc1fffff == 0x00000008 || w>>16 == 0x1000 // j, jr, b
	case context.LOONG64:
		return w>>26 == 0b010100 || w>>26 == 0b010011 && w&0x1f == 0 // b, jirl zero
	case context.S390X:
		return b[0] == 0x07 && b[1]>>4 == 15 || b[2] == 0x07 && b[3]>>4 == 15 || b[0] == 0xc0 && b[1] == 0xf4 // br, jg
	}
	return true
}
