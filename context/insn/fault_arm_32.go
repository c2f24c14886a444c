package insn

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"golang.org/x/arch/arm/armasm"

	"minidump/context"
)

// psrT is the bit of CPSR that says that the processor executes Thumb instructions.
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
	reg := func(r armasm.Reg) uint64 {
		if r == armasm.PC {
			return pc + 8
		}
		if r <= armasm.R15 {
			return regs[r]
		}
		return 0
	}
	op := in.Op.String()
	if i := strings.IndexByte(op, '.'); i >= 0 {
		op = op[:i]
	}
	store := strings.HasPrefix(op, "STR") || strings.HasPrefix(op, "STM") || strings.HasPrefix(op, "VSTR") ||
		strings.HasPrefix(op, "SWP") || op == "PUSH"
	load := strings.HasPrefix(op, "LDR") || strings.HasPrefix(op, "LDM") || strings.HasPrefix(op, "VLDR") || op == "POP"
	if !store && !load {
		return inst
	}
	access := context.AccessRead
	if store {
		access = context.AccessWrite
	}
	w := binary.LittleEndian.Uint32(code)
	for _, arg := range in.Args {
		switch m := arg.(type) {
		case armasm.Mem:
			if op[0] == 'L' && (strings.HasPrefix(op, "LDM")) || strings.HasPrefix(op, "STM") {
				continue // the base register of a list
			}
			addr := reg(m.Base)
			if m.Mode != armasm.AddrPostIndex {
				off := uint64(int64(m.Offset))
				if m.Sign != 0 {
					off = armShift(reg(m.Index), m.Shift, m.Count, regs[16])
					if m.Sign < 0 {
						off = -off
					}
				}
				addr += off
			}
			inst.add(addr, armSize(op), access)
		case armasm.RegList:
			// Which end of the list the base points to is in the P and U bits.
			n := uint64(4 * bits.OnesCount16(uint16(m)))
			addr := reg(armasm.Reg(w >> 16 & 15))
			switch w >> 23 & 3 {
			case 0: // decrement after
				addr -= n - 4
			case 2: // decrement before
				addr -= n
			case 3: // increment before
				addr += 4
			}
			if w>>26&3 == 1 { // push and pop of one register are a str and a ldr
				addr = regs[13]
				if store {
					addr -= 4
				}
			}
			inst.add(addr, int(n), access)
		}
	}
	inst.text = armasm.GNUSyntax(in)
	return inst
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

// decodeThumb reads the encodings of loads and stores of T32 (ARM ARM for ARMv7, A6): no disassembler is at hand.
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

// decodeThumb32 takes the first half-word in the high half of w.
func decodeThumb32(w uint32, literal uint64, regs []uint64) instruction {
	var inst instruction
	f := func(hi, lo int) uint64 { return uint64(w << (31 - hi) >> (31 - hi + lo)) }
	access := context.AccessWrite
	if f(20, 20) == 1 {
		access = context.AccessRead
	}
	base := regs[f(19, 16)]
	if f(19, 16) == 15 {
		base = literal
	}
	updown := func(off uint64) uint64 { // bit 23 says whether to add
		if f(23, 23) == 0 {
			return -off
		}
		return off
	}
	switch {
	case f(31, 25) == 0b1111100 && f(24, 24) == 1 && f(20, 20) == 0: // vld1-4, vst1-4
		if f(21, 21) == 1 {
			access = context.AccessRead
		} else {
			access = context.AccessWrite
		}
		inst.add(base, 0, access)
	case f(31, 25) == 0b1111100 && f(22, 21) != 3: // ldr, str and the smaller ones
		size := 1 << f(22, 21)
		switch {
		case f(20, 20) == 1 && size < 4 && f(15, 12) == 15: // pld, pli
		case f(19, 16) == 15:
			inst.add(base+updown(f(11, 0)), size, access)
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
	case f(31, 25) == 0b1110100 && f(22, 22) == 1 && (f(24, 24) == 1 || f(21, 21) == 1): // ldrd, strd
		off := updown(f(7, 0) * 4)
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
		inst.add(base+updown(f(7, 0)*4), 4<<f(8, 8), access)
	case f(31, 25) == 0b1110110 && f(11, 9) == 0b101 && (f(24, 23) == 1 || f(24, 23) == 2 && f(21, 21) == 1): // vldm, vstm
		n := f(7, 0) * 4
		if f(24, 23) == 2 {
			base -= n
		}
		inst.add(base, int(n), access)
	}
	return inst
}

// isCallARM knows bl and blx of A32 and T32; which of the two the caller was in is not known here.
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
