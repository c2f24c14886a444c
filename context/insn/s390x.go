package insn

import (
	"slices"
	"strings"

	"golang.org/x/arch/s390x/s390xasm"

	"minidump/context"
)

// decodeS390X gets the storage operands from the disassembler: each is a displacement, an optional index or length, and a base.
// regs are r0-r15; number 0 as base or index means none.
func decodeS390X(code []byte, pc uint64, regs []uint64) instruction {
	var inst instruction
	// Bits 0 and 1 encode the length: 2, 4, 4 or 6 bytes.
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
		inst.add(target, 0, context.AccessExecute)
		inst.text = s390xasm.GNUSyntax(in, pc)
		return inst
	}
	first, other := zAccess(op)
	if first == context.AccessUnknown && other == context.AccessUnknown {
		return inst
	}
	size := zSize(op)
	access := first
	operand := func(addr uint64, size int) {
		if access != context.AccessUnknown {
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

// zBranch returns the target of a branch to an address in a register.
func zBranch(op string, args s390xasm.Args, regs []uint64) (uint64, bool) {
	switch op {
	case "bcr", "basr", "basm", "balr":
		if r, ok := args[1].(s390xasm.Reg); ok && r > 0 && int(r) < 16 {
			return regs[r], true
		}
	}
	return 0, false
}

// zAddressOnly lists prefixes of the names of instructions whose storage operand is not accessed: they only compute with the
// address, shift by it, or branch.
var zAddressOnly = []string{"la", "sll", "srl", "sla", "sra", "sld", "srd", "rll", "b", "pfd", "ver", "ves", "vlvg", "vlgv",
	"crb", "cgrb", "clrb", "clgrb", "cib", "cgib", "clib", "clgib", "crj", "cgrj", "clrj", "clgrj", "cij", "cgij", "clij", "clgij",
	"ex"}

// zLoadAnd are the instructions that begin with "la" but do access storage, with the size of their operand: load and add (and,
// or, exclusive or), an interlocked update; load access multiple.
var zLoadAnd = map[string]int{"laa": 4, "laal": 4, "lan": 4, "lao": 4, "lax": 4, "laag": 8, "laalg": 8, "lang": 8, "laog": 8,
	"laxg": 8, "lam": 0, "lamy": 0}

// zStores lists prefixes of the names of instructions that store into their first storage operand, zUpdates whole names.
var (
	zStores  = []string{"st", "vst", "mv", "cs", "cds", "pack", "unpk"}
	zUpdates = strings.Fields("xc oc nc ni niy oi oiy xi xiy tr asi agsi alsi algsi ts zap ap sp pka pku cvd cvdy cvdg ed edmk")
)

// zAccess returns the kind of access of an instruction to its first storage operand and to the others (z/Architecture Principles
// of Operation, chapter 7).
func zAccess(op string) (first, other context.Access) {
	begins := func(p string) bool { return strings.HasPrefix(op, p) }
	if _, ok := zLoadAnd[op]; ok {
		if begins("lam") {
			return context.AccessRead, context.AccessUnknown
		}
		return context.AccessWrite, context.AccessUnknown
	}
	switch {
	case slices.ContainsFunc(zAddressOnly, begins):
		return context.AccessUnknown, context.AccessUnknown
	case slices.ContainsFunc(zStores, begins), slices.Contains(zUpdates, op):
		return context.AccessWrite, context.AccessRead
	}
	return context.AccessRead, context.AccessRead
}

// zSizes lists common instructions by the size of their storage operand.
var zSizes = map[int][]string{
	1: strings.Fields("ic icy stc stcy llc llgc llch lb lgb mvi mviy cli cliy tm tmy ni niy oi oiy xi xiy ts"),
	2: strings.Fields("lh lhy lgh llh llgh sth sthy ch chy cgh ah ahy sh shy mh mvhhi lhrl sthrl"),
	4: strings.Fields("l ly lgf llgf st sty c cy cl cly a ay al s sy sl n ny o oy x xy cs csy le ley ste stey mvhi lt asi lrl strl " +
		"lgfrl lrv strv"),
	8:  strings.Fields("lg stg cg clg ag alg sg slg ng og xg csg cds cdsy ld ldy std stdy mvghi ltg agsi lgrl stgrl lrvg strvg"),
	16: strings.Fields("lpq stpq cdsg vl vst"),
}

// zSize returns the size by the name of the instruction, 0 if the name does not determine it, as for those with a length field.
func zSize(op string) int {
	for size, names := range zSizes {
		if slices.Contains(names, op) {
			return size
		}
	}
	return zLoadAnd[op]
}

// isCallS390X recognizes brasl and bras, and basr with a target.
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
