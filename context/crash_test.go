package context

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// siginfo builds a siginfo_t of a: the three numbers in their places, then the union's words and halves as given.
func siginfo(a Arch, o binary.ByteOrder, signo, errno, code int32, union ...any) []byte {
	b := make([]byte, 128)
	o.PutUint32(b, uint32(signo))
	if a == MIPS || a == MIPS64 {
		errno, code = code, errno
	}
	o.PutUint32(b[4:], uint32(errno))
	o.PutUint32(b[8:], uint32(code))
	off := 12
	if a.WordSize() == 8 {
		off = 16
	}
	for _, u := range union {
		switch v := u.(type) {
		case int32:
			o.PutUint32(b[off:], uint32(v))
			off += 4
		case int16:
			o.PutUint16(b[off:], uint16(v))
			off += 2
		case uint64: // a word
			if a.WordSize() == 8 {
				o.PutUint64(b[off:], v)
				off += 8
			} else {
				o.PutUint32(b[off:], uint32(v))
				off += 4
			}
		default:
			panic("type")
		}
	}
	return b
}

func TestSiginfo(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	type want struct {
		addr   uint64
		has    bool
		pid    int32
		uid    uint32
		value  uint64
		params []uint64
	}
	for _, c := range []struct {
		name string
		arch Arch
		o    binary.ByteOrder
		si   []byte
		sig  int32
		code int32
		want want
	}{
		{"fault 64", AMD64, le, siginfo(AMD64, le, 11, 0, 1, uint64(0x123456789a)), 11, 1, want{addr: 0x123456789a, has: true}},
		{"fault 32", X86, le, siginfo(X86, le, 11, 0, 2, uint64(0x8badf00d)), 11, 2, want{addr: 0x8badf00d, has: true}},
		{"fault at 0", ARM64, le, siginfo(ARM64, le, 11, 0, 1, uint64(0)), 11, 1, want{has: true}},
		{"fault big", S390X, be, siginfo(S390X, be, 11, 0, 1, uint64(0x3ff00001000)), 11, 1, want{addr: 0x3ff00001000, has: true}},
		{"fault mips", MIPS, be, siginfo(MIPS, be, 11, 7, 1, uint64(0x7f001234)), 11, 1, want{addr: 0x7f001234, has: true}},
		{"bus mips", MIPS64, le, siginfo(MIPS64, le, 10, 0, 1, uint64(0x7f00123456)), 10, 1, want{addr: 0x7f00123456, has: true}},
		{"usr1 is no bus", AMD64, le, siginfo(AMD64, le, 10, 0, 0, int32(77), int32(1000)), 10, 0,
			want{pid: 77, uid: 1000, params: []uint64{77, 1000}}},
		{"kill", AMD64, le, siginfo(AMD64, le, 11, 0, SI_USER, int32(4711), int32(1000)), 11, 0,
			want{pid: 4711, uid: 1000, params: []uint64{4711, 1000}}},
		{"tkill", ARM, le, siginfo(ARM, le, 6, 0, SI_TKILL, int32(4711), int32(1000), uint64(0)), 6, SI_TKILL,
			want{pid: 4711, uid: 1000, params: []uint64{4711, 1000, 0}}},
		{"queue", PPC64, be, siginfo(PPC64, be, 11, 0, SI_QUEUE, int32(4711), int32(1000), uint64(0xdead0000beef)), 11, SI_QUEUE,
			want{pid: 4711, uid: 1000, value: 0xdead0000beef, params: []uint64{4711, 1000, 0xdead0000beef}}},
		{"kernel", AMD64, le, siginfo(AMD64, le, 11, 0, SI_KERNEL, uint64(0)), 11, SI_KERNEL, want{params: []uint64{0, 0}}},
		{"seccomp", AMD64, le, siginfo(AMD64, le, 31, 38, 1, uint64(0x7f0000001000), int32(59), int32(-0x3fffffc2)), 31, 1,
			want{addr: 0x7f0000001000, has: true, params: []uint64{59, 0xc000003e}}},
		{"seccomp 32", ARM, le, siginfo(ARM, le, 31, 0, 1, uint64(0x1000), int32(11), int32(0x40000028)), 31, 1,
			want{addr: 0x1000, has: true, params: []uint64{11, 0x40000028}}},
		{"seccomp mips", MIPS, be, siginfo(MIPS, be, 12, 0, 1, uint64(0x1000), int32(4011), int32(8)), 12, 1,
			want{addr: 0x1000, has: true, params: []uint64{4011, 8}}},
		{"timer", AMD64, le, siginfo(AMD64, le, 14, 0, SI_TIMER, int32(3), int32(2), uint64(99)), 14, SI_TIMER,
			want{value: 99, params: []uint64{3, 2, 99}}},
		{"timer mips", MIPS64, be, siginfo(MIPS64, be, 14, 0, -3, int32(3), int32(2), uint64(99)), 14, -3,
			want{value: 99, params: []uint64{3, 2, 99}}},
		{"child", AMD64, le, siginfo(AMD64, le, 17, 0, 2, int32(88), int32(5), int32(9)), 17, 2,
			want{pid: 88, uid: 5, params: []uint64{88, 5, 9}}},
		{"poll", AMD64, le, siginfo(AMD64, le, 29, 0, 1, uint64(0x41), int32(7)), 29, 1, want{params: []uint64{0x41, 7}}},
		{"poll on another signal", AMD64, le, siginfo(AMD64, le, 10, 0, 1, uint64(0x41), int32(7)), 10, 1,
			want{params: []uint64{0x41, 7}}},
		{"trap", AMD64, le, siginfo(AMD64, le, 5, 0, 1, uint64(0x401000)), 5, 1, want{addr: 0x401000, has: true}},
		{"int3", AMD64, le, siginfo(AMD64, le, 5, 0, SI_KERNEL), 5, SI_KERNEL, want{params: []uint64{0, 0}}},
		{"async tag check", ARM64, le, siginfo(ARM64, le, 11, 0, SEGV_MTEAERR, uint64(0)), 11, SEGV_MTEAERR, want{}},
	} {
		cr, err := CrashFromSiginfo(c.arch, c.o, 5, 6, c.si)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := want{cr.Address, cr.HasAddress, cr.SenderPID, cr.SenderUID, cr.Value, nil}
		if cr.NumParams > 0 {
			got.params = cr.Params[:cr.NumParams]
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) || cr.Signo != c.sig || cr.Code != c.code || cr.PID != 5 || cr.TID != 6 ||
			cr.Arch != c.arch || cr.BigEndian != isBig(c.o) || cr.HasContext {
			t.Errorf("%s: %+v signal %d code %d, want %+v", c.name, got, cr.Signo, cr.Code, c.want)
		}
	}

	cr, _ := CrashFromSiginfo(MIPS, be, 0, 0, siginfo(MIPS, be, 11, 7, 1, uint64(1)))
	if cr.Errno != 7 {
		t.Errorf("errno %d", cr.Errno)
	}
	cr, _ = CrashFromSiginfo(AMD64, le, 0, 0, siginfo(AMD64, le, 11, 0, SEGV_BNDERR, uint64(5), uint64(0), uint64(0x1000), uint64(0x2000)))
	if cr.LowerBound != 0x1000 || cr.UpperBound != 0x2000 || cr.Address != 5 {
		t.Errorf("bounds %#x %#x", cr.LowerBound, cr.UpperBound)
	}
	cr, _ = CrashFromSiginfo(X86, le, 0, 0, siginfo(X86, le, 11, 0, SEGV_PKUERR, uint64(5), uint64(0), int32(3)))
	if cr.ProtectionKey != 3 {
		t.Errorf("key %d", cr.ProtectionKey)
	}
	cr, _ = CrashFromSiginfo(ARM64, le, 0, 0, siginfo(ARM64, le, 7, 0, BUS_MCEERR_AR, uint64(0x1000), int16(12)))
	if cr.AddressLSB != 12 {
		t.Errorf("lsb %d", cr.AddressLSB)
	}
	for _, n := range []int{0, 12, 23} {
		if cr, err := CrashFromSiginfo(AMD64, le, 0, 0, make([]byte, n)); cr != nil || !errors.Is(err, ErrSiginfo) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := CrashFromSiginfo(ArchUnknown, le, 0, 0, make([]byte, 128)); !errors.Is(err, ErrSiginfo) {
		t.Error("unknown architecture")
	}
	// A short siginfo has its fields beyond the end as 0.
	if cr, err := CrashFromSiginfo(AMD64, le, 0, 0, siginfo(AMD64, le, 31, 0, 1, uint64(9), int32(59), int32(62))[:24]); err != nil ||
		cr.Address != 9 || cr.Syscall != 0 {
		t.Errorf("%v", err)
	}
}

// A frameCase gives the kernel's ucontext in the same form as archCases: names as in the gp of the archCase, and more.
type frameCase struct {
	arch  Arch
	uc    string
	hw    map[string]uint64 // fields with a value of their own
	flags uint32
	none  string // registers of the record that a frame does not have
}

var frameCases = []frameCase{
	{
		arch: AMD64,
		uc: "-flags:8 -link:8 -stack:24 r8..r15:8 rdi:8 rsi:8 rbp:8 rbx:8 rdx:8 rax:8 rcx:8 rsp:8 rip:8 eflags:4 -:4 cs:2 gs:2 fs:2 " +
			"ss:2 err:8 trapno:8 -oldmask:8 cr2:8 -fpstate:8 -:64 -sigmask:8",
		hw: map[string]uint64{"err": 6, "trapno": 14, "cr2": 0x1234}, flags: 0x10000b, none: "ds es",
	},
	{
		arch: X86,
		uc: "-flags:4 -link:4 -stack:12 gs:2 -:2 fs:2 -:2 es:2 -:2 ds:2 -:2 edi:4 esi:4 ebp:4 esp:4 ebx:4 edx:4 ecx:4 eax:4 " +
			"trapno:4 err:4 eip:4 cs:2 -:2 eflags:4 -sp_at_signal:4 ss:2 -:2 -fpstate:4 -oldmask:4 cr2:4 -sigmask:8",
		hw: map[string]uint64{"err": 7, "trapno": 14, "cr2": 0x1234}, flags: 0x1002f,
	},
	{
		arch: ARM,
		uc: "-flags:4 -link:4 -stack:12 trapno:4 err:4 -oldmask:4 r0..r15:4 cpsr:4 cr2:4 -sigmask:128 crunch:4 crunchsize:4 -:168 " +
			"magic:4 size:4 d0..d31:8 fpscr:4 -:4 -exc:16 end:4",
		hw: map[string]uint64{"err": 0x817, "trapno": 14, "cr2": 0x1234, "crunch": 0x5065cf03, "crunchsize": 176,
			"magic": 0x56465001, "size": 288, "end": 0},
		flags: 0x40000006,
	},
	{
		arch: ARM64,
		uc: "-flags:8 -link:8 -stack:24 -sigmask:128 -:8 cr2:8 x0..x30:8 sp:8 pc:8 cpsr:4 -:4 -:8 " +
			"magic:4 size:4 fpsr:4 fpcr:4 v0..v31:16 esrmagic:4 esrsize:4 err:8 end:4 endsize:4",
		hw: map[string]uint64{"err": 0x92000046, "cr2": 0x1234, "magic": 0x46508001, "size": 528, "esrmagic": 0x45535201,
			"esrsize": 16, "end": 0, "endsize": 0},
		flags: 0x400007,
	},
	{
		arch: MIPS,
		uc: "-flags:4 -link:4 -stack:12 -:4 -regmask:4 status:4 epc:8 r0..r31:8 f0..f31:8 -acx:4 fcsr:4 fir:4 used:4 -dsp:4 -:4 " +
			"hi:8 lo:8 -:24 -sigmask:16",
		hw: map[string]uint64{"used": 1}, flags: 0x40006, none: "bad cause",
	},
	{
		arch: MIPS64,
		uc: "-flags:8 -link:8 -stack:24 r0..r31:8 f0..f31:8 hi:8 -hi1:8 -hi2:8 -hi3:8 lo:8 -lo1:8 -lo2:8 -lo3:8 epc:8 fcsr:4 " +
			"used:4 -dsp:4 -:4 -sigmask:16",
		hw: map[string]uint64{"used": 1}, flags: 0x80006, none: "bad cause status fir",
	},
	{
		arch: PPC64,
		uc: "-flags:8 -link:8 -stack:24 -sigmask:128 -:32 -signal:8 -handler:8 -oldmask:8 regs:8 " +
			"r0..r31:8 nip:8 msr:8 orig_gpr3:8 ctr:8 link:8 xer:8 ccr:8 softe:8 trapno:8 cr2:8 err:8 result:8 dscr:8 -:24 " +
			"f0..f31:8 fpscr:8 vregs:8 -align:8 vr0..vr31:16 vscr:16 vrsave:4 -:12 -vsx:256",
		hw: map[string]uint64{"err": 0x42000000, "trapno": 0x301, "cr2": 0x1234, "regs": 0x7fff00000100,
			"vregs": 0x7fff00000100 + 896 - 232, "msr": 1 << 25},
		flags: 0x01000029,
	},
	{
		arch:  RISCV64,
		uc:    "-flags:8 -link:8 -stack:24 -sigmask:128 -:8 pc:8 x1..x31:8 f0..f31:8 fcsr:4 -:268",
		flags: 0x08000003,
	},
	{
		arch: S390X,
		uc: "ucflags:8 -link:8 -stack:24 mask:8 addr:8 r0..r15:8 a0..a15:4 fpc:4 -:4 f0..f15:8 -sigmask:128 vl0..vl15:8 " +
			"v16..v31:16 -:128",
		hw: map[string]uint64{"ucflags": 3}, flags: 0x0200000f, none: "orig_gpr2",
	},
	{
		arch: LOONG64,
		uc: "-flags:8 -link:8 -stack:24 -sigmask:128 -:8 era:8 r0..r31:8 scflags:4 -:4 magic:4 size:4 -:8 f0..f31:8 fcc:8 fcsr:4 " +
			"-:4 end:4 endsize:4 -:8",
		hw: map[string]uint64{"scflags": 1 << 31, "magic": 0x46505501, "size": 16 + 272, "end": 0, "endsize": 0}, flags: 0x04000006,
		none: "badv",
	},
}

func archCaseOf(t *testing.T, a Arch) archCase {
	for _, c := range archCases {
		if c.arch == a {
			return c
		}
	}
	t.Fatal(a)
	return archCase{}
}

// ucontext makes the bytes of a frame, and the register sets that hold the same values.
func (f frameCase) ucontext(t *testing.T, o binary.ByteOrder) (uc []byte, r Regsets) {
	ac := archCaseOf(t, f.arch)
	ucF, ucSize := fields(t, f.uc)
	uc = pattern(ucSize, 17)
	put := func(name string, v uint64) {
		x, ok := ucF[name]
		if !ok {
			t.Fatal(name)
		}
		putN(isBig(o), uc, x.off, x.size, v)
	}
	for name, v := range f.hw {
		put(name, v)
	}
	take := func(spec string) []byte {
		setF, setSize := fields(t, spec)
		set := make([]byte, setSize)
		for name, s := range setF {
			x, ok := ucF[name]
			if !ok || strings.Contains(" "+f.none+" ", " "+name+" ") {
				continue
			}
			switch {
			case x.size == s.size || x.size > 8:
				copy(set[s.off:s.off+s.size], uc[x.off:])
			default:
				putN(isBig(o), set, s.off, s.size, getN(isBig(o), uc, x.off, x.size))
			}
		}
		return set
	}
	r = Regsets{Arch: f.arch, Order: o, GP: take(ac.gp), FP: take(ac.fp)}
	if ac.extra != "" && f.arch != MIPS && f.arch != MIPS64 {
		r.Extra = take(ac.extra)
	}
	return uc, r
}

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
				put32(false, fpstate[108:], 0) // magic 0: the FXSAVE image is there
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

			// A signal that was sent: the registers are there, what the last trap was does not matter.
			c, _ = CrashFromLinux(f.arch, o, 100, 101, siginfo(f.arch, o, 11, 0, SI_TKILL, int32(1), int32(2)), uc, fpstate)
			if c.Access != AccessUnknown || c.HasAddress || !c.HasContext {
				t.Errorf("%s: sent signal has access %s", f.arch, c.Access)
			}
			// One that the kernel forced without a fault: the last trap was something else.
			c, _ = CrashFromLinux(f.arch, o, 100, 101, siginfo(f.arch, o, 11, 0, SI_KERNEL), uc, fpstate)
			if c.Access != AccessUnknown || c.HasAddress || !c.HasContext {
				t.Errorf("%s: forced signal has access %s", f.arch, c.Access)
			}
			// Every length: never a panic, registers or an error.
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
		if got := accessOfPPC64(c.trap, c.dsisr); got != c.want {
			t.Errorf("ppc64 %#x %#x: %s", c.trap, c.dsisr, got)
		}
	}
	// arm, through the frame: fault status with WnR, without, and of an instruction fetch.
	for code, want := range map[uint64]Access{0x817: AccessWrite, 0x17: AccessRead, 0x80000007: AccessExecute} {
		f := frameCases[2]
		f.hw = map[string]uint64{"err": code, "crunch": 0, "magic": 0}
		uc, _ := f.ucontext(t, binary.LittleEndian)
		c, err := CrashFromLinux(ARM, nil, 1, 2, siginfo(ARM, binary.LittleEndian, 11, 0, 1, uint64(0x10)), uc, nil)
		if err != nil || c.Access != want || get32(false, c.Context[:]) != 0x40000002 {
			t.Errorf("arm %#x: %s, flags %#x, %v", code, c.Access, get32(false, c.Context[:]), err)
		}
		// Of a 32-bit program arm64 tells no fetch from a read.
		c, _ = CrashFromLinux(ARM, nil, 1, 2, siginfo(ARM, binary.LittleEndian, 11, 0, 1, c.PC), uc, nil)
		if at := max(want, AccessWrite); code == 0x17 && c.Access != AccessExecute || code != 0x17 && c.Access != at {
			t.Errorf("arm %#x at the PC: %s", code, c.Access)
		}
	}
	// A jump to nowhere, where the hardware's word is not in the frame.
	uc, r := frameCases[7].ucontext(t, binary.LittleEndian)
	c, _ := CrashFromLinux(RISCV64, nil, 1, 2, siginfo(RISCV64, binary.LittleEndian, 11, 0, 1, r.PC()), uc, nil)
	if c.Access != AccessExecute || c.Params[0] != 8 {
		t.Errorf("jump: %s", c.Access)
	}
}

// The LoongArch frame of a thread that has used vectors has those instead of plain floating-point registers.
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

// Chains of records that make no sense end.
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

func TestParseCrashContext(t *testing.T) {
	le := binary.LittleEndian
	build := func(a Arch, uc int, si []byte) []byte {
		var f frameCase
		for _, fc := range frameCases {
			if fc.arch == a {
				f = fc
			}
		}
		full, _ := f.ucontext(t, le)
		b := make([]byte, uc)
		copy(b, full)
		fp := pattern(512, 61)
		if a == ARM64 {
			fp = make([]byte, 528)
			le.PutUint32(fp, 0x46508001)
			le.PutUint32(fp[4:], 528)
		}
		b = append(append(b, fp...), si...)
		b = le.AppendUint32(b, 4711)
		b = le.AppendUint32(b, 4712)
		if a == ARM64 {
			b = append(b, make([]byte, 8)...)
		}
		return b
	}
	signalfd := func(signo, code int32, set map[int]uint32) []byte {
		b := make([]byte, 128)
		le.PutUint32(b, uint32(signo))
		le.PutUint32(b[8:], uint32(code))
		for off, v := range set {
			le.PutUint32(b[off:], v)
		}
		return b
	}
	for _, w := range []struct {
		name string
		arch Arch
		uc   int
		si   []byte
		addr uint64
		has  bool
		pid  int32
		uid  uint32
	}{
		{"siginfo bytes", AMD64, 968, siginfo(AMD64, le, 11, 0, 1, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
		{"signalfd_siginfo", AMD64, 968, signalfd(11, 1, map[int]uint32{72: 0xabcd000}), 0xabcd000, true, 0, 0},
		{"older ucontext", AMD64, 936, siginfo(AMD64, le, 11, 0, 1, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
		{"null pointer", AMD64, 968, siginfo(AMD64, le, 11, 0, 1, uint64(0)), 0, true, 0, 0},
		{"abort, siginfo bytes", AMD64, 968, siginfo(AMD64, le, 6, 0, SI_TKILL, int32(4711), int32(1000)), 0, false, 4711, 1000},
		{"abort, signalfd_siginfo", AMD64, 968, signalfd(6, SI_TKILL, map[int]uint32{12: 4711, 16: 1000}), 0, false, 4711, 1000},
		{"seccomp, siginfo bytes", AMD64, 968, siginfo(AMD64, le, 31, 0, 1, uint64(0x401000), int32(59), int32(62)), 0x401000, true, 0, 0},
		{"seccomp, signalfd_siginfo", AMD64, 968, signalfd(31, 1, map[int]uint32{84: 59, 88: 0x401000, 96: 62}), 0x401000, true, 0, 0},
		{"arm64", ARM64, 4560, siginfo(ARM64, le, 11, 0, 2, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
	} {
		c, err := ParseCrashContext(build(w.arch, w.uc, w.si))
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
			continue
		}
		if c.Arch != w.arch || c.PID != 4711 || c.TID != 4712 || c.Address != w.addr || c.HasAddress != w.has || c.SenderPID != w.pid ||
			c.SenderUID != w.uid || !c.HasContext || c.PC == 0 {
			t.Errorf("%s: %#x %v from %d %d, pid %d tid %d", w.name, c.Address, c.HasAddress, c.SenderPID, c.SenderUID, c.PID, c.TID)
		}
		if w.arch == AMD64 && (!bytes.Equal(c.Context[256:768], pattern(512, 61)) || le.Uint32(c.Context[48:]) != 0x10000b) {
			t.Errorf("%s: floating-point state", w.name)
		}
		if c.Signo == 31 && (c.Syscall != 59 || c.SyscallArch != 62) {
			t.Errorf("%s: syscall %d %d", w.name, c.Syscall, c.SyscallArch)
		}
	}
	for _, n := range []int{0, 1, 1615, 1617, 5224} {
		if _, err := ParseCrashContext(make([]byte, n)); !errors.Is(err, ErrCrashContext) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		arch      Arch
		sig, code int32
		want      string
	}{
		{AMD64, 11, 1, "SIGSEGV SEGV_MAPERR"}, {AMD64, 11, 2, "SIGSEGV SEGV_ACCERR"}, {AMD64, 11, 0x80, "SIGSEGV SI_KERNEL"},
		{AMD64, 11, 10, "SIGSEGV SEGV_CPERR"}, {AMD64, 11, 11, "SIGSEGV 11"}, {AMD64, 7, 1, "SIGBUS BUS_ADRALN"},
		{AMD64, 8, 1, "SIGFPE FPE_INTDIV"}, {AMD64, 8, 15, "SIGFPE FPE_CONDTRAP"}, {AMD64, 8, 9, "SIGFPE 9"},
		{AMD64, 4, 2, "SIGILL ILL_ILLOPN"}, {AMD64, 5, 6, "SIGTRAP TRAP_PERF"}, {AMD64, 31, 1, "SIGSYS SYS_SECCOMP"},
		{AMD64, 6, -6, "SIGABRT SI_TKILL"}, {AMD64, 17, 3, "SIGCHLD CLD_DUMPED"}, {AMD64, 29, 6, "SIGIO POLL_HUP"},
		{AMD64, 14, -2, "SIGALRM SI_TIMER"}, {AMD64, 34, -1, "SIG34 SI_QUEUE"}, {AMD64, 0, 0, "SIG0 SI_USER"},
		{AMD64, -7, 1, "SIG-7 EMT_TAGOVF"}, {AMD64, 30, -60, "SIGPWR SI_ASYNCNL"},
		{MIPS, 10, 2, "SIGBUS BUS_ADRERR"}, {MIPS, 7, 1, "SIGEMT EMT_TAGOVF"}, {MIPS64, 12, 1, "SIGSYS SYS_SECCOMP"},
		{MIPS, 16, 0, "SIGUSR1 SI_USER"}, {MIPS, 14, -3, "SIGALRM SI_TIMER"}, {MIPS, 14, -2, "SIGALRM SI_ASYNCIO"},
		{MIPS, 18, 1, "SIGCHLD CLD_EXITED"}, {MIPS, 127, 0, "SIG127 SI_USER"},
	} {
		if got := SignalNameArch(c.arch, c.sig) + " " + CodeNameArch(c.arch, c.sig, c.code); got != c.want {
			t.Errorf("%s %d %d: %s, want %s", c.arch, c.sig, c.code, got, c.want)
		}
	}
	if SignalName(9) != "SIGKILL" || CodeName(11, 1) != "SEGV_MAPERR" || AccessExecute.String() != "execute" {
		t.Error("plain names")
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
