package context

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

func TestFrames(t *testing.T) {
	for _, f := range frameCases {
		ac := archCaseOf(t, f.arch)
		for _, o := range orders(ac) {
			uc, r := f.ucontext(t, o)
			var fpstate []byte
			switch f.arch {
			case AMD64:
				r.FP = pattern(512, 61)
				fpstate = append(append([]byte{}, r.FP...), make([]byte, 300)...)
			case X86:
				fpstate = pattern(624, 61)
				put32(false, fpstate[108:], 0) // magic 0: the FXSAVE image follows
				r.FP = fpstate[112:]
			}
			want := ac.expect(t, r, f.flags)
			si := siginfo(f.arch, o, 11, 0, 1, uint64(0x1234))
			c, err := CrashFromLinux(f.arch, o, 100, 101, si, uc, fpstate)
			if err != nil {
				t.Errorf("%s: %v", f.arch, err)
				continue
			}
			t.Run(fmt.Sprint(f.arch, "/", o), func(t *testing.T) { compare(t, ac, c.Record(), want) })
			if c.PC != r.PC() || c.SP != r.SP() || !c.HasContext || c.PC == 0 {
				t.Errorf("%s %s: pc %#x sp %#x", f.arch, o, c.PC, c.SP)
			}
			ucF, _ := fields(t, f.uc)
			if _, ok := ucF["err"]; ok && (c.ErrorCode != f.hw["err"] || c.TrapAddress != 0x1234) {
				t.Errorf("%s: error code %#x, trap address %#x", f.arch, c.ErrorCode, c.TrapAddress)
			}
			wantAccess := AccessWrite
			switch f.arch {
			case MIPS, MIPS64, RISCV64, S390X:
				wantAccess = AccessUnknown
			}
			if c.Access != wantAccess {
				t.Errorf("%s: access %s", f.arch, c.Access)
			}
			if wantAccess == AccessWrite && (c.NumParams != 2 || c.Params[0] != 1 || c.Params[1] != 0x1234) {
				t.Errorf("%s: parameters %x", f.arch, c.Params[:c.NumParams])
			}

			// A signal that was sent has registers; the last trap is irrelevant.
			c, _ = CrashFromLinux(f.arch, o, 100, 101, siginfo(f.arch, o, 11, 0, SI_TKILL, int32(1), int32(2)), uc, fpstate)
			if c.Access != AccessUnknown || c.HasAddress || !c.HasContext {
				t.Errorf("%s: sent signal has access %s", f.arch, c.Access)
			}
			// A signal that the kernel forced without a fault: the last trap was something else.
			c, _ = CrashFromLinux(f.arch, o, 100, 101, siginfo(f.arch, o, 11, 0, SI_KERNEL), uc, fpstate)
			if c.Access != AccessUnknown || c.HasAddress || !c.HasContext {
				t.Errorf("%s: forced signal has access %s", f.arch, c.Access)
			}
			// Every length results in registers or an error, never a panic.
			for n := range uc {
				c, err := CrashFromLinux(f.arch, o, 100, 101, si, uc[:n], nil)
				if c == nil || c.HasContext == (err != nil) || (err != nil && !errors.Is(err, ErrUcontext)) {
					t.Fatalf("%s: %d bytes: %v", f.arch, n, err)
				}
			}
			if c, err := CrashFromLinux(f.arch, o, 1, 2, si, nil, nil); err != nil || c.HasContext || c.Record() != nil {
				t.Errorf("%s: no ucontext: %v", f.arch, err)
			}
		}
	}
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		trap, code uint64
		want       Access
	}{
		{14, 4, AccessRead}, {14, 6, AccessWrite}, {14, 0x14, AccessExecute}, {14, 0x15, AccessExecute}, {14, 0x25, AccessRead},
		{13, 0, AccessUnknown}, {13, 2, AccessUnknown}, {6, 0, AccessUnknown},
	} {
		if got := accessOfX86(c.trap, c.code); got != c.want {
			t.Errorf("x86 %d %#x: %s", c.trap, c.code, got)
		}
	}
	for _, c := range []struct {
		esr  uint64
		want Access
	}{
		{0x92000006, AccessRead}, {0x92000046, AccessWrite}, {0x92000146, AccessRead}, {0x82000006, AccessExecute},
		{0x86000006, AccessExecute}, {0x96000046, AccessWrite}, {0x02000000, AccessUnknown}, {0xf2000000, AccessUnknown},
	} {
		if got := accessOfESR(c.esr); got != c.want {
			t.Errorf("esr %#x: %s", c.esr, got)
		}
	}
	for _, c := range []struct {
		trap, dsisr uint64
		want        Access
	}{
		{0x300, 0x40000000, AccessRead}, {0x301, 0x42000000, AccessWrite}, {0x400, 0, AccessExecute}, {0x480, 0, AccessExecute},
		{0x380, 0x42000000, AccessUnknown}, {0x700, 0, AccessUnknown},
	} {
		if got := accessOfPPC(c.trap, c.dsisr); got != c.want {
			t.Errorf("ppc64 %#x %#x: %s", c.trap, c.dsisr, got)
		}
	}
	// arm, through the frame: fault status of a write, of a read and of an instruction fetch.
	for code, want := range map[uint64]Access{0x817: AccessWrite, 0x17: AccessRead, 0x80000007: AccessExecute} {
		f := frameCaseOf(t, ARM)
		f.hw = map[string]uint64{"err": code, "crunch": 0, "magic": 0}
		uc, _ := f.ucontext(t, binary.LittleEndian)
		c, err := CrashFromLinux(ARM, nil, 1, 2, siginfo(ARM, binary.LittleEndian, 11, 0, 1, uint64(0x10)), uc, nil)
		if err != nil || c.Access != want || get32(false, c.Context[:]) != 0x40000002 {
			t.Errorf("arm %#x: %s, flags %#x, %v", code, c.Access, get32(false, c.Context[:]), err)
		}
		// For a 32-bit program, arm64 does not report whether the access was a fetch or a read.
		c, _ = CrashFromLinux(ARM, nil, 1, 2, siginfo(ARM, binary.LittleEndian, 11, 0, 1, c.PC), uc, nil)
		if at := max(want, AccessWrite); code == 0x17 && c.Access != AccessExecute || code != 0x17 && c.Access != at {
			t.Errorf("arm %#x at the PC: %s", code, c.Access)
		}
	}
	// A jump to an invalid address, on an architecture whose frame does not contain what the hardware reported.
	uc, r := frameCaseOf(t, RISCV64).ucontext(t, binary.LittleEndian)
	c, _ := CrashFromLinux(RISCV64, nil, 1, 2, siginfo(RISCV64, binary.LittleEndian, 11, 0, 1, r.PC()), uc, nil)
	if c.Access != AccessExecute || c.Params[0] != 8 {
		t.Errorf("jump: %s", c.Access)
	}
}

// TestFrameLOONG64Vectors reads the LoongArch frame of a thread that has used vectors: it has those instead of plain
// floating-point registers.
func TestFrameLOONG64Vectors(t *testing.T) {
	le := binary.LittleEndian
	for magic, width := range map[uint32]int{0x53580001: 16, 0x41535801: 32} {
		uc := make([]byte, 448+16+32*width+16)
		for i := range 32 {
			le.PutUint64(uc[448+16+width*i:], uint64(1000+i))
		}
		le.PutUint64(uc[448+16+32*width:], 0x77)
		le.PutUint32(uc[448+16+32*width+8:], 0x88)
		le.PutUint32(uc[448:], magic)
		le.PutUint32(uc[452:], uint32(16+32*width+16))
		c, err := CrashFromLinux(LOONG64, le, 1, 2, siginfo(LOONG64, le, 11, 0, 1), uc, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := c.Record()
		if le.Uint64(rec[272+8*31:]) != 1031 || le.Uint64(rec[528:]) != 0x77 || le.Uint32(rec[536:]) != 0x88 ||
			le.Uint32(rec) != 0x04000006 {
			t.Errorf("%#x: % x", magic, rec[272:])
		}
	}
}

// TestFrameChains checks that reading ends at invalid chains of records.
func TestFrameChains(t *testing.T) {
	le := binary.LittleEndian
	for _, size := range []uint32{0, 1, 7, 8, 16, 0x7fffffff, 0xffffffff} {
		uc := make([]byte, 464+64)
		le.PutUint32(uc[464:], 0x12345678)
		le.PutUint32(uc[468:], size)
		if c, err := CrashFromLinux(ARM64, le, 1, 2, siginfo(ARM64, le, 11, 0, 1), uc, nil); err != nil ||
			le.Uint32(c.Context[:]) != 0x400003 {
			t.Errorf("size %#x: %v", size, err)
		}
	}
}
