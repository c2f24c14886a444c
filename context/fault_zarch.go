package context

import (
	"strings"

	"golang.org/x/arch/s390x/s390xasm"
)

// decodeS390X takes the storage operands from the disassembler: each is a displacement, then maybe an index or a length,
// then a base. regs are r0-r15; number 0 as base or index means none.
func decodeS390X(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	// Bits 0 and 1 give the length: 2, 4, 4 or 6 bytes.
	n := [4]int{2, 4, 4, 6}[code[0]>>6]
	if len(code) < n {
		return inst
	}
	in, err := s390xasm.Decode(code[:n])
	if err != nil {
		return inst
	}
	op := in.Op.String()
	if target, ok := zBranch(op, in.Args, regs); ok {
		inst.add(target, 0, AccessExecute)
		inst.text = s390xasm.GNUSyntax(in, pc)
		return inst
	}
	first, other := zAccess(op)
	if first == AccessUnknown && other == AccessUnknown {
		return inst
	}
	size := zSize(op)
	access := first
	operand := func(addr uint64, size int) {
		if access != AccessUnknown {
			inst.add(addr, size, access)
		}
		access = other
	}
	var addr uint64
	length := size
	for _, arg := range in.Args {
		switch v := arg.(type) {
		case s390xasm.Disp12:
			addr = uint64(v)
		case s390xasm.Disp20:
			addr = uint64(int64(int32(v<<12) >> 12))
		case s390xasm.Len:
			length = int(v) + 1 // the code is one less than the length
		case s390xasm.Index:
			if v != 0 {
				addr += regs[v&15]
			}
		case s390xasm.Base:
			if v != 0 {
				addr += regs[v&15]
			}
			operand(addr, length)
		case s390xasm.RegIm32: // lgrl, strl and the like: relative to the instruction
			if strings.HasSuffix(op, "rl") {
				operand(pc+2*uint64(int64(int32(v))), length) // in half-words
			}
		}
	}
	if len(inst.ops) != 0 {
		inst.text = s390xasm.GNUSyntax(in, pc)
	}
	return inst
}

// zBranch gives the target of a branch to an address in a register.
func zBranch(op string, args s390xasm.Args, regs []uint64) (uint64, bool) {
	switch op {
	case "bcr", "basr", "basm", "balr":
		if r, ok := args[1].(s390xasm.Reg); ok && r > 0 && int(r) < 16 {
			return regs[r], true
		}
	}
	return 0, false
}

// zAccess tells what an instruction does with its first storage operand and with the others (z/Architecture Principles of
// Operation, chapter 7). Those that only compute with an address or shift by one have none.
func zAccess(op string) (first, other Access) {
	switch {
	case op == "stap", op == "stidp":
		return AccessWrite, AccessUnknown
	case strings.HasPrefix(op, "la") && op != "laa" && op != "laag" && op != "lan" && op != "lang" && op != "lao" && op != "laog" &&
		op != "lax" && op != "laxg" && op != "laal" && op != "laalg" && op != "lam" && op != "lamy",
		strings.HasPrefix(op, "sll"), strings.HasPrefix(op, "srl"), strings.HasPrefix(op, "sla"), strings.HasPrefix(op, "sra"),
		strings.HasPrefix(op, "sld"), strings.HasPrefix(op, "srd"), strings.HasPrefix(op, "rll"), strings.HasPrefix(op, "bc"),
		strings.HasPrefix(op, "bx"), strings.HasPrefix(op, "ba"), strings.HasPrefix(op, "pfd"), strings.HasPrefix(op, "br"),
		strings.HasPrefix(op, "ver"), strings.HasPrefix(op, "ves"), strings.HasPrefix(op, "vlvg"), strings.HasPrefix(op, "vlgv"),
		strings.HasPrefix(op, "crb"), strings.HasPrefix(op, "cgrb"), strings.HasPrefix(op, "clrb"), strings.HasPrefix(op, "clgrb"),
		strings.HasPrefix(op, "cib"), strings.HasPrefix(op, "cgib"), strings.HasPrefix(op, "clib"), strings.HasPrefix(op, "clgib"),
		strings.HasPrefix(op, "crj"), strings.HasPrefix(op, "cgrj"), strings.HasPrefix(op, "clrj"), strings.HasPrefix(op, "clgrj"),
		strings.HasPrefix(op, "cij"), strings.HasPrefix(op, "cgij"), strings.HasPrefix(op, "clij"), strings.HasPrefix(op, "clgij"),
		op == "larl", op == "exrl", op == "ex":
		return AccessUnknown, AccessUnknown
	case strings.HasPrefix(op, "st"), strings.HasPrefix(op, "vst"), strings.HasPrefix(op, "mv"), strings.HasPrefix(op, "cs"),
		strings.HasPrefix(op, "cds"), op == "xc", op == "oc", op == "nc", op == "ni", op == "niy", op == "oi", op == "oiy", op == "xi",
		op == "xiy", op == "tr", op == "asi", op == "agsi", op == "alsi", op == "algsi", op == "ts", strings.HasPrefix(op, "laa"),
		op == "lan", op == "lang", op == "lao", op == "laog", op == "lax", op == "laxg", op == "zap", op == "ap", op == "sp",
		strings.HasPrefix(op, "pack"), op == "pka", op == "pku", strings.HasPrefix(op, "unpk"), op == "cvd", op == "cvdy", op == "cvdg",
		op == "ed", op == "edmk":
		return AccessWrite, AccessRead
	}
	return AccessRead, AccessRead
}

// zSize is the size of the storage operand where a common name tells it; of others 0, as of those with a length of their
// own.
func zSize(op string) int {
	switch op {
	case "ic", "icy", "stc", "stcy", "llc", "llgc", "lb", "lgb", "mvi", "mviy", "cli", "cliy", "tm", "tmy", "ni", "niy", "oi", "oiy",
		"xi", "xiy", "llch", "ts":
		return 1
	case "lh", "lhy", "lgh", "llh", "llgh", "sth", "sthy", "ch", "chy", "cgh", "ah", "ahy", "sh", "shy", "mh", "mvhhi", "lhrl", "sthrl":
		return 2
	case "l", "ly", "lgf", "llgf", "st", "sty", "c", "cy", "cl", "cly", "a", "ay", "al", "s", "sy", "sl", "n", "ny", "o", "oy", "x", "xy",
		"cs", "csy", "le", "ley", "ste", "stey", "mvhi", "lt", "asi", "lrl", "strl", "lgfrl", "lrv", "strv", "laa", "lan", "lao", "lax":
		return 4
	case "lg", "stg", "cg", "clg", "ag", "alg", "sg", "slg", "ng", "og", "xg", "csg", "cds", "cdsy", "ld", "ldy", "std", "stdy", "mvghi", "ltg",
		"agsi", "lgrl", "stgrl", "lrvg", "strvg", "laag", "lang", "laog", "laxg":
		return 8
	case "lpq", "stpq", "cdsg", "vl", "vst":
		return 16
	}
	return 0
}

// isCallS390X knows brasl and bras, and basr with a target.
func isCallS390X(before []byte) bool {
	n := len(before)
	switch {
	case n >= 6 && before[n-6] == 0xc0 && before[n-5]&0x0f == 5: // brasl
		return true
	case n >= 4 && before[n-4] == 0xa7 && before[n-3]&0x0f == 5: // bras
		return true
	case n >= 2 && before[n-2] == 0x0d && before[n-1]&0x0f != 0: // basr
		return true
	}
	return false
}
