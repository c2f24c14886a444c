package insn

import (
	"encoding/binary"

	"golang.org/x/arch/riscv64/riscv64asm"

	"minidump/context"
)

// decodeRISCV64 reads the encodings of loads and stores, the compressed ones included (RISC-V unprivileged ISA, chapters
// "RV32I" and "C").
func decodeRISCV64(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	x := func(n uint32) uint64 {
		if n == 0 {
			return 0
		}
		return regs[n-1]
	}
	w := uint32(binary.LittleEndian.Uint16(code))
	if w&3 != 3 {
		decodeRISCVC(&inst, w, x)
	} else if len(code) >= 4 {
		w = binary.LittleEndian.Uint32(code)
		base := x(w >> 15 & 31)
		funct3 := w >> 12 & 7
		load := uint64(int64(int32(w) >> 20))
		store := load&^31 | uint64(w>>7&31)
		size := 1 << (funct3 & 3)
		switch w & 0x7f {
		case 0x03:
			inst.add(base+load, size, context.AccessRead)
		case 0x23:
			inst.add(base+store, size, context.AccessWrite)
		case 0x07, 0x27: // floating point if the width is 1 to 4, else vectors, of unknown length
			off, access := load, context.AccessRead
			if w&0x7f == 0x27 {
				off, access = store, context.AccessWrite
			}
			size = 1 << funct3
			if funct3 == 0 || funct3 > 4 {
				off, size = 0, 0
			}
			inst.add(base+off, size, access)
		case 0x2f:
			access := context.AccessWrite
			if w>>27 == 2 { // lr
				access = context.AccessRead
			}
			inst.add(base, size, access)
		case 0x67: // jalr
			inst.add((base+load)&^1, 0, context.AccessExecute)
		}
	}
	if len(inst.ops) != 0 {
		if in, err := riscv64asm.Decode(code); err == nil {
			inst.text = riscv64asm.GNUSyntax(in)
		}
	}
	return inst
}

func decodeRISCVC(inst *instruction, w uint32, x func(uint32) uint64) {
	base := x(w>>7&7 + 8)
	sp := x(2)
	word := uint64(w>>10&7<<3 | w>>6&1<<2 | w>>5&1<<6)
	double := uint64(w>>10&7<<3 | w>>5&3<<6)
	switch w>>13<<2 | w&3 {
	case 0b001_00, 0b011_00: // c.fld c.ld
		inst.add(base+double, 8, context.AccessRead)
	case 0b010_00: // c.lw
		inst.add(base+word, 4, context.AccessRead)
	case 0b101_00, 0b111_00: // c.fsd c.sd
		inst.add(base+double, 8, context.AccessWrite)
	case 0b110_00: // c.sw
		inst.add(base+word, 4, context.AccessWrite)
	case 0b001_10, 0b011_10: // c.fldsp c.ldsp
		inst.add(sp+uint64(w>>12&1<<5|w>>5&3<<3|w>>2&7<<6), 8, context.AccessRead)
	case 0b010_10: // c.lwsp
		inst.add(sp+uint64(w>>12&1<<5|w>>4&7<<2|w>>2&3<<6), 4, context.AccessRead)
	case 0b101_10, 0b111_10: // c.fsdsp c.sdsp
		inst.add(sp+uint64(w>>10&7<<3|w>>7&7<<6), 8, context.AccessWrite)
	case 0b110_10: // c.swsp
		inst.add(sp+uint64(w>>9&15<<2|w>>7&3<<6), 4, context.AccessWrite)
	case 0b100_10: // c.jr c.jalr
		if w>>2&31 == 0 && w>>7&31 != 0 {
			inst.add(x(w>>7&31)&^1, 0, context.AccessExecute)
		}
	}
}

// isCallRISCV64 recognizes jal and jalr with ra or t0 as the link register, and c.jalr.
func isCallRISCV64(before []byte) bool {
	n := len(before)
	if n >= 4 {
		w := binary.LittleEndian.Uint32(before[n-4:])
		if rd := w >> 7 & 31; (rd == 1 || rd == 5) && (w&0x7f == 0x6f || w&0x707f == 0x67) {
			return true
		}
	}
	if n < 2 {
		return false
	}
	c := binary.LittleEndian.Uint16(before[n-2:])
	return c&0xf07f == 0x9002 && c>>7&31 != 0
}
