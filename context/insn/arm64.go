package insn

import (
	"encoding/binary"

	"golang.org/x/arch/arm64/arm64asm"

	"minidump/context"
)

// arm64Insn is one A64 instruction with the registers before it is executed. regs[31] is sp, which register 31 means in a base
// register field.
type arm64Insn struct {
	w    uint32
	pc   uint64
	regs []uint64
}

// bits returns the bits hi to lo of the instruction.
func (x *arm64Insn) bits(hi, lo int) uint32 { return x.w << (31 - hi) >> (31 - hi + lo) }

// signed returns the bits hi to lo of the instruction as a signed number.
func (x *arm64Insn) signed(hi, lo int) uint64 {
	return uint64(int64(int32(x.w<<(31-hi)) >> (31 - hi + lo)))
}

// base returns the register that the field Rn names.
func (x *arm64Insn) base() uint64 { return x.regs[x.bits(9, 5)] }

// vector reports whether the operand is a vector or floating-point register.
func (x *arm64Insn) vector() bool { return x.bits(26, 26) == 1 }

// loadIf returns AccessRead if load is 1 and AccessWrite otherwise.
func loadIf(load uint32) context.Access {
	if load == 1 {
		return context.AccessRead
	}
	return context.AccessWrite
}

// decodeARM64 reads the encodings of loads and stores itself (ARM ARM, C4.1.94): the disassembler does not return the offsets of
// operands, and does not support newer instructions.
func decodeARM64(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	if len(code) < 4 {
		return inst
	}
	x := arm64Insn{binary.LittleEndian.Uint32(code), pc, regs} // instructions are little-endian on a big-endian system too
	switch bits := x.bits; {
	case x.w&0xffffffe0 == 0xd50b7420: // dc zva, xt: the instruction does not state the size
		inst.add(regFile(regs, bits(4, 0)), 0, context.AccessWrite)
	case bits(31, 25) == 0b1101011 && bits(24, 24) == 0 && bits(20, 10) == 0b11111000000 && bits(23, 21) <= 2:
		// br, blr, ret
		inst.add(regFile(regs, bits(9, 5)), 0, context.AccessExecute)
	case bits(29, 24) == 0b001000:
		x.exclusive(&inst)
	case bits(29, 24) == 0b011001 && bits(21, 21) == 0 && bits(11, 10) == 0: // ldapur, stlur
		inst.add(x.base()+x.signed(20, 12), 1<<bits(31, 30), loadIf(min(bits(23, 22), 1)))
	case bits(29, 27) == 0b011 && bits(25, 24) == 0:
		x.literal(&inst)
	case bits(29, 27) == 0b101 && bits(25, 25) == 0:
		x.pair(&inst)
	case bits(29, 27) == 0b111:
		x.single(&inst)
	case bits(31, 31) == 0 && bits(29, 25) == 0b00110: // vector structures
		size := arm64StructureSize(bits(30, 30), bits(24, 24), bits(21, 21), bits(15, 12), bits(11, 10))
		inst.add(x.base(), size, loadIf(bits(22, 22)))
	}
	if in, err := arm64asm.Decode(code[:4]); err == nil && len(inst.ops) != 0 {
		inst.text = arm64asm.GNUSyntax(in)
	}
	return inst
}

// exclusive decodes exclusive and ordered loads and stores, and compare and swap.
func (x *arm64Insn) exclusive(inst *instruction) {
	size, access := 1<<x.bits(31, 30), loadIf(x.bits(22, 22))
	o2, o1 := x.bits(23, 23), x.bits(21, 21)
	switch {
	case o2 == 0 && o1 == 1 && size >= 4:
		size *= 2
	case o2 == 0 && o1 == 1: // casp
		size = 8 << x.bits(30, 30)
		access = context.AccessWrite
	case o2 == 1 && o1 == 1: // cas
		access = context.AccessWrite
	}
	inst.add(x.base(), size, access)
}

// literal decodes loads relative to the program counter.
func (x *arm64Insn) literal(inst *instruction) {
	size := 4 << x.bits(31, 30)
	if !x.vector() {
		switch x.bits(31, 30) {
		case 2: // ldrsw
			size = 4
		case 3: // prfm
			return
		}
	}
	inst.add(x.pc+x.signed(23, 5)*4, size, context.AccessRead)
}

// pair decodes loads and stores of two registers.
func (x *arm64Insn) pair(inst *instruction) {
	opc := x.bits(31, 30)
	if !x.vector() && opc == 1 && x.bits(22, 22) == 0 { // stgp
		inst.add(x.base()+pairOffset(x.bits(24, 23), x.signed(21, 15)*16), 16, context.AccessWrite)
		return
	}
	size := 4
	switch {
	case x.vector():
		size = 4 << opc
	case opc == 2:
		size = 8
	}
	inst.add(x.base()+pairOffset(x.bits(24, 23), x.signed(21, 15)*uint64(size)), 2*size, loadIf(x.bits(22, 22)))
}

// single decodes loads and stores of one register, and the atomic instructions, which share the encoding.
func (x *arm64Insn) single(inst *instruction) {
	bits := x.bits
	opc, scale, size := bits(23, 22), bits(31, 30), 1<<bits(31, 30)
	access := loadIf(min(opc, 1))
	if x.vector() {
		access = loadIf(opc & 1)
		if opc&2 != 0 {
			scale, size = scale+4, 16
		}
	}
	prefetch := !x.vector() && bits(31, 30) == 3 && opc == 2
	switch {
	case bits(25, 24) == 1: // unsigned immediate
		if !prefetch {
			inst.add(x.base()+uint64(bits(21, 10))<<scale, size, access)
		}
	case bits(25, 24) != 0:
	case bits(21, 21) == 0:
		switch {
		case bits(11, 10) == 1: // post-index
			inst.add(x.base(), size, access)
		case !prefetch: // unscaled, unprivileged, pre-index
			inst.add(x.base()+x.signed(20, 12), size, access)
		}
	case bits(11, 10) == 2: // register offset
		if !prefetch {
			inst.add(x.base()+x.indexOffset(scale), size, access)
		}
	case bits(11, 10) == 0 && !x.vector():
		x.atomic(inst, size)
	case !x.vector(): // ldraa, ldrab: authentication changes the base
		inst.addUnknown(8, context.AccessRead)
	}
}

// indexOffset returns the offset that the index register adds to the base.
func (x *arm64Insn) indexOffset(scale uint32) uint64 {
	off := regFile(x.regs, x.bits(20, 16))
	switch x.bits(15, 13) {
	case 2: // uxtw
		off = uint64(uint32(off))
	case 6: // sxtw
		off = uint64(int64(int32(off)))
	}
	if x.bits(12, 12) == 1 {
		off <<= scale
	}
	return off
}

// atomic decodes the atomic memory operations. All of them write except ldapr and ld64b.
func (x *arm64Insn) atomic(inst *instruction, size int) {
	access := context.AccessWrite
	switch x.bits(15, 12) {
	case 0b1100: // ldapr
		access = context.AccessRead
	case 0b1101: // ld64b
		access, size = context.AccessRead, 64
	case 0b1001, 0b1010, 0b1011: // st64b, st64bv0, st64bv
		size = 64
	}
	inst.add(x.base(), size, access)
}

// regFile returns register n, where 31 is the zero register.
func regFile(regs []uint64, n uint32) uint64 {
	if n == 31 {
		return 0
	}
	return regs[n]
}

// pairOffset returns the offset of a pair: 0 if it is post-indexed.
func pairOffset(mode uint32, off uint64) uint64 {
	if mode == 1 {
		return 0
	}
	return off
}

// arm64StructureSize returns the number of bytes that ld1 to ld4 and st1 to st4 transfer.
func arm64StructureSize(q, single, r, opcode, size uint32) int {
	if single == 0 {
		width := 8 << q
		switch opcode {
		case 0b0000, 0b0010:
			return 4 * width
		case 0b0100, 0b0110:
			return 3 * width
		case 0b1000, 0b1010:
			return 2 * width
		}
		return width
	}
	n := int(opcode>>1&1<<1|r) + 1
	switch opcode >> 2 {
	case 0:
		return n
	case 1:
		return 2 * n
	case 2:
		if size == 1 {
			return 8 * n
		}
		return 4 * n
	}
	return n << size // one element to all lanes
}

// isCallARM64 recognizes bl, blr and the forms of blr that authenticate the target.
func isCallARM64(before []byte) bool {
	if len(before) < 4 {
		return false
	}
	w := binary.LittleEndian.Uint32(before[len(before)-4:])
	return w>>26 == 0b100101 || w&0xfffffc1f == 0xd63f0000 || w&0xfefff800 == 0xd63f0800
}
