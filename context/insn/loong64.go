package insn

import (
	"encoding/binary"

	"golang.org/x/arch/loong64/loong64asm"

	"minidump/context"
)

// loongMem has the size and kind of the loads and stores with a 12-bit offset, from ld.b (0x28000000) on, each 0x400000 apart; a
// size of 0 is a prefetch.
var loongMem = [20]struct {
	size   uint8
	access context.Access
}{
	{1, read}, {2, read}, {4, read}, {8, read}, // ld.b ld.h ld.w ld.d
	{1, write}, {2, write}, {4, write}, {8, write}, // st.b st.h st.w st.d
	{1, read}, {2, read}, {4, read}, {0, read}, // ld.bu ld.hu ld.wu preld
	{4, read}, {4, write}, {8, read}, {8, write}, // fld.s fst.s fld.d fst.d
	{16, read}, {16, write}, {32, read}, {32, write}, // vld vst xvld xvst
}

// loongMemX has the same for loads and stores with an index register, from ldx.b (0x38000000) on, each 0x40000 apart.
var loongMemX = [20]struct {
	size   uint8
	access context.Access
}{
	{1, read}, {2, read}, {4, read}, {8, read}, // ldx.b ldx.h ldx.w ldx.d
	{1, write}, {2, write}, {4, write}, {8, write}, // stx.b stx.h stx.w stx.d
	{1, read}, {2, read}, {4, read}, {0, read}, // ldx.bu ldx.hu ldx.wu preldx
	{4, read}, {8, read}, {4, write}, {8, write}, // fldx.s fldx.d fstx.s fstx.d
	{16, read}, {16, write}, {32, read}, {32, write}, // vldx vstx xvldx xvstx
}

// decodeLOONG64 reads the encodings of loads and stores (LoongArch reference manual volume 1, 2.2.5 to 2.2.7, and its table of
// instruction codes; the vectors are in volume 2).
func decodeLOONG64(code []byte, regs []uint64) instruction {
	var inst instruction
	if len(code) < 4 {
		return inst
	}
	w := binary.LittleEndian.Uint32(code)
	base, index := regs[w>>5&31], regs[w>>10&31]
	switch top := w >> 24; {
	case top >= 0x28 && w>>22-0xa0 < 20:
		if m := loongMem[w>>22-0xa0]; m.size != 0 {
			inst.add(base+uint64(int64(int32(w<<10)>>20)), int(m.size), m.access)
		}
	case top >= 0x20 && top <= 0x27: // ll.w sc.w ll.d sc.d ldptr.w stptr.w ldptr.d stptr.d
		access := context.AccessRead
		if top&1 == 1 {
			access = context.AccessWrite
		}
		inst.add(base+uint64(int64(int32(w<<8)>>18)*4), 4<<(top>>1&1), access)
	case top == 0x38 && w>>18-0xe00 < 20 && w>>15&7 == 0:
		if m := loongMemX[w>>18-0xe00]; m.size != 0 {
			inst.add(base+index, int(m.size), m.access)
		}
	case w>>15 == 0x38570000>>15: // sc.q
		inst.add(base, 16, context.AccessWrite)
	case w >= 0x38580000 && w < 0x38720000: // am*: address without offset
		n := w >> 15
		size := 4 << (n & 1)
		switch {
		case w < 0x385c0000: // amcas
			size = 1 << (n & 3)
		case w < 0x38600000: // amswap.b to amadd_db.h
			size = 1 << (n & 1)
		}
		inst.add(base, size, context.AccessWrite)
	case w>>26 == 0x13: // jirl
		inst.add(base+uint64(int64(int32(w<<6)>>16)*4), 0, context.AccessExecute)
	}
	if len(inst.ops) != 0 {
		if in, err := loong64asm.Decode(code[:4]); err == nil {
			inst.text = loong64asm.GNUSyntax(in)
		}
	}
	return inst
}

// isCallLOONG64 recognizes bl, and jirl with ra as the link register.
func isCallLOONG64(before []byte) bool {
	if len(before) < 4 {
		return false
	}
	w := binary.LittleEndian.Uint32(before[len(before)-4:])
	return w>>26 == 0x15 || w>>26 == 0x13 && w&31 == 1
}
