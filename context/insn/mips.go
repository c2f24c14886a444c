package insn

import (
	"encoding/binary"

	"minidump/context"
)

// mipsMem has the size and kind of each major opcode that loads or stores (MIPS64 ISA, table A.2). lwl, lwr and their variants
// transfer a part of an aligned word: their size is that of the word, counted from its start.
var mipsMem = [64]struct {
	size   uint8
	access context.Access
}{
	0x1a: {8, read}, 0x1b: {8, read}, // ldl ldr
	0x20: {1, read}, 0x21: {2, read}, 0x22: {4, read}, 0x23: {4, read}, // lb lh lwl lw
	0x24: {1, read}, 0x25: {2, read}, 0x26: {4, read}, 0x27: {4, read}, // lbu lhu lwr lwu
	0x28: {1, write}, 0x29: {2, write}, 0x2a: {4, write}, 0x2b: {4, write}, // sb sh swl sw
	0x2c: {8, write}, 0x2d: {8, write}, 0x2e: {4, write}, // sdl sdr swr
	0x30: {4, read}, 0x31: {4, read}, 0x34: {8, read}, 0x35: {8, read}, 0x37: {8, read},
	0x38: {4, write}, 0x39: {4, write}, 0x3c: {8, write}, 0x3d: {8, write}, 0x3f: {8, write},
}

// decodeMIPS decodes the instruction or, if it is a branch, the one in its delay slot: a fault there is reported at the branch.
func decodeMIPS(code []byte, regs []uint64, o binary.ByteOrder) instruction {
	var inst instruction
	var target memOp
	for off := 0; off+4 <= min(len(code), 8); off += 4 {
		w := o.Uint32(code[off:])
		op := w >> 26
		if m := mipsMem[op]; m.size != 0 {
			addr := regs[w>>21&31] + uint64(int64(int16(w)))
			switch op {
			case 0x22, 0x26, 0x2a, 0x2e:
				addr &^= 3
			case 0x1a, 0x1b, 0x2c, 0x2d:
				addr &^= 7
			}
			inst.add(addr, int(m.size), m.access)
			break
		}
		if !mipsBranch(w) {
			break
		}
		if op == 0 { // jr, jalr
			target = memOp{regs[w>>21&31], true, 0, context.AccessExecute}
		}
	}
	if target.known {
		inst.ops = append(inst.ops, target)
	}
	return inst
}

// mipsBranch reports whether an instruction has a delay slot.
func mipsBranch(w uint32) bool {
	switch op := w >> 26; op {
	case 0: // special: jr, jalr
		return w&63 == 8 || w&63 == 9
	case 1: // regimm: bltz, bgez and so on
		return w>>16&31 < 4 || w>>16&31 >= 16 && w>>16&31 < 20
	case 17: // bc1f, bc1t
		return w>>21&31 == 8
	default:
		return op >= 2 && op <= 7 || op >= 20 && op <= 23
	}
}

// isCallMIPS checks the instruction before the delay slot for jal, jalr, bal and variants.
func isCallMIPS(before []byte, o binary.ByteOrder) bool {
	if len(before) < 8 {
		return false
	}
	w := o.Uint32(before[len(before)-8:])
	switch w >> 26 {
	case 3: // jal
		return true
	case 0: // jalr with a link register
		return w&63 == 9 && w>>11&31 != 0
	case 1: // bltzal, bgezal and their likely forms
		return w>>16&31 >= 16 && w>>16&31 < 20
	}
	return false
}
