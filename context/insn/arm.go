package insn

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"golang.org/x/arch/arm/armasm"

	"minidump/context"
)

// psrT is the bit of CPSR that states that the processor executes Thumb instructions.
const psrT = 1 << 5

// decodeARM decodes an A32 instruction.
func decodeARM(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	if len(code) < 4 {
		return inst
	}
	in, err := armasm.Decode(code[:4], armasm.ModeARM)
	if err != nil {
		return inst
	}
	op, _, _ := strings.Cut(in.Op.String(), ".")
	access := armAccess(op)
	if access == context.AccessUnknown {
		return inst
	}
	list := strings.HasPrefix(op, "LDM") || strings.HasPrefix(op, "STM")
	w := binary.LittleEndian.Uint32(code)
	for _, arg := range in.Args {
		switch m := arg.(type) {
		case armasm.Mem:
			if !list { // of those it is the base register
				inst.add(armAddress(m, pc, regs), armSize(op), access)
			}
		case armasm.RegList:
			n := 4 * bits.OnesCount16(uint16(m))
			inst.add(armListAddress(w, uint64(n), access, regs), n, access)
		}
	}
	inst.text = armasm.GNUSyntax(in)
	return inst
}

// armAccess returns the kind of access of an instruction, AccessUnknown if it is neither a load nor a store.
func armAccess(op string) context.Access {
	for _, p := range [...]string{"STR", "STM", "VSTR", "SWP", "PUSH"} {
		if strings.HasPrefix(op, p) {
			return context.AccessWrite
		}
	}
	for _, p := range [...]string{"LDR", "LDM", "VLDR", "POP"} {
		if strings.HasPrefix(op, p) {
			return context.AccessRead
		}
	}
	return context.AccessUnknown
}

// armAddress computes the address of a memory operand.
func armAddress(m armasm.Mem, pc uint64, regs []uint64) uint64 {
	reg := func(r armasm.Reg) uint64 {
		switch {
		case r == armasm.PC:
			return pc + 8
		case r <= armasm.R15:
			return regs[r]
		}
		return 0
	}
	addr := reg(m.Base)
	if m.Mode == armasm.AddrPostIndex {
		return addr
	}
	if m.Sign == 0 {
		return addr + uint64(int64(m.Offset))
	}
	off := armShift(reg(m.Index), m.Shift, m.Count, regs[16])
	if m.Sign < 0 {
		off = -off
	}
	return addr + off
}

// armListAddress returns the lowest address that a load or store of a list of registers, n bytes, accesses. The P and U bits
// state which end of the list the base register points to.
func armListAddress(w uint32, n uint64, access context.Access, regs []uint64) uint64 {
	if w>>26&3 == 1 { // push and pop of one register are str and ldr
		if access == context.AccessWrite {
			return regs[13] - 4
		}
		return regs[13]
	}
	addr := regs[w>>16&15]
	switch w >> 23 & 3 {
	case 0: // decrement after
		addr -= n - 4
	case 2: // decrement before
		addr -= n
	case 3: // increment before
		addr += 4
	}
	return addr
}

func armShift(v uint64, s armasm.Shift, n uint8, cpsr uint64) uint64 {
	x := uint32(v)
	switch s {
	case armasm.ShiftLeft:
		x <<= n
	case armasm.ShiftRight:
		x >>= n
	case armasm.ShiftRightSigned:
		x = uint32(int32(x) >> n)
	case armasm.RotateRight:
		x = bits.RotateLeft32(x, -int(n))
	case armasm.RotateRightExt:
		x = x>>1 | uint32(cpsr>>29&1)<<31
	}
	return uint64(x)
}

func armSize(op string) int {
	switch {
	case strings.HasSuffix(op, "D"):
		return 8
	case strings.HasSuffix(op, "B"), strings.HasSuffix(op, "BT"):
		return 1
	case strings.HasSuffix(op, "H"), strings.HasSuffix(op, "HT"):
		return 2
	case op[0] == 'V':
		return 8
	}
	return 4
}

// decodeThumb reads the encodings of loads and stores of T32 (ARM ARM for ARMv7, A6): there is no disassembler for it.
func decodeThumb(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	w := uint32(binary.LittleEndian.Uint16(code))
	f := func(hi, lo int) uint64 { return uint64(w << (31 - hi) >> (31 - hi + lo)) }
	rw := func(load bool) context.Access {
		if load {
			return context.AccessRead
		}
		return context.AccessWrite
	}
	literal := (pc + 4) &^ 3
	switch {
	case w>>11 == 0b01001:
		inst.add(literal+f(7, 0)*4, 4, context.AccessRead)
	case w>>12 == 0b0101:
		size := [8]int{4, 2, 1, 1, 4, 2, 1, 2}[f(11, 9)]
		inst.add(regs[f(5, 3)]+regs[f(8, 6)], size, rw(f(11, 9) >= 3))
	case w>>13 == 0b011:
		size := 4
		if f(12, 12) == 1 {
			size = 1
		}
		inst.add(regs[f(5, 3)]+f(10, 6)*uint64(size), size, rw(f(11, 11) == 1))
	case w>>12 == 0b1000:
		inst.add(regs[f(5, 3)]+f(10, 6)*2, 2, rw(f(11, 11) == 1))
	case w>>12 == 0b1001:
		inst.add(regs[13]+f(7, 0)*4, 4, rw(f(11, 11) == 1))
	case w>>9 == 0b1011010: // push
		n := 4 * uint64(bits.OnesCount32(w&0x1ff))
		inst.add(regs[13]-n, int(n), context.AccessWrite)
	case w>>9 == 0b1011110: // pop
		inst.add(regs[13], 4*bits.OnesCount32(w&0x1ff), context.AccessRead)
	case w>>12 == 0b1100: // stm, ldm
		inst.add(regs[f(10, 8)], 4*bits.OnesCount32(w&0xff), rw(f(11, 11) == 1))
	case w>>11 >= 0b11101 && len(code) >= 4:
		inst = decodeThumb32(w<<16|uint32(binary.LittleEndian.Uint16(code[2:])), literal, regs)
	}
	return inst
}

// decodeThumb32 decodes a 32-bit instruction. The first half-word is in the high half of w.
func decodeThumb32(w uint32, literal uint64, regs []uint64) instruction {
	var inst instruction
	f := func(hi, lo int) uint64 { return uint64(w << (31 - hi) >> (31 - hi + lo)) }
	access := loadIf(w >> 20 & 1)
	base := regs[f(19, 16)]
	if f(19, 16) == 15 {
		base = literal
	}
	switch {
	case f(31, 25) == 0b1111100 && f(24, 24) == 1 && f(20, 20) == 0: // vld1-4, vst1-4
		inst.add(base, 0, loadIf(w>>21&1))
	case f(31, 25) == 0b1111100 && f(22, 21) != 3:
		thumbSingle(&inst, w, base, access, regs)
	case f(31, 25) == 0b1110100 && f(22, 22) == 1 && (f(24, 24) == 1 || f(21, 21) == 1): // ldrd, strd
		off := thumbUpDown(w, f(7, 0)*4)
		if f(24, 24) == 0 {
			off = 0
		}
		inst.add(base+off, 8, access)
	case f(31, 21) == 0b11101000010: // ldrex, strex
		inst.add(base+f(7, 0)*4, 4, access)
	case f(31, 21) == 0b11101000110 && f(7, 6) == 1: // ldrexb, strexh, ldrexd …
		inst.add(base, 1<<f(5, 4), access)
	case f(31, 25) == 0b1110100 && f(22, 22) == 0: // ldm, stm, push, pop
		n := uint64(4 * bits.OnesCount32(w&0xffff))
		switch f(24, 23) {
		case 1:
			inst.add(base, int(n), access)
		case 2:
			inst.add(base-n, int(n), access)
		}
	case f(31, 24) == 0xed && f(21, 21) == 0 && f(11, 9) == 0b101: // vldr, vstr
		inst.add(base+thumbUpDown(w, f(7, 0)*4), 4<<f(8, 8), access)
	case f(31, 25) == 0b1110110 && f(11, 9) == 0b101 && (f(24, 23) == 1 || f(24, 23) == 2 && f(21, 21) == 1): // vldm, vstm
		n := f(7, 0) * 4
		if f(24, 23) == 2 {
			base -= n
		}
		inst.add(base, int(n), access)
	}
	return inst
}

// thumbUpDown returns the offset with the sign of the U bit, bit 23.
func thumbUpDown(w uint32, off uint64) uint64 {
	if w>>23&1 == 0 {
		return -off
	}
	return off
}

// thumbSingle decodes the T32 loads and stores of one register, of 1, 2 or 4 bytes.
func thumbSingle(inst *instruction, w uint32, base uint64, access context.Access, regs []uint64) {
	f := func(hi, lo int) uint64 { return uint64(w << (31 - hi) >> (31 - hi + lo)) }
	size := 1 << f(22, 21)
	switch {
	case f(20, 20) == 1 && size < 4 && f(15, 12) == 15: // pld, pli
	case f(19, 16) == 15:
		inst.add(base+thumbUpDown(w, f(11, 0)), size, access)
	case f(23, 23) == 1:
		inst.add(base+f(11, 0), size, access)
	case f(11, 11) == 1:
		off := f(7, 0)
		if f(9, 9) == 0 {
			off = -off
		}
		if f(10, 10) == 0 { // post-index
			off = 0
		}
		inst.add(base+off, size, access)
	case f(11, 6) == 0:
		inst.add(base+regs[f(3, 0)]<<f(5, 4), size, access)
	}
}

// isCallARM recognizes bl and blx of A32 and of T32: it does not know which of the two the caller used.
func isCallARM(before []byte) bool {
	n := len(before)
	if n >= 4 {
		w := binary.LittleEndian.Uint32(before[n-4:])
		if w>>28 != 15 && (w>>24&15 == 0b1011 || w&0x0ffffff0 == 0x012fff30) || w>>25 == 0b1111101 {
			return true
		}
		hi, lo := w&0xffff, w>>16
		if hi>>11 == 0b11110 && (lo>>14 == 3 && lo>>12&1 == 1 || lo>>14 == 3 && lo&0x1001 == 0) {
			return true
		}
	}
	return n >= 2 && binary.LittleEndian.Uint16(before[n-2:])&0xff87 == 0x4780
}
