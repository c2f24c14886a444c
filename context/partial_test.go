package context

import (
	"fmt"
	"testing"
)

// TestPartial compares the records of partly known threads with the layouts of TestEncode.
func TestPartial(t *testing.T) {
	control := map[Arch]uint32{X86: 0x10001, AMD64: 0x100001, ARM: 0x40000002, ARM64: 0x400001, MIPS: 0x40002, MIPS64: 0x80002,
		PPC: 0x20000001, PPC64: 0x1000001, RISCV64: 0x8000001, S390X: 0x2000001, LOONG64: 0x4000002}
	for _, c := range archCases {
		for _, o := range orders(c) {
			t.Run(fmt.Sprint(c.arch, "/", o), func(t *testing.T) {
				pc, sp := uint64(0x1234567890abcdef), uint64(0xfedcba0987654320)
				if c.arch.WordSize() == 4 && c.arch != MIPS {
					pc, sp = pc&0xffffffff, sp&0xffffffff
				}
				size := c.arch.ContextSize()
				rec := pattern(size+8, 3)
				if n := EncodeControl(rec, c.arch, o, pc, sp); n != size || rec[size] != pattern(size+8, 3)[size] {
					t.Fatalf("%d bytes, not %d, or more", n, size)
				}
				cpu, err := Decode(c.arch, rec, o)
				if err != nil || cpu.PC != pc || cpu.SP != sp || cpu.Flags != control[c.arch] {
					t.Errorf("%v: pc %#x sp %#x flags %#x", err, cpu.PC, cpu.SP, cpu.Flags)
				}
				if known := cpu.Known(); len(known) != 2 && len(known) != len(cpu.Registers) || c.arch == AMD64 && len(known) != 2 {
					t.Errorf("known: %v", known)
				}
				for _, r := range cpu.Registers {
					if r.Value != 0 && r.Value != pc && r.Value != sp {
						t.Errorf("%s is %#x", r.Name, r.Value)
					}
				}
				const fp, lr = 0x11223340, 0x55667780
				if n := EncodeCall(rec, c.arch, o, pc, sp, fp, lr); n != size {
					t.Fatalf("%d bytes, not %d", n, size)
				}
				l := c.arch.info()
				cpu, err = Decode(c.arch, rec, o)
				if err != nil || cpu.PC != pc || cpu.SP != sp || l.fp >= 0 && cpu.FP != fp || l.lr >= 0 && cpu.LR != lr || cpu.Flags != control[c.arch] {
					t.Errorf("%v: pc %#x sp %#x fp %#x lr %#x flags %#x", err, cpu.PC, cpu.SP, cpu.FP, cpu.LR, cpu.Flags)
				}
				if known := cpu.Known(); c.arch == AMD64 && len(known) != 3 {
					t.Errorf("known: %v", known)
				}
				if n := EncodeEmpty(rec, c.arch, o); n != size {
					t.Fatalf("%d bytes, not %d", n, size)
				}
				cpu, err = Decode(c.arch, rec, o)
				if err != nil || cpu.Flags != control[c.arch]&^0xff {
					t.Errorf("%v: flags %#x", err, cpu.Flags)
				}
				if known := cpu.Known(); len(known) > 0 {
					t.Errorf("known: %v", known)
				}
				// Everything except flags and version is 0, and the version is that of a whole record.
				whole := make([]byte, size)
				r := c.regsets(t, o)
				clear(r.GP)
				if (&Regsets{Arch: c.arch, Order: o, GP: r.GP}).Encode(whole) != size {
					t.Fatal("no whole record")
				}
				for i := range size {
					if rec[i] != whole[i] && (i < l.flagsAt || i >= l.flagsAt+l.flagsSize) {
						t.Errorf("byte %d is %#x, not %#x", i, rec[i], whole[i])
					}
				}
				if EncodeControl(rec[:size-1], c.arch, o, pc, sp) != 0 || EncodeEmpty(rec[:size-1], c.arch, o) != 0 {
					t.Error("a record in too little room")
				}
				if n := testing.AllocsPerRun(20, func() { EncodeControl(rec, c.arch, o, pc, sp); EncodeEmpty(rec, c.arch, o) }); n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
	var rec [MaxContextSize]byte
	if EncodeControl(rec[:], ArchUnknown, nil, 1, 2) != 0 || EncodeEmpty(rec[:], archCount, nil) != 0 {
		t.Error("a record of no architecture")
	}
}
