package context

import (
	"encoding/binary"
	"testing"
)

func TestSetContext(t *testing.T) {
	c, _ := CrashFromSiginfo(PPC64, binary.BigEndian, 1, 2, siginfo(PPC64, binary.BigEndian, 11, 0, 1, uint64(9)))
	r := archCaseOf(t, PPC64).regsets(t, binary.BigEndian)
	c.SetContext(&r)
	if !c.HasContext || c.PC != r.PC() || c.SP != r.SP() || len(c.Record()) != 1160 || c.Order() != binary.ByteOrder(binary.BigEndian) {
		t.Error("registers not taken")
	}
	r.Order = binary.LittleEndian
	c.SetContext(&r)
	if c.HasContext || c.Record() != nil || c.PC != 0 {
		t.Error("registers of the other byte order taken")
	}
}

func FuzzCrashFromLinux(f *testing.F) {
	for _, fc := range frameCases {
		uc, _ := fc.ucontext(&testing.T{}, binary.LittleEndian)
		f.Add(byte(fc.arch), false, siginfo(fc.arch, binary.LittleEndian, 11, 0, 1, uint64(9)), uc, make([]byte, 512))
	}
	f.Fuzz(func(t *testing.T, a byte, big bool, si, uc, fp []byte) {
		c, err := CrashFromLinux(Arch(a%16), order(big), 1, 2, si, uc, fp)
		if c == nil {
			if err == nil {
				t.Fatal("nothing and no error")
			}
			return
		}
		if int(c.NumParams) > len(c.Params) || c.HasContext != (len(c.Record()) == c.Arch.ContextSize()) {
			t.Fatalf("%+v", c)
		}
		if c.HasContext {
			if _, err := Decode(c.Arch, c.Record(), c.Order()); err != nil {
				t.Fatal(err)
			}
		}
		ParseCrashContext(uc)
	})
}

func TestRegisterRefiner(t *testing.T) {
	saved := refiner
	defer RegisterRefiner(saved)
	RegisterRefiner(nil)
	c := Crash{Arch: AMD64, Signo: SIGSEGV, Code: SI_KERNEL, HasContext: true, PC: 0x1000}
	before := c
	c.Refine([]byte{0x90})
	if c != before {
		t.Errorf("changed without a refiner: %+v", c)
	}
	RegisterRefiner(func(c *Crash, code []byte) { c.Address = uint64(code[0]) })
	if c.Refine([]byte{0x90}); c.Address != 0x90 {
		t.Errorf("the refiner was not called: %#x", c.Address)
	}
}
