package insn

import (
	"encoding/binary"
	"strings"

	"golang.org/x/arch/ppc64/ppc64asm"

	"minidump/context"
)

// decodePPC64 gets the name of the instruction from the disassembler, and reads the operands of a load or store from its fields
// (Power ISA book I, 1.6), which always have the same bits.
func decodePPC64(code []byte, pc uint64, regs []uint64, o binary.ByteOrder) instruction {
	var inst instruction
	if len(code) < 4 {
		return inst
	}
	in, err := ppc64asm.Decode(code, o)
	if err != nil || in.Len != 4 {
		return inst
	}
	op := in.Op.String()
	w := o.Uint32(code)
	base := uint64(0)
	if ra := w >> 16 & 31; ra != 0 {
		base = regs[ra]
	}
	var access context.Access
	switch {
	case strings.HasPrefix(op, "st"), op == "dcbz":
		access = context.AccessWrite
	case op[0] == 'l' && !strings.HasPrefix(op, "lvs"): // lvsl and lvsr only compute with the address
		access = context.AccessRead
	default:
		return inst
	}
	size := ppc64Size(op)
	switch primary := w >> 26; {
	case primary == 31:
		off := regs[w>>11&31]
		if strings.HasSuffix(op, "swi") { // lswi, stswi: the index field is the number of bytes
			off = 0
		}
		addr := base + off
		switch op { // vector instructions of VMX ignore the low bits of the address
		case "lvx", "lvxl", "stvx", "stvxl":
			addr &^= 15
		}
		inst.add(addr, size, access)
	case primary >= 32 && primary <= 55: // D form
		inst.add(base+uint64(int64(int16(w))), size, access)
	case primary == 57 || primary == 58 || primary == 62 || primary == 61 && w&3 != 1: // DS form
		inst.add(base+uint64(int64(int16(w&^3))), size, access)
	case primary == 56 || primary == 61 || primary == 6: // DQ form
		inst.add(base+uint64(int64(int16(w&^15))), size, access)
	}
	if len(inst.ops) != 0 {
		inst.text = ppc64asm.GNUSyntax(in, pc)
	}
	return inst
}

// ppc64Size returns the size by the letters after "l" or "st"; 0 for vectors and strings.
func ppc64Size(op string) int {
	op = strings.TrimPrefix(strings.TrimPrefix(op, "st"), "l")
	switch {
	case op == "dcbz": // a cache line
		return 0
	case strings.HasPrefix(op, "b"):
		return 1
	case strings.HasPrefix(op, "h"):
		return 2
	case strings.HasPrefix(op, "wz"), strings.HasPrefix(op, "wa"), strings.HasPrefix(op, "wu"), strings.HasPrefix(op, "wx"),
		strings.HasPrefix(op, "wc"), strings.HasPrefix(op, "wb"), op == "w", strings.HasPrefix(op, "fs"),
		strings.HasPrefix(op, "fiw"):
		return 4
	case strings.HasPrefix(op, "d"), strings.HasPrefix(op, "fd"), strings.HasPrefix(op, "xsd"):
		return 8
	case strings.HasPrefix(op, "q"), op == "xv", strings.HasPrefix(op, "xvd2x"), strings.HasPrefix(op, "xvw4x"),
		strings.HasPrefix(op, "xvx"), op == "vx", op == "vxl":
		return 16
	}
	return 0
}

// isCallPPC64 recognizes bl, bcl, bctrl, blrl and bctarl: all branches that set the link register, except the idiom "bcl
// 20,31,$+4", which only reads the program counter.
func isCallPPC64(before []byte, o binary.ByteOrder) bool {
	if len(before) < 4 {
		return false
	}
	w := o.Uint32(before[len(before)-4:])
	switch {
	case w&1 == 0 || w == 0x429f0005:
		return false
	case w>>26 == 18 || w>>26 == 16:
		return true
	}
	xo := w >> 1 & 0x3ff
	return w>>26 == 19 && (xo == 16 || xo == 528 || xo == 560)
}
