package context

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A layout of a test is a list of fields, "name:size", in the order of the structure; "x0..x28:8" is a run of them, and a
// name that begins with "-" is padding. They are written down here once more, from the kernel's and Breakpad's headers, so
// that a slip in the tables of the package shows.
type field struct {
	off, size int
}

func fields(t *testing.T, spec string) (map[string]field, int) {
	t.Helper()
	m := map[string]field{}
	off := 0
	for f := range strings.FieldsSeq(spec) {
		name, sz, ok := strings.Cut(f, ":")
		size, err := strconv.Atoi(sz)
		if !ok || err != nil {
			t.Fatalf("bad field %q", f)
		}
		names := []string{name}
		if first, last, ok := strings.Cut(name, ".."); ok {
			prefix := strings.TrimRight(first, "0123456789")
			lo, _ := strconv.Atoi(first[len(prefix):])
			hi, _ := strconv.Atoi(last[len(prefix):])
			names = nil
			for i := lo; i <= hi; i++ {
				names = append(names, fmt.Sprint(prefix, i))
			}
		}
		for _, n := range names {
			if !strings.HasPrefix(n, "-") {
				if _, dup := m[n]; dup {
					t.Fatalf("field %s twice", n)
				}
				m[n] = field{off, size}
			}
			off += size
		}
	}
	return m, off
}

type archCase struct {
	arch       Arch
	gp         string // the kernel's structure
	rec        string // the record
	fp         string // the floating-point set
	extra      string // the extra set
	flags      uint32 // all of them
	gpOnly     uint32 // flags without FP and Extra
	pc, sp, g  string
	registers  string // in the order of Registers
	bigCapable bool
}

const (
	x86Fpu = "fcw:2 fsw:2 ftw:1 -:1 fop:2 fip:4 fcs:2 -:2 fdp:4 fds:2 -:2 fmxcsr:4 fmask:4"
)

var archCases = []archCase{
	{
		arch: X86,
		gp: "ebx:4 ecx:4 edx:4 esi:4 edi:4 ebp:4 eax:4 ds:2 -:2 es:2 -:2 fs:2 -:2 gs:2 -:2 orig_eax:4 eip:4 cs:2 -:2 " +
			"eflags:4 esp:4 ss:2 -:2",
		rec: "flags:4 dr0:4 dr1:4 dr2:4 dr3:4 dr6:4 dr7:4 -fsave:108 -npx:4 gs:4 fs:4 es:4 ds:4 edi:4 esi:4 ebx:4 edx:4 " +
			"ecx:4 eax:4 ebp:4 eip:4 cs:4 eflags:4 esp:4 ss:4 " + x86Fpu + " st0..st7:16 xmm0..xmm7:16 -:224",
		fp:    x86Fpu + " st0..st7:16 xmm0..xmm7:16 -:224",
		flags: 0x1002f, gpOnly: 0x10007,
		pc: "eip", sp: "esp",
		registers: "eax ecx edx ebx esp ebp esi edi eip",
	},
	{
		arch: AMD64,
		gp: "r15:8 r14:8 r13:8 r12:8 rbp:8 rbx:8 r11:8 r10:8 r9:8 r8:8 rax:8 rcx:8 rdx:8 rsi:8 rdi:8 orig_rax:8 rip:8 " +
			"cs:2 -:6 eflags:4 -:4 rsp:8 ss:2 -:6 fs_base:8 gs_base:8 ds:2 -:6 es:2 -:6 fs:2 -:6 gs:2 -:6",
		rec: "p1:8 p2:8 p3:8 p4:8 p5:8 p6:8 flags:4 mxcsr:4 cs:2 ds:2 es:2 fs:2 gs:2 ss:2 eflags:4 dr0:8 dr1:8 dr2:8 dr3:8 " +
			"dr6:8 dr7:8 rax:8 rcx:8 rdx:8 rbx:8 rsp:8 rbp:8 rsi:8 rdi:8 r8..r15:8 rip:8 " +
			"fcw:2 fsw:2 ftw:1 -:1 fop:2 fip:8 fdp:8 fmxcsr:4 fmask:4 st0..st7:16 xmm0..xmm15:16 -:96 -vr:416 vc:8 dc:8 -:32",
		fp:    "fcw:2 fsw:2 ftw:1 -:1 fop:2 fip:8 fdp:8 fmxcsr:4 fmask:4 st0..st7:16 xmm0..xmm15:16 -:96",
		flags: 0x10000f, gpOnly: 0x100007,
		pc: "rip", sp: "rsp",
		registers: "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip",
	},
	{
		arch:  ARM,
		gp:    "r0..r15:4 cpsr:4 orig_r0:4",
		rec:   "flags:4 r0..r15:4 cpsr:4 fpscr:8 d0..d31:8 -extra:32",
		fp:    "d0..d31:8 fpscr:4",
		flags: 0x40000006, gpOnly: 0x40000002,
		pc: "r15", sp: "r13", g: "r10", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15",
	},
	{
		arch:  ARM64,
		gp:    "x0..x30:8 sp:8 pc:8 cpsr:4 -:4",
		rec:   "flags:4 cpsr:4 x0..x30:8 sp:8 pc:8 v0..v31:16 fpcr:4 fpsr:4 -:32 -:64 -:8 -:16",
		fp:    "v0..v31:16 fpsr:4 fpcr:4 -:8",
		flags: 0x400007, gpOnly: 0x400003,
		pc: "pc", sp: "sp", g: "x28",
		registers: "x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 " +
			"x28 x29 x30 sp pc",
	},
	{
		arch: MIPS,
		gp:   "-pad0:4 -:4 -:4 -:4 -:4 -:4 r0..r31:4 lo:4 hi:4 epc:4 bad:4 status:4 cause:4 unused:4",
		rec: "flags:4 -:4 r0..r31:8 hi:8 lo:8 hi1:4 hi2:4 hi3:4 lo1:4 lo2:4 lo3:4 dspc:4 -:4 epc:8 bad:8 status:4 cause:4 " +
			"f0..f31:8 fcsr:4 fir:4",
		fp:    "f0..f31:8 fcsr:4 fir:4",
		extra: "hi1:4 lo1:4 hi2:4 lo2:4 hi3:4 lo3:4 dspc:4",
		flags: 0x4000e, gpOnly: 0x40002,
		pc: "epc", sp: "r29", g: "r30", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 " +
			"r29 r30 r31 epc",
	},
	{
		arch: MIPS64,
		gp:   "r0..r31:8 lo:8 hi:8 epc:8 bad:8 status:8 cause:8 -:56",
		rec: "flags:4 -:4 r0..r31:8 hi:8 lo:8 hi1:4 hi2:4 hi3:4 lo1:4 lo2:4 lo3:4 dspc:4 -:4 epc:8 bad:8 status:4 cause:4 " +
			"f0..f31:8 fcsr:4 fir:4",
		fp:    "f0..f31:8 fcsr:4 fir:4",
		extra: "hi1:8 lo1:8 hi2:8 lo2:8 hi3:8 lo3:8 dspc:8",
		flags: 0x8000e, gpOnly: 0x80002,
		pc: "epc", sp: "r29", g: "r30", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 " +
			"r29 r30 r31 epc",
	},
	{
		arch: PPC64,
		gp: "r0..r31:8 nip:8 msr:8 orig_gpr3:8 ctr:8 link:8 xer:8 ccr:8 softe:8 trap:8 dar:8 dsisr:8 result:8 dscr:8 " +
			"-:24",
		rec: "flags:8 nip:8 msr:8 r0..r31:8 ccr:8 xer:8 link:8 ctr:8 vrsave:8 f0..f31:8 -:4 fpscr:4 vr0..vr31:16 vscr:16 " +
			"-:16 vrvalid:4 -:28",
		fp:    "f0..f31:8 fpscr:8",
		extra: "vr0..vr31:16 vscr:16 vrsave:4 -:12",
		flags: 0x01000029, gpOnly: 0x01000001,
		pc: "nip", sp: "r1", g: "r30", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 " +
			"r29 r30 r31 nip link ctr",
	},
	{
		arch:  RISCV64,
		gp:    "pc:8 x1..x31:8",
		rec:   "flags:4 version:4 pc:8 x1..x31:8 f0..f31:8 fcsr:4 -:4",
		fp:    "f0..f31:8 fcsr:4 -:4",
		flags: 0x08000003, gpOnly: 0x08000001,
		pc: "pc", sp: "x2", g: "x27",
		registers: "x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 " +
			"x29 x30 x31 pc",
	},
	{
		arch: S390X,
		gp:   "mask:8 addr:8 r0..r15:8 a0..a15:4 orig_gpr2:8",
		rec: "flags:4 version:4 mask:8 addr:8 r0..r15:8 a0..a15:4 orig_gpr2:8 fpc:4 -:4 f0..f15:8 vl0..vl15:8 " +
			"v16..v31:16",
		fp:    "fpc:4 -:4 f0..f15:8",
		extra: "vl0..vl15:8 v16..v31:16",
		flags: 0x0200000f, gpOnly: 0x02000003,
		pc: "addr", sp: "r15", g: "r13", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 addr",
	},
	{
		arch:  LOONG64,
		gp:    "r0..r31:8 orig_a0:8 era:8 badv:8 -:80",
		rec:   "flags:4 version:4 r0..r31:8 era:8 f0..f31:8 fcc:8 fcsr:4 -:4 badv:8",
		fp:    "f0..f31:8 fcc:8 fcsr:4 -:4",
		flags: 0x04000006, gpOnly: 0x04000002,
		pc: "era", sp: "r3", g: "r22",
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 " +
			"r29 r30 r31 era",
	},
}

// pattern fills a set with bytes that are all different nearby, so that a value read at a wrong place is a wrong value.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i)*7 + byte(i>>8)*31
	}
	return b
}

func orders(c archCase) []binary.ByteOrder {
	if c.arch == S390X {
		return []binary.ByteOrder{binary.BigEndian}
	}
	if c.bigCapable {
		return []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}
	}
	return []binary.ByteOrder{binary.LittleEndian}
}

func (c archCase) regsets(t *testing.T, o binary.ByteOrder) Regsets {
	_, gpSize := fields(t, c.gp)
	_, fpSize := fields(t, c.fp)
	_, extraSize := fields(t, c.extra)
	r := Regsets{Arch: c.arch, Order: o, GP: pattern(gpSize, 1), FP: pattern(fpSize, 99)}
	if extraSize > 0 {
		r.Extra = pattern(extraSize, 200)
	}
	return r
}

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

// expect builds the record field by field out of the test's own layouts.
func (c archCase) expect(t *testing.T, r Regsets, flags uint32) []byte {
	gpF, _ := fields(t, c.gp)
	recF, recSize := fields(t, c.rec)
	fpF, _ := fields(t, c.fp)
	exF, _ := fields(t, c.extra)
	want := make([]byte, recSize)
	put := func(f field, set []byte, s field) {
		if f.size == s.size || f.size > 8 {
			copy(want[f.off:f.off+f.size], set[s.off:s.off+s.size])
			return
		}
		v := getN(isBig(r.Order), set, s.off, s.size)
		putN(isBig(r.Order), want, f.off, f.size, v)
	}
	for name, f := range recF {
		if s, ok := gpF[name]; ok {
			put(f, r.GP, s)
		} else if s, ok := fpF[name]; ok {
			if r.FP != nil {
				put(f, r.FP, s)
			}
		} else if s, ok := exF[name]; ok {
			if r.Extra != nil {
				put(f, r.Extra, s)
			}
		} else if name == "flags" {
			putN(isBig(r.Order), want, f.off, f.size, uint64(flags))
		} else if name == "version" {
			putN(isBig(r.Order), want, f.off, f.size, 1)
		} else if name == "vrvalid" && r.Extra != nil {
			putN(isBig(r.Order), want, f.off, f.size, 0xffffffff)
		} else if name == "mxcsr" && r.FP != nil {
			put(f, r.FP, fpF["fmxcsr"])
		}
	}
	if c.arch == X86 && r.FP != nil {
		fsaveOfFxsave(want[28:136], r.FP) // checked by TestFsave
		copy(want[204:], r.FP)            // with the bytes that have no name
	}
	if c.arch == AMD64 && r.FP != nil {
		copy(want[256:], r.FP)
	}
	return want
}

func TestEncode(t *testing.T) {
	for _, c := range archCases {
		for _, o := range orders(c) {
			t.Run(fmt.Sprint(c.arch, "/", o), func(t *testing.T) {
				r := c.regsets(t, o)
				dst := bytes.Repeat([]byte{0xee}, MaxContextSize+8)
				n := r.Encode(dst)
				compare(t, c, dst[:n], c.expect(t, r, c.flags))
				if !bytes.Equal(dst[n:], bytes.Repeat([]byte{0xee}, len(dst)-n)) {
					t.Error("wrote beyond the record")
				}

				r.FP, r.Extra = nil, nil
				n = r.Encode(dst)
				compare(t, c, dst[:n], c.expect(t, r, c.gpOnly))

				if r.Encode(dst[:c.arch.ContextSize()-1]) != 0 {
					t.Error("encoded into too little room")
				}
				r.GP = r.GP[:len(r.GP)-1]
				if r.Encode(dst) != 0 || r.PC() != 0 || r.SP() != 0 || r.Registers(make([]uint64, 40)) != 0 {
					t.Error("took registers out of a set that is too short")
				}
			})
		}
	}
}

func compare(t *testing.T, c archCase, got, want []byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("length %d, want %d", len(got), len(want))
	}
	recF, _ := fields(t, c.rec)
	for name, f := range recF {
		if !bytes.Equal(got[f.off:f.off+f.size], want[f.off:f.off+f.size]) {
			t.Errorf("%s at %d: % x, want % x", name, f.off, got[f.off:f.off+f.size], want[f.off:f.off+f.size])
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("records differ")
	}
}

func TestPCSPRegisters(t *testing.T) {
	for _, c := range archCases {
		for _, o := range orders(c) {
			gpF, _ := fields(t, c.gp)
			r := c.regsets(t, o)
			val := func(name string) uint64 {
				f, ok := gpF[name]
				if !ok {
					t.Fatalf("%s: no %q", c.arch, name)
				}
				if f.size == 4 {
					return uint64(o.Uint32(r.GP[f.off:]))
				}
				return o.Uint64(r.GP[f.off:])
			}
			if r.PC() != val(c.pc) || r.SP() != val(c.sp) {
				t.Errorf("%s %s: PC %#x SP %#x, want %#x %#x", c.arch, o, r.PC(), r.SP(), val(c.pc), val(c.sp))
			}
			g, fs := r.GoG()
			switch {
			case c.arch == AMD64:
				if g != val("fs_base")-8 || !fs {
					t.Errorf("amd64: g at %#x, %v", g, fs)
				}
			case c.g == "":
				if g != 0 || fs {
					t.Errorf("%s: g %#x, want none", c.arch, g)
				}
			default:
				if g != val(c.g) || fs {
					t.Errorf("%s %s: g %#x, want %#x", c.arch, o, g, val(c.g))
				}
			}
			out := make([]uint64, MaxRegisters)
			n := r.Registers(out)
			var want []uint64
			for name := range strings.FieldsSeq(c.registers) {
				want = append(want, val(name))
			}
			if fmt.Sprint(out[:n]) != fmt.Sprint(want) {
				t.Errorf("%s %s: registers\n%x, want\n%x", c.arch, o, out[:n], want)
			}
			if got := r.Registers(out[:3]); got != 3 {
				t.Errorf("%s: %d registers in room for 3", c.arch, got)
			}
		}
	}
	r := Regsets{Arch: AMD64, GP: make([]byte, 216)}
	if g, fs := r.GoG(); g != 0 || fs {
		t.Error("a thread without FS base has a g")
	}
	r = Regsets{}
	if g, _ := r.GoG(); g != 0 || r.PC() != 0 || r.Encode(make([]byte, 2000)) != 0 {
		t.Error("registers of no architecture")
	}
}

func TestDebugRegisters(t *testing.T) {
	dr := [8]uint64{0x1000000000001, 0x2000000000002, 3, 4, 5, 6, 0xffff0ff0, 0x401}
	for _, c := range archCases[:2] {
		r := c.regsets(t, binary.LittleEndian)
		r.Debug = &dr
		dst := make([]byte, MaxContextSize)
		r.Encode(dst)
		recF, _ := fields(t, c.rec)
		if get32(false, dst[recF["flags"].off:]) != c.flags|0x10 {
			t.Errorf("%s: flags %#x", c.arch, get32(false, dst[recF["flags"].off:]))
		}
		for _, i := range []int{0, 1, 2, 3, 6, 7} {
			f := recF[fmt.Sprint("dr", i)]
			want := dr[i]
			if f.size == 4 {
				want &= 0xffffffff
			}
			if got := getN(false, dst, f.off, f.size); got != want {
				t.Errorf("%s dr%d: %#x", c.arch, i, got)
			}
		}
	}
}

func TestFsave(t *testing.T) {
	fx := make([]byte, 512)
	le := binary.LittleEndian
	le.PutUint16(fx[0:], 0x037f)
	le.PutUint16(fx[2:], 6<<11|0x41) // top of stack is physical register 6: st0 = r6, st1 = r7, st2 = r0, st3 = r1
	fx[4] = 0b11000011               // r7 r6 r1 r0 in use
	le.PutUint16(fx[6:], 0x123)
	le.PutUint32(fx[8:], 0x08041234)
	le.PutUint16(fx[12:], 0x23)
	le.PutUint32(fx[16:], 0x0804aaaa)
	le.PutUint16(fx[20:], 0x2b)
	st := func(i int, exp uint16, frac uint64) {
		le.PutUint64(fx[32+16*i:], frac)
		le.PutUint16(fx[32+16*i+8:], exp)
	}
	st(0, 0x3fff, 1<<63)   // 1.0: valid, r6
	st(1, 0x8000, 0)       // -0: zero, r7
	st(2, 0xffff, 1<<63)   // -inf: special, r0
	st(3, 0x3fff, 1)       // unnormal: special, r1
	st(4, 0x3fff, 1<<63|5) // not in use
	got := make([]byte, 108)
	fsaveOfFxsave(got, fx)
	want := make([]byte, 108)
	le.PutUint32(want[0:], 0x037f)
	le.PutUint32(want[4:], 6<<11|0x41)
	le.PutUint32(want[8:], 1<<14|0<<12|3<<10|3<<8|3<<6|3<<4|2<<2|2)
	le.PutUint32(want[12:], 0x08041234)
	le.PutUint32(want[16:], 0x01230023)
	le.PutUint32(want[20:], 0x0804aaaa)
	le.PutUint32(want[24:], 0x2b)
	for i := range 8 {
		copy(want[28+10*i:38+10*i], fx[32+16*i:])
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  % x\nwant % x", got, want)
	}

	// The old 108-byte set goes in as it is.
	r := archCases[0].regsets(t, binary.LittleEndian)
	r.FP = pattern(108, 50)
	dst := make([]byte, 716)
	r.Encode(dst)
	if !bytes.Equal(dst[28:136], r.FP) || get32(false, dst) != 0x1000f || !bytes.Equal(dst[204:], make([]byte, 512)) {
		t.Error("108-byte floating-point set")
	}
}

func TestArchOf(t *testing.T) {
	for _, c := range []struct {
		machine uint16
		class64 bool
		want    Arch
	}{
		{3, false, X86}, {62, true, AMD64}, {62, false, AMD64}, {40, false, ARM}, {183, true, ARM64}, {8, false, MIPS},
		{8, true, MIPS64}, {21, true, PPC64}, {20, false, ArchUnknown}, {243, true, RISCV64}, {243, false, ArchUnknown},
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
		{PPC64, 384, PPC64}, {PPC64, 192, ArchUnknown}, {S390X, 216, S390X}, {S390X, 144, ArchUnknown}, {RISCV64, 128, ArchUnknown},
		{X86, 68, X86}, {X86, 216, ArchUnknown}, {ARM64, 0, ArchUnknown}, {PPC64, 0, ArchUnknown}, {ArchUnknown, 0, ArchUnknown},
	} {
		if got := ArchOfRegset(c.native, c.n); got != c.want {
			t.Errorf("ArchOfRegset(%s, %d) = %s", c.native, c.n, got)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, c := range archCases {
		for _, o := range orders(c) {
			base := c.regsets(t, o)
			base.Debug = &[8]uint64{7: 1}
			if n := testing.AllocsPerRun(100, func() {
				// All on the stack of the caller, as a hot path may have it: nothing may be forced to the heap.
				var dst [MaxContextSize]byte
				var out [MaxRegisters]uint64
				r := base
				if r.Encode(dst[:]) == 0 || r.Registers(out[:]) == 0 || r.PC() == 0 || r.SP() == 0 {
					t.Fatal("nothing")
				}
				r.GoG()
			}); n != 0 {
				t.Errorf("%s: %v allocations", c.arch, n)
			}
		}
	}
}

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

// What each architecture's convention calls frame pointer and return address.
func TestDecodeRoles(t *testing.T) {
	for _, c := range []struct {
		arch           Arch
		pc, sp, fp, lr string
	}{
		{X86, "eip", "esp", "ebp", ""}, {AMD64, "rip", "rsp", "rbp", ""}, {ARM, "pc", "sp", "fp", "lr"}, {ARM64, "pc", "sp", "fp", "lr"},
		{MIPS, "pc", "sp", "fp", "ra"}, {MIPS64, "pc", "sp", "fp", "ra"}, {PPC64, "pc", "r1", "", "lr"}, {RISCV64, "pc", "sp", "s0", "ra"},
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
