package insn

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"minidump/context"
)

// decodeX86 decodes in mode 32 or 64. regs are in the order of the tables, which is that of the instruction encoding.
func decodeX86(code []byte, pc uint64, regs []uint64, mode int) instruction {
	// The disassembler does not always notice that an instruction is cut short.
	var padded [32]byte
	copy(padded[:16], code)
	in, err := x86asm.Decode(padded[:], mode)
	if err != nil || in.Op == 0 || in.Len == 0 || in.Len > len(code) {
		return instruction{}
	}
	inst := instruction{text: x86asm.GNUSyntax(in, pc, nil)}
	op := in.Op.String()
	word := mode / 8
	size := in.MemBytes
	if size == 0 {
		size = x86StringSize(op)
	}
	for i, arg := range in.Args {
		m, ok := arg.(x86asm.Mem)
		if !ok {
			continue
		}
		access := x86Access(op, i, in.Args)
		if access == context.AccessUnknown {
			continue
		}
		addr, known := x86Address(m, in, pc, regs, mode)
		if op == "XLATB" {
			addr += regs[0] & 0xff
		}
		if known {
			inst.add(addr, size, access)
		} else {
			inst.addUnknown(size, access)
		}
	}
	x86Stack(&inst, in, word, regs)
	x86Branch(&inst, in, regs)
	return inst
}

// x86Stack adds the access to the stack that an instruction implies. word is the size of a stack slot in bytes.
func x86Stack(inst *instruction, in x86asm.Inst, word int, regs []uint64) {
	sp, bp := regs[4], regs[5]
	switch in.Op {
	case x86asm.PUSH, x86asm.PUSHF, x86asm.PUSHFD, x86asm.PUSHFQ:
		n := word
		if in.DataSize == 16 {
			n = 2
		}
		inst.add(sp-uint64(n), n, context.AccessWrite)
	case x86asm.PUSHA, x86asm.PUSHAD:
		inst.add(sp-32, 32, context.AccessWrite)
	case x86asm.CALL:
		inst.add(sp-uint64(word), word, context.AccessWrite)
	case x86asm.ENTER:
		inst.add(sp-uint64(word), word, context.AccessWrite)
	case x86asm.POP, x86asm.POPF, x86asm.POPFD, x86asm.POPFQ, x86asm.RET:
		inst.add(sp, word, context.AccessRead)
	case x86asm.POPA, x86asm.POPAD:
		inst.add(sp, 32, context.AccessRead)
	case x86asm.LEAVE:
		inst.add(bp, word, context.AccessRead)
	}
}

// x86Branch adds the target of an indirect branch or a return.
func x86Branch(inst *instruction, in x86asm.Inst, regs []uint64) {
	switch in.Op {
	case x86asm.CALL, x86asm.JMP:
		switch arg := in.Args[0].(type) {
		case x86asm.Reg:
			if n, ok := x86RegIndex(arg); ok {
				inst.add(regs[n], 0, context.AccessExecute)
			}
		case x86asm.Mem:
			inst.addUnknown(0, context.AccessExecute)
		}
	case x86asm.RET:
		inst.addUnknown(0, context.AccessExecute)
	}
}

// x86Access returns the kind of access of an instruction to its memory operand, which is argument i.
func x86Access(op string, i int, args x86asm.Args) context.Access {
	switch {
	case op == "LEA", strings.HasPrefix(op, "NOP"), strings.HasPrefix(op, "PREFETCH"), op == "INVLPG",
		strings.HasPrefix(op, "BND"):
		return context.AccessUnknown
	case i > 0:
		return context.AccessRead
	}
	switch op {
	case "CMP", "TEST", "BT", "PUSH", "CALL", "JMP", "LCALL", "LJMP", "MUL", "DIV", "IDIV", "CMPSB", "CMPSW", "CMPSD", "CMPSQ",
		"XRSTOR", "XRSTOR64", "XRSTORS", "XRSTORS64", "CLFLUSH", "CLFLUSHOPT", "CLWB", "VERR", "VERW", "LDMXCSR", "VLDMXCSR",
		"LGDT", "LIDT", "LLDT", "LMSW", "LTR", "XLATB":
		return context.AccessRead
	case "IMUL":
		if args[1] == nil {
			return context.AccessRead
		}
	}
	if op[0] == 'F' {
		// All x87 instructions with a memory operand read it, except FST, FSTP, FIST, FISTP, FISTTP, FBSTP, the FNST family and
		// those that save the whole state.
		for _, p := range [...]string{"FST", "FIST", "FBSTP", "FNST", "FNSAVE", "FXSAVE"} {
			if strings.HasPrefix(op, p) {
				return context.AccessWrite
			}
		}
		return context.AccessRead
	}
	return context.AccessWrite
}

// x86StringSize returns the operand size of a string instruction, which the disassembler does not return.
func x86StringSize(op string) int {
	for _, p := range [...]string{"MOVS", "STOS", "LODS", "SCAS", "CMPS", "INS", "OUTS"} {
		if len(op) == len(p)+1 && strings.HasPrefix(op, p) {
			switch op[len(p)] {
			case 'B':
				return 1
			case 'W':
				return 2
			case 'D':
				return 4
			case 'Q':
				return 8
			}
		}
	}
	if op == "XLATB" {
		return 1
	}
	return 0
}

// x86Address computes an effective address. It returns false for an address relative to FS or GS, whose base is not in the
// record, and for one with a vector register as index.
func x86Address(m x86asm.Mem, in x86asm.Inst, pc uint64, regs []uint64, mode int) (uint64, bool) {
	if m.Segment == x86asm.FS || m.Segment == x86asm.GS {
		return 0, false
	}
	addr := uint64(m.Disp)
	switch m.Base {
	case 0:
	case x86asm.RIP, x86asm.EIP:
		addr += pc + uint64(in.Len)
	default:
		n, ok := x86RegIndex(m.Base)
		if !ok || n >= mode/4 {
			return 0, false
		}
		addr += regs[n]
	}
	if m.Index != 0 {
		n, ok := x86RegIndex(m.Index)
		if !ok || n >= mode/4 {
			return 0, false
		}
		addr += regs[n] * uint64(m.Scale)
	}
	switch in.AddrSize {
	case 16:
		addr &= 0xffff
	case 32:
		addr &= 0xffffffff
	}
	return addr, true
}

// x86RegIndex returns the number of a general register of 16, 32 or 64 bits.
func x86RegIndex(r x86asm.Reg) (int, bool) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
		return int(r - x86asm.RAX), true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return int(r - x86asm.EAX), true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return int(r - x86asm.AX), true
	}
	return 0, false
}

// isCallX86 reports whether a call ends at the end of before. Its length is not known, so all lengths are tried.
func isCallX86(before []byte, mode int) bool {
	for n := 2; n <= min(len(before), 15); n++ {
		in, err := x86asm.Decode(before[len(before)-n:], mode)
		if err == nil && in.Len == n && (in.Op == x86asm.CALL || in.Op == x86asm.LCALL) {
			return true
		}
	}
	return false
}
