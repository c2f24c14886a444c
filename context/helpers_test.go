package context

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A layout of a test is a list of fields, "name:size", in the order of the structure; "x0..x28:8" is a run of fields, and a name
// that begins with "-" is padding. The layouts are repeated here from the kernel's and Breakpad's headers, so that a mistake in
// the tables of the package is found.
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
		arch: PPC,
		gp:   "r0..r31:4 nip:4 msr:4 orig_gpr3:4 ctr:4 link:4 xer:4 ccr:4 softe:4 trap:4 dar:4 dsisr:4 result:4 -:16",
		rec: "flags:4 nip:4 msr:4 r0..r31:4 ccr:4 xer:4 link:4 ctr:4 -mq:4 vrsave:4 f0..f31:8 -:4 fpscr:4 vr0..vr31:16 vscr:16 " +
			"-:16 vrvalid:4 -:28",
		fp:    "f0..f31:8 fpscr:8",
		extra: "vr0..vr31:16 vscr:16 vrsave:4 -:12",
		flags: 0x20000029, gpOnly: 0x20000001,
		pc: "nip", sp: "r1", bigCapable: true,
		registers: "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22 r23 r24 r25 r26 r27 r28 " +
			"r29 r30 r31 nip link ctr",
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

// pattern returns a set of bytes that differ from all bytes nearby, so that reading at a wrong offset results in a wrong value.
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

// expect builds the record field by field from the test's own infos.
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
		copy(want[204:], r.FP)            // including the bytes that have no name
	}
	if c.arch == AMD64 && r.FP != nil {
		copy(want[256:], r.FP)
	}
	return want
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

// siginfo builds a siginfo_t of a: the three numbers in their places, then the words and half-words of the union as passed.
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

// A frameCase describes the kernel's ucontext in the same form as archCases: names as in the gp of the archCase, and more.
type frameCase struct {
	arch  Arch
	uc    string
	hw    map[string]uint64 // fields with a value of their own
	flags uint32
	none  string // registers of the record that are not in a frame
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
		arch: PPC,
		uc: "-flags:4 -link:4 -stack:12 -:28 regs:4 -sigmask:128 -:12 " +
			"r0..r31:4 nip:4 msr:4 orig_gpr3:4 ctr:4 link:4 xer:4 ccr:4 softe:4 trapno:4 cr2:4 err:4 result:4 -:16 " +
			"f0..f31:8 fpscr:8 -:8 vr0..vr31:16 vscr:16 -vsx:256",
		hw:    map[string]uint64{"err": 0x42000000, "trapno": 0x301, "cr2": 0x1234, "msr": 1 << 25},
		flags: 0x20000029,
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

func frameCaseOf(t *testing.T, a Arch) frameCase {
	for _, c := range frameCases {
		if c.arch == a {
			return c
		}
	}
	t.Fatal(a)
	return frameCase{}
}

// ucontext returns the bytes of a frame, and the register sets with the same values.
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
	if f.arch == PPC { // vrsave shares the 16 bytes of vscr, as their first word
		exF, _ := fields(t, ac.extra)
		vscr := r.Extra[exF["vscr"].off:]
		copy(r.Extra[exF["vrsave"].off:], vscr[:4])
		clear(vscr[:4])
	}
	return uc, r
}
