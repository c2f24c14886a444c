package insn

import (
	"encoding/binary"

	"golang.org/x/arch/arm64/arm64asm"

	"minidump/context"
)

// decodeARM64 reads the encodings of loads and stores itself (ARM ARM, C4.1.94): the disassembler does not give the offsets
// of its operands, nor does it know the newer instructions. regs[31] is sp, as register 31 of a base is.
func decodeARM64(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	if len(code) < 4 {
		return inst
	}
	w := binary.LittleEndian.Uint32(code) // instructions are little-endian on a big-endian system too
	bits := func(hi, lo int) uint32 { return w << (31 - hi) >> (31 - hi + lo) }
	signed := func(hi, lo int) uint64 { return uint64(int64(int32(w<<(31-hi)) >> (31 - hi + lo))) }
	base := regs[bits(9, 5)]
	vector := bits(26, 26) == 1
	kind := context.AccessWrite
	if bits(22, 22) == 1 {
		kind = context.AccessRead
	}
	size := 1 << bits(31, 30)

	switch {
	case w&0xffffffe0 == 0xd50b7420: // dc zva, xt: how much it clears is not in the instruction
		inst.add(regFile(regs, bits(4, 0)), 0, context.AccessWrite)
	case bits(31, 25) == 0b1101011 && bits(24, 24) == 0 && bits(20, 10) == 0b11111000000 && bits(23, 21) <= 2:
		// br, blr, ret
		inst.add(regFile(regs, bits(9, 5)), 0, context.AccessExecute)
	case bits(29, 24) == 0b001000: // exclusive, ordered, compare and swap
		o2, o1 := bits(23, 23), bits(21, 21)
		switch {
		case o2 == 0 && o1 == 1 && size >= 4:
			size *= 2
		case o2 == 0 && o1 == 1: // casp
			size = 8 << bits(30, 30)
			kind = context.AccessWrite
		case o2 == 1 && o1 == 1: // cas
			kind = context.AccessWrite
		}
		inst.add(base, size, kind)
	case bits(29, 24) == 0b011001 && bits(21, 21) == 0 && bits(11, 10) == 0: // ldapur, stlur
		if bits(23, 22) == 0 {
			kind = context.AccessWrite
		} else {
			kind = context.AccessRead
		}
		inst.add(base+signed(20, 12), size, kind)
	case bits(29, 27) == 0b011 && bits(25, 24) == 0: // literal
		size = 4 << bits(31, 30)
		if !vector {
			switch bits(31, 30) {
			case 2: // ldrsw
				size = 4
			case 3: // prfm
				size = 0
			}
		}
		if size != 0 {
			inst.add(pc+signed(23, 5)*4, size, context.AccessRead)
		}
	case bits(29, 27) == 0b101 && bits(25, 25) == 0: // pairs
		opc := bits(31, 30)
		switch {
		case vector:
			size = 4 << opc
		case opc == 2:
			size = 8
		default:
			size = 4
		}
		if !vector && opc == 1 && bits(22, 22) == 0 { // stgp
			inst.add(base+pairOffset(bits(24, 23), signed(21, 15)*16), 16, context.AccessWrite)
			break
		}
		inst.add(base+pairOffset(bits(24, 23), signed(21, 15)*uint64(size)), 2*size, kind)
	case bits(29, 27) == 0b111:
		opc := bits(23, 22)
		scale := bits(31, 30)
		if vector {
			if opc&2 != 0 {
				scale += 4
				size = 16
			}
			if opc&1 != 0 {
				kind = context.AccessRead
			} else {
				kind = context.AccessWrite
			}
		} else if opc == 0 {
			kind = context.AccessWrite
		} else {
			kind = context.AccessRead
		}
		prefetch := !vector && bits(31, 30) == 3 && opc == 2
		switch {
		case bits(25, 24) == 1: // unsigned immediate
			if !prefetch {
				inst.add(base+uint64(bits(21, 10))<<scale, size, kind)
			}
		case bits(25, 24) != 0:
		case bits(21, 21) == 0:
			switch {
			case bits(11, 10) == 1: // post-index
				inst.add(base, size, kind)
			case !prefetch: // unscaled, unprivileged, pre-index
				inst.add(base+signed(20, 12), size, kind)
			}
		case bits(11, 10) == 2: // register offset
			off := regFile(regs, bits(20, 16))
			switch bits(15, 13) {
			case 2: // uxtw
				off = uint64(uint32(off))
			case 6: // sxtw
				off = uint64(int64(int32(off)))
			}
			if bits(12, 12) == 1 {
				off <<= scale
			}
			if !prefetch {
				inst.add(base+off, size, kind)
			}
		case bits(11, 10) == 0 && !vector: // atomics; ldapr and ld64b only read
			kind = context.AccessWrite
			if bits(15, 12) == 0b1100 || bits(15, 12) == 0b1101 {
				kind = context.AccessRead
			}
			if bits(15, 12) == 0b1101 || bits(15, 12) == 0b1001 || bits(15, 12) == 0b1011 || bits(15, 12) == 0b1010 {
				size = 64
			}
			inst.add(base, size, kind)
		case !vector: // ldraa, ldrab: the base is what authentication makes of it
			inst.addUnknown(8, context.AccessRead)
		}
	case bits(31, 31) == 0 && bits(29, 25) == 0b00110: // vector structures
		inst.add(base, arm64StructureSize(bits(30, 30), bits(24, 24), bits(21, 21), bits(15, 12), bits(11, 10)), kind)
	}
	if in, err := arm64asm.Decode(code[:4]); err == nil && len(inst.ops) != 0 {
		inst.text = arm64asm.GNUSyntax(in)
	}
	return inst
}

// regFile reads register n where 31 is the zero register.
func regFile(regs []uint64, n uint32) uint64 {
	if n == 31 {
		return 0
	}
	return regs[n]
}

// pairOffset is 0 for post-indexed pairs.
func pairOffset(mode uint32, off uint64) uint64 {
	if mode == 1 {
		return 0
	}
	return off
}

// arm64StructureSize is the number of bytes that ld1 to ld4 and st1 to st4 move.
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

// isCallARM64 knows bl, blr and the forms of blr that authenticate the target.
func isCallARM64(before []byte) bool {
	if len(before) < 4 {
		return false
	}
	w := binary.LittleEndian.Uint32(before[len(before)-4:])
	return w>>26 == 0b100101 || w&0xfffffc1f == 0xd63f0000 || w&0xfefff800 == 0xd63f0800
}
