package context

import (
	"testing"
)

func TestSizes(t *testing.T) {
	for _, c := range archCases {
		_, gp := fields(t, c.gp)
		_, rec := fields(t, c.rec)
		_, fp := fields(t, c.fp)
		if gp != c.arch.GPSize() || rec != c.arch.ContextSize() || fp > c.arch.FPSize() {
			t.Errorf("%s: GPSize %d, ContextSize %d, FPSize %d; headers say %d %d %d", c.arch,
				c.arch.GPSize(), c.arch.ContextSize(), c.arch.FPSize(), gp, rec, fp)
		}
	}
	for _, w := range []struct {
		arch     Arch
		gp, rec  int
		fp, word int
		note     uint32
		red      uint64
		proc     uint16
		name     string
	}{
		{X86, 68, 716, 512, 4, 0x46e62b7f, 0, 0, "x86"},
		{AMD64, 216, 1232, 512, 8, 2, 128, 9, "amd64"},
		{ARM, 72, 368, 260, 4, 0x400, 0, 5, "arm"},
		{ARM64, 272, 912, 528, 8, 2, 0, 12, "arm64"},
		{MIPS, 180, 600, 264, 4, 2, 0, 1, "mips"},
		{MIPS64, 360, 600, 264, 8, 2, 0, 0x8004, "mips64"},
		{PPC, 192, 1004, 264, 4, 2, 0, 3, "ppc"},
		{PPC64, 384, 1160, 264, 8, 2, 288, 0x8002, "ppc64"},
		{RISCV64, 256, 528, 264, 8, 2, 0, 0x8006, "riscv64"},
		{S390X, 216, 744, 136, 8, 2, 0, 0x8007, "s390x"},
		{LOONG64, 360, 552, 272, 8, 2, 0, 0x8008, "loong64"},
		{ArchUnknown, 0, 0, 0, 0, 0, 0, 0xffff, "unknown"},
		{Arch(200), 0, 0, 0, 0, 0, 0, 0xffff, "unknown"},
	} {
		a := w.arch
		if a.GPSize() != w.gp || a.ContextSize() != w.rec || a.FPSize() != w.fp || a.WordSize() != w.word ||
			a.FPRegset() != w.note || a.RedZone() != w.red || a.ProcessorArchitecture() != w.proc || a.String() != w.name {
			t.Errorf("%s: got %d %d %d %d %#x %d %#x", a, a.GPSize(), a.ContextSize(), a.FPSize(), a.WordSize(),
				a.FPRegset(), a.RedZone(), a.ProcessorArchitecture())
		}
		if a != ArchUnknown && a < archCount && ArchOfProcessor(w.proc) != a {
			t.Errorf("ArchOfProcessor(%#x) = %s", w.proc, ArchOfProcessor(w.proc))
		}
		if a.ContextSize() > MaxContextSize {
			t.Errorf("%s: record larger than MaxContextSize", a)
		}
	}
	if ArchOfProcessor(0xffff) != ArchUnknown || ArchOfProcessor(0x8003) != ARM64 || ArchOfProcessor(10) != X86 {
		t.Error("ArchOfProcessor of 0xffff, 0x8003, 10")
	}
}

func TestArchOf(t *testing.T) {
	for _, c := range []struct {
		machine uint16
		class64 bool
		want    Arch
	}{
		{3, false, X86}, {62, true, AMD64}, {62, false, AMD64}, {40, false, ARM}, {183, true, ARM64}, {8, false, MIPS},
		{8, true, MIPS64}, {21, true, PPC64}, {20, false, PPC}, {243, true, RISCV64}, {243, false, ArchUnknown},
		{22, true, S390X}, {22, false, ArchUnknown}, {258, true, LOONG64}, {0, true, ArchUnknown},
	} {
		if got := ArchOfELF(c.machine, c.class64); got != c.want {
			t.Errorf("ArchOfELF(%d, %v) = %s", c.machine, c.class64, got)
		}
	}
	for _, c := range []struct {
		native Arch
		n      int
		want   Arch
	}{
		{AMD64, 216, AMD64}, {AMD64, 68, X86}, {ARM64, 272, ARM64}, {ARM64, 72, ARM}, {MIPS64, 360, MIPS64}, {MIPS64, 180, MIPS},
		{PPC64, 384, PPC64}, {PPC64, 192, PPC}, {PPC, 192, PPC}, {PPC, 384, ArchUnknown}, {S390X, 216, S390X}, {S390X, 144, ArchUnknown}, {RISCV64, 128, ArchUnknown},
		{X86, 68, X86}, {X86, 216, ArchUnknown}, {ARM64, 0, ArchUnknown}, {PPC64, 0, ArchUnknown}, {ArchUnknown, 0, ArchUnknown},
	} {
		if got := ArchOfRegset(c.native, c.n); got != c.want {
			t.Errorf("ArchOfRegset(%s, %d) = %s", c.native, c.n, got)
		}
	}
}
