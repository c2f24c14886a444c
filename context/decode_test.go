package context

import (
	"encoding/binary"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, c := range archCases {
		for _, o := range orders(c) {
			r := c.regsets(t, o)
			rec := make([]byte, c.arch.ContextSize(), 2000)
			r.Encode(rec)
			cpu, err := Decode(c.arch, rec[:len(rec)+100], o)
			if err != nil {
				t.Fatalf("%s: %v", c.arch, err)
			}
			if cpu.Arch != c.arch || cpu.Flags != c.flags || cpu.PC != r.PC() || cpu.SP != r.SP() {
				t.Errorf("%s: %+v", c.arch, cpu)
			}
			out := make([]uint64, MaxRegisters)
			n := r.Registers(out)
			for i, v := range out[:n] {
				if cpu.Registers[i].Value != v {
					t.Errorf("%s: %s = %#x, want %#x", c.arch, cpu.Registers[i].Name, cpu.Registers[i].Value, v)
				}
			}
			if _, err := Decode(c.arch, rec[:len(rec)-1], o); err == nil {
				t.Errorf("%s: short record accepted", c.arch)
			}
			clear(rec)
			if _, err := Decode(c.arch, rec, o); err == nil {
				t.Errorf("%s: record without CPU flag accepted", c.arch)
			}
		}
	}
	if _, err := Decode(ArchUnknown, make([]byte, 2000), nil); err == nil {
		t.Error("unknown architecture accepted")
	}
}

func TestDecodeOldARM64(t *testing.T) {
	le := binary.LittleEndian
	rec := make([]byte, 796)
	le.PutUint64(rec, 0x80000006)
	for i := range 33 {
		le.PutUint64(rec[8+8*i:], uint64(1000+i))
	}
	le.PutUint32(rec[272:], 0x60000000)
	cpu, err := Decode(ARM64, rec, le)
	if err != nil {
		t.Fatal(err)
	}
	if cpu.Flags != 0x80000006 || cpu.PC != 1032 || cpu.SP != 1031 || cpu.LR != 1030 || cpu.FP != 1029 ||
		cpu.Registers[33] != (Register{"cpsr", 0x60000000}) || cpu.Registers[5] != (Register{"x5", 1005}) {
		t.Errorf("%+v", cpu)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(ARM64), make([]byte, 912), true)
	f.Add(byte(X86), make([]byte, 716), false)
	f.Fuzz(func(t *testing.T, a byte, rec []byte, big bool) {
		cpu, err := Decode(Arch(a%16), rec, order(big))
		if (cpu == nil) == (err == nil) {
			t.Fatal("neither result nor error, or both")
		}
	})
}

// TestDecodeRoles checks the registers that each architecture's convention uses as frame pointer and return address.
func TestDecodeRoles(t *testing.T) {
	for _, c := range []struct {
		arch           Arch
		pc, sp, fp, lr string
	}{
		{X86, "eip", "esp", "ebp", ""}, {AMD64, "rip", "rsp", "rbp", ""}, {ARM, "pc", "sp", "fp", "lr"}, {ARM64, "pc", "sp", "fp", "lr"},
		{MIPS, "pc", "sp", "fp", "ra"}, {MIPS64, "pc", "sp", "fp", "ra"}, {PPC, "pc", "r1", "", "lr"},
		{PPC64, "pc", "r1", "", "lr"}, {RISCV64, "pc", "sp", "s0", "ra"},
		{S390X, "pc", "r15", "r11", "r14"}, {LOONG64, "pc", "sp", "fp", "ra"},
	} {
		ac := archCaseOf(t, c.arch)
		r := ac.regsets(t, orders(ac)[0])
		rec := make([]byte, MaxContextSize)
		cpu, err := Decode(c.arch, rec[:r.Encode(rec)], r.Order)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]uint64{"": 0}
		for _, reg := range cpu.Registers {
			byName[reg.Name] = reg.Value
		}
		for name, got := range map[string]uint64{c.pc: cpu.PC, c.sp: cpu.SP} {
			if got != byName[name] || got == 0 {
				t.Errorf("%s: %s %#x", c.arch, name, got)
			}
		}
		if cpu.FP != byName[c.fp] || cpu.LR != byName[c.lr] {
			t.Errorf("%s: fp %#x lr %#x", c.arch, cpu.FP, cpu.LR)
		}
	}
}
