package stackwalk

import (
	"encoding/binary"
	"slices"
	"testing"

	"minidump/context"
)

// Every tracked register has a name that package context knows, and every register that a walk needs is tracked.
func TestRegisterNames(t *testing.T) {
	for _, a := range allArchs {
		cpu, err := context.Decode(a, emptyRecord(a), binary.LittleEndian)
		if err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		f := factsOf(a)
		for i, name := range f.names {
			float := a == context.S390X && i >= 16 && i < 32
			if name != "" && !float && !slices.ContainsFunc(cpu.Registers, func(r context.Register) bool { return r.Name == name }) {
				t.Errorf("%v: package context has no register %q", a, name)
			}
		}
		if f.names[f.sp] == "" || f.names[slotPC] == "" || f.lr != none && f.names[f.lr] == "" || f.fp != none && f.names[f.fp] == "" {
			t.Errorf("%v: a register without a name", a)
		}
		if r := f.start(cpu); r.known>>slotPC&1 == 0 || len(r.Known()) < 9 {
			t.Errorf("%v: known %v", a, r.Known())
		}
	}
}

func TestPointer(t *testing.T) {
	const at, data = 0x1000, 0x5000
	for _, c := range []struct {
		enc  byte
		b    []byte
		want uint64
		ok   bool
	}{
		{peAbsptr, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 0x0807060504030201, true},
		{peAbsptr, []byte{1, 2, 3, 4, 5, 6, 7}, 0, false},
		{peUdata2, []byte{0xfe, 0xff}, 0xfffe, true},
		{peUdata4, []byte{0xfe, 0xff, 0xff, 0xff}, 0xfffffffe, true},
		{peUdata8, []byte{1, 0, 0, 0, 0, 0, 0, 0x80}, 0x8000000000000001, true},
		{peSdata2 | pePcrel, []byte{0xfe, 0xff}, at - 2, true},
		{peSdata4 | pePcrel, []byte{0xfe, 0xff, 0xff, 0xff}, at - 2, true},
		{peSdata4 | peDatarel, []byte{4, 0, 0, 0}, data + 4, true},
		{peSdata8 | pePcrel, []byte{8, 0, 0, 0, 0, 0, 0, 0}, at + 8, true},
		{peUleb128, []byte{0xe5, 0x8e, 0x26}, 624485, true}, // the examples of DWARF 5, 7.6
		{peSleb128, []byte{0xff, 0x7e}, 1<<64 - 129, true},
		{peSigned, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1<<64 - 1, true},
		{peAligned, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 0x0807060504030201, true},
		{peIndirect | peSdata4 | pePcrel, []byte{0, 0, 0, 0}, at, false},
		{peOmit, nil, 0, false},
		{0x07, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 0, false},
		{0x20 | peUdata4, []byte{1, 0, 0, 0}, 1, false}, // relative to a text section that is not specified
	} {
		cur := cursor{b: c.b, addr: at, order: binary.LittleEndian, ptr: 8}
		if got, ok := cur.pointer(c.enc, data); got != c.want && c.ok || ok != c.ok {
			t.Errorf("%#x %x: %#x %v, want %#x %v", c.enc, c.b, got, ok, c.want, c.ok)
		}
	}
}

func TestExpression(t *testing.T) {
	f := factsOf(context.AMD64)
	p := &Process{Arch: context.AMD64, facts: f, reads: maxReads, Memory: chunk{0x100, []byte{0x88, 1, 2, 3, 4, 5, 6, 7}}}
	regs := Registers{facts: f}
	regs.put(7, 0x100)
	for _, c := range []struct {
		expr []byte
		want uint64
		ok   bool
	}{
		{[]byte{opBreg0 + 7, 8}, 0x108, true},
		{[]byte{opBreg0 + 7, 0x78}, 0xf8, true},
		{[]byte{opBreg0 + 3, 0}, 0, false}, // not known
		{[]byte{opBregx, 7, 0, opDeref}, 0x0706050403020188, true},
		{[]byte{opBreg0 + 7, 0, opDerefSize, 1}, 0x88, true},
		{[]byte{opBreg0 + 7, 0, opDerefSize, 3}, 0, false},
		{[]byte{opLit0 + 5, opLit0 + 3, opMinus}, 2, true},
		{[]byte{opConst1u, 0xff, opConst1u + 1, 0xff, opPlus}, 0xfe, true},
		{[]byte{opConst1u + 2, 0x34, 0x12, opNot}, ^uint64(0x1234), true},
		{[]byte{opLit0 + 6, opLit0 + 4, opLit0 + 2, opRot, opPlus, opMul}, 20, true}, // 6 4 2 → 2 6 4
		{[]byte{opLit0 + 1, opLit0 + 2, opSwap, opOver, opPick, 2, opPlus, opPlus}, 5, true},
		{[]byte{opLit0 + 1, opBra, 1, 0, opLit31, opLit0 + 7}, 7, true},
		{[]byte{opLit0, opBra, 1, 0, opLit31, opLit0 + 7, opPlus}, 38, true},
		{[]byte{opSkip, 0xfd, 0xff}, 0, false}, // an endless loop
		{[]byte{opLit0 + 7, opLit0, opDiv}, 0, false},
		{[]byte{opConsts, 0x7f, opAbs, opLit0 + 1, opEq}, 1, true},
		{[]byte{opConsts, 0x7f, opLit0 + 1, opLt}, 1, true},
		{[]byte{opConst1u, 0x80, opLit0 + 3, opShr, opLit0 + 2, opShl, opLit0 + 15, opXor}, 79, true},
		// The expression of the procedure linkage table: CFA is rsp+8, plus 8 from the middle of an entry on.
		{[]byte{opBreg0 + 7, 8, opBreg0 + 7, 0, opLit0 + 15, opAnd, opLit0 + 11, opGe, opLit0 + 3, opShl, opPlus}, 0x108, true},
		{[]byte{opPlus}, 0, false},
		{[]byte{0xff}, 0, false},
		{nil, 0, false},
	} {
		if got, ok := p.evaluate(c.expr, 8, &regs); got != c.want || ok != c.ok {
			t.Errorf("%x: %#x %v, want %#x %v", c.expr, got, ok, c.want, c.ok)
		}
	}
}

// ruleCase is a program of call frame information for a function with a frame of 32 bytes: the caller's return address is at
// stackBase+24, and rbx is saved at stackBase+8.
type ruleCase struct {
	name             string
	initial, program []byte
	cfa              uint64 // 0: no caller
	rbx              uint64 // 0: unchanged
}

const (
	saved, before = 0x5a5a, 0xbbbb // rbx on the stack and in the register
	rbx, rsp, ra  = 3, 7, 16
	right         = stackBase + 32
)

var base = []byte{cfaDefCFA, rsp, 32, cfaOffset | ra, 1}

var ruleCases = []ruleCase{
	{"def_cfa", base, nil, right, 0},
	{"def_cfa_sf", []byte{cfaDefCFASF, rsp, 0x7c, cfaOffset | ra, 1}, nil, right, 0},
	{"def_cfa_register", []byte{cfaDefCFA, 6, 32, cfaDefCFARegister, rsp, cfaOffset | ra, 1}, nil, right, 0},
	{"def_cfa_offset", base, []byte{cfaDefCFAOffset, 8, cfaDefCFAOffset, 32}, right, 0},
	{"def_cfa_offset_sf", base, []byte{cfaDefCFAOffset, 8, cfaDefCFAOffsetSF, 0x7c}, right, 0},
	{"def_cfa_expression", base, []byte{cfaDefCFAExpression, 2, opBreg0 + rsp, 32}, right, 0},
	{"offset", base, []byte{cfaOffset | rbx, 3}, right, saved},
	{"offset_extended", base, []byte{cfaOffsetExtended, rbx, 3}, right, saved},
	{"offset_extended_sf", base, []byte{cfaOffsetExtendedSF, rbx, 3}, right, saved},
	{"negative_offset", base, []byte{cfaGNUNegativeOffset, rbx, 0x7d}, right, before}, // far below: not in memory
	{"val_offset", base, []byte{cfaValOffset, rbx, 3}, right, right - 24},
	{"val_offset_sf", base, []byte{cfaValOffsetSF, rbx, 3}, right, right - 24},
	{"register", base, []byte{cfaRegister, rbx, rsp}, right, stackBase},
	{"expression", base, []byte{cfaExpression, rbx, 3, opLit0 + 24, opMinus, opNop}, right, saved},
	{"val_expression", base, []byte{cfaValExpression, rbx, 2, opLit0 + 24, opMinus}, right, right - 24},
	{"same_value", base, []byte{cfaOffset | rbx, 3, cfaSameValue, rbx}, right, 0},
	{"restore", base, []byte{cfaOffset | rbx, 3, cfaRestore | rbx}, right, 0},
	{"restore_extended", slices.Concat(base, []byte{cfaOffset | rbx, 3}), []byte{cfaSameValue, rbx, cfaRestoreExtended, rbx}, right, saved},
	{"remember", base, []byte{cfaRememberState, cfaDefCFAOffset, 8, cfaOffset | rbx, 1, cfaRestoreState}, right, 0},
	{"restore nothing", base, []byte{cfaRestoreState}, 0, 0},
	{"undefined", base, []byte{cfaUndefined, ra}, 0, 0},
	{"advance", base, []byte{cfaAdvanceLoc | 8, cfaAdvanceLoc1, 8, cfaAdvanceLoc2, 1, 0, cfaDefCFAOffset, 8}, right, 0},
	{"advance not so far", base, []byte{cfaDefCFAOffset, 8, cfaAdvanceLoc4, 8, 0, 0, 0, cfaDefCFAOffset, 32}, right, 0},
	{"advance by 8 bytes", base, []byte{cfaMIPSAdvanceLoc8, 17, 0, 0, 0, 0, 0, 0, 0, cfaDefCFAOffset, 8}, right, 0},
	{"set_loc", base, []byte{cfaSetLoc, 0x11, 2, 0, 0, cfaDefCFAOffset, 8}, right, 0},
	{"args_size", base, []byte{cfaGNUArgsSize, 16, cfaNop}, right, 0},
	{"unknown", base, []byte{0x3f}, 0, 0},
	{"cut", base, []byte{cfaDefCFAExpression, 50, 1}, 0, 0},
}

// TestRules checks each instruction on a stack on which only one word is correct.
func TestRules(t *testing.T) {
	for _, c := range ruleCases {
		stack := make([]byte, 64)
		for i := 0; i < 64; i += 8 {
			binary.LittleEndian.PutUint64(stack[i:], 0x1111)
		}
		binary.LittleEndian.PutUint64(stack[8:], saved)
		binary.LittleEndian.PutUint64(stack[24:], imageBase+0x280) // not after a call: only tables lead here
		code := make([]byte, 256)
		cpu := cpuOf(context.AMD64, func(name string) uint64 {
			return map[string]uint64{"rip": imageBase + 0x210, "rsp": stackBase, "rbx": before}[name]
		})
		frames := walkImage(context.AMD64, code, ehFrame(context.AMD64, ra, c.initial, c.program), stack, cpu)
		if c.cfa == 0 {
			if len(frames) != 1 {
				t.Errorf("%s: %d frames", c.name, len(frames))
			}
			continue
		}
		if len(frames) < 2 {
			t.Errorf("%s: no caller", c.name)
			continue
		}
		want := max(c.rbx, before)
		if c.rbx != 0 {
			want = c.rbx
		}
		got, ok := frames[1].Registers.Get("rbx")
		if frames[0].CFA != c.cfa || frames[1].SP != c.cfa || frames[1].PC != imageBase+0x280 || frames[1].Trust != TrustCFI {
			t.Errorf("%s: CFA %#x, then %#x by %v", c.name, frames[0].CFA, frames[1].PC, frames[1].Trust)
		}
		if c.name == "negative_offset" {
			if ok {
				t.Errorf("%s: rbx is known", c.name)
			}
		} else if got != want || !ok {
			t.Errorf("%s: rbx %#x %v, want %#x", c.name, got, ok, want)
		}
	}
}
