package darwin

import (
	"bytes"
	"strings"
	"testing"

	"minidump/context"
	"minidump/mach"
	"minidump/stream"
)

// TestAMD64 checks that the context record made by package context has each register in its place.
func TestAMD64(t *testing.T) {
	s := mach.X86ThreadState64{
		RAX: 1, RBX: 2, RCX: 3, RDX: 4, RDI: 5, RSI: 6, RBP: 7, RSP: 8, R8: 9, R9: 10, R10: 11, R11: 12, R12: 13,
		R13: 14, R14: 15, R15: 16,
		RIP: 17, RFLAGS: 0x10246, CS: 0x2b, FS: 0x1, GS: 0x3,
	}
	var gp [amd64GPSize]byte
	putAMD64(gp[:], &s)
	fp := make([]byte, amd64FPSize)
	fp[0], fp[1], fp[160] = 0x7f, 0x03, 0xaa // control word, xmm0
	r := context.Regsets{Arch: context.AMD64, Order: order, GP: gp[:], FP: fp}
	rec := make([]byte, context.AMD64.ContextSize())
	r.Encode(rec)
	// MINIDUMP_CONTEXT_AMD64 of Breakpad's minidump_cpu_amd64.h.
	for at, want := range map[int]uint64{
		0x78: 1, 0x90: 2, 0x80: 3, 0x88: 4, 0xb0: 5, 0xa8: 6, 0xa0: 7, 0x98: 8, 0xb8: 9, 0xc0: 10, 0xc8: 11, 0xd0: 12,
		0xd8: 13, 0xe0: 14, 0xe8: 15,
		0xf0: 16, 0xf8: 17,
	} {
		if got := order.Uint64(rec[at:]); got != want {
			t.Errorf("at %#x: %d, want %d", at, got, want)
		}
	}
	if got := order.Uint32(rec[0x44:]); got != 0x10246 {
		t.Errorf("eflags %#x", got)
	}
	for at, want := range map[int]uint16{0x38: 0x2b, 0x3e: 0x1, 0x40: 0x3} {
		if got := order.Uint16(rec[at:]); got != want {
			t.Errorf("segment at %#x: %#x, want %#x", at, got, want)
		}
	}
	if rec[0x100] != 0x7f || rec[0x1a0] != 0xaa {
		t.Error("floating-point state")
	}
}

func TestARM64(t *testing.T) {
	var s mach.ARMThreadState64
	for i := range s.X {
		s.X[i] = uint64(100 + i)
	}
	s.FP, s.LR, s.SP, s.PC, s.CPSR = 129, 130, 131, 132, 0x60001000
	var n mach.ARMNeonState64
	n.V[0][0], n.V[31][15], n.FPSR, n.FPCR = 1, 2, 3, 4
	var gp [arm64GPSize]byte
	var fp [arm64FPSize]byte
	putARM64(gp[:], &s)
	putNeon(fp[:], &n)
	r := context.Regsets{Arch: context.ARM64, Order: order, GP: gp[:], FP: fp[:]}
	rec := make([]byte, context.ARM64.ContextSize())
	r.Encode(rec)
	c, err := context.Decode(context.ARM64, rec, order)
	if err != nil {
		t.Fatal(err)
	}
	if c.PC != 132 || c.SP != 131 {
		t.Errorf("pc %d, sp %d", c.PC, c.SP)
	}
	if !bytes.Contains(rec, []byte{100, 0, 0, 0, 0, 0, 0, 0, 101, 0}) ||
		!bytes.Contains(rec, []byte{4, 0, 0, 0, 3, 0, 0, 0}) {
		t.Error("registers")
	}
}

func TestImageList(t *testing.T) {
	b := make([]byte, imageInfosSize15)
	order.PutUint32(b, 17)
	order.PutUint32(b[4:], 3)
	order.PutUint64(b[8:], 0x1234)
	order.PutUint64(b[32:], 0x5678)
	order.PutUint64(b[192:], 0x9abc)
	var l imageList
	if !l.get(b) || l.count != 3 || l.array != 0x1234 || l.dyld != 0x5678 || l.path != 0x9abc || l.more {
		t.Errorf("%+v", l)
	}
	if !l.get(b[:imageInfosSize]) || l.dyld != 0x5678 || l.path != 0 {
		t.Errorf("a short one: %+v", l)
	}
	if l.get(b[:imageInfosSize-1]) {
		t.Error("a shorter one")
	}
	order.PutUint32(b[4:], 1<<31)
	if !l.get(b) || l.count != maxImages || !l.more {
		t.Errorf("a long one: %+v", l)
	}
	order.PutUint32(b, 1)
	if l.get(b) {
		t.Error("version 1, which has no dyldImageLoadAddress")
	}
	entries := make([]byte, 2*imageInfoSize)
	order.PutUint64(entries[24:], 7)
	order.PutUint64(entries[32:], 8)
	if got := imageAt(entries, 1); got != (imageInfo{7, 8}) {
		t.Errorf("%+v", got)
	}
}

func TestCrashInfo(t *testing.T) {
	a := annotation{thread: 7, dialogMode: 1, abortCause: 2,
		texts: [5][]byte{[]byte("/usr/lib/x"), []byte("message"), nil, []byte("trace"), []byte("second")}}
	if a.empty() || !(&annotation{texts: [5][]byte{[]byte("/usr/lib/x")}}).empty() {
		t.Error("empty")
	}
	b := make([]byte, a.size())
	a.put(b)
	want := "\x01\x00\x7a\x4d\x00\x00\x00\x00" + "\x05\x00\x00\x00\x00\x00\x00\x00" +
		"\x07\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x00\x00\x00\x00\x00\x00\x00" + "/usr/lib/x\x00message\x00\x00trace\x00second\x00"
	if string(b) != want {
		t.Errorf("record %q", b)
	}
	long := annotation{texts: [5][]byte{1: bytes.Repeat([]byte("x"), 20000)}}
	b = make([]byte, long.size())
	long.put(b)
	if len(b) != crashInfoRecord+1+8192+3 || strings.Count(string(b), "x") != 8191 || b[len(b)-1] != 0 {
		t.Errorf("a long text: %d bytes", len(b))
	}

	var head [crashInfoHeader]byte
	head[170] = 0xff
	putCrashInfoHeader(head[:], []uint32{172, 200, 250})
	for at, want := range map[int]uint32{0: 0x4d7a0001, 4: 2, 8: 40, 12: 28, 16: 172, 20: 50, 24: 200, 28: 0, 168: 0} {
		if got := order.Uint32(head[at:]); got != want {
			t.Errorf("header at %d: %d, want %d", at, got, want)
		}
	}
}

func TestSystem(t *testing.T) {
	f := facts{cpus: 300, family: 6, model: 85, stepping: 7, signature: 0x50657, features: 0x7ffefbbfbfebfbff,
		extended: 0x2c100800, cpuFamily: 0x17d5b93a}
	copy(f.vendor[:], "GenuineIntel")
	f.productLen = copy(f.product[:], "15.4.1")
	got := f.system(false, false)
	if want := (stream.SystemInfo{ProcessorArchitecture: 9, ProcessorLevel: 6, ProcessorRevision: 0x5507,
		NumberOfProcessors: 255, ProductType: 1,
		MajorVersion: 15, MinorVersion: 4, BuildNumber: 1, PlatformID: 0x8101}); got != want {
		t.Errorf("%+v", got)
	}
	if c := f.x86(); string(c.VendorID[:]) != "GenuineIntel" || c.VersionInformation != 0x50657 ||
		c.FeatureInformation != 0xbfebfbff || c.AMDExtendedCPUFeatures != 0 {
		t.Errorf("%+v", c)
	}
	got = f.system(true, true)
	if got.ProcessorArchitecture != 12 || got.ProcessorLevel != 0x17d5 || got.ProcessorRevision != 0xb93a ||
		got.PlatformID != 0x8102 {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string][3]uint32{"": {}, "26": {26}, "10.15": {10, 15}, "15.4.1.9": {15, 4, 1}, "x": {},
		"14.x": {14}} {
		if a, b, c := version([]byte(text)); [3]uint32{a, b, c} != want {
			t.Errorf("%q: %d %d %d", text, a, b, c)
		}
	}
	if megahertz(3200000000) != 3200 || megahertz(0) != 0 {
		t.Error("megahertz")
	}
}

func TestDescribe(t *testing.T) {
	for what, c := range map[string]struct {
		kind          mach.ExceptionType
		code, subcode uint64
		codes         int
		want          exception
	}{
		"fault": {mach.EXC_BAD_ACCESS, 1, 0x41, 2,
			exception{code: 1, flags: 1, address: 0x41, hasAddress: true, nparams: 3, params: [3]uint64{1, 1, 0x41}}},
		"fault, one code": {mach.EXC_BAD_ACCESS, 13, 0, 1,
			exception{code: 1, flags: 13, nparams: 2, params: [3]uint64{1, 13, 0}}},
		"breakpoint": {mach.EXC_BREAKPOINT, 2, 0x1000, 2,
			exception{code: 6, flags: 2, nparams: 3, params: [3]uint64{6, 2, 0x1000}}},
		"crash by a fault": {mach.EXC_CRASH, 11<<24 | 1<<20 | 1, 0x41, 2,
			exception{code: 1, flags: 1, address: 0x41, hasAddress: true, nparams: 3,
				params: [3]uint64{10, 0xb100001, 0x41}}},
		"abort": {mach.EXC_CRASH, 6 << 24, 0, 2,
			exception{code: 5, flags: 0x10002, nparams: 3, params: [3]uint64{10, 6 << 24, 6}}},
		"another signal": {mach.EXC_CRASH, 15 << 24, 0, 2,
			exception{code: 5, flags: 0x10003, nparams: 3, params: [3]uint64{10, 15 << 24, 15}}},
		"not of that form": {mach.EXC_CRASH, 12 << 20, 5, 2,
			exception{code: 10, flags: 12 << 20, nparams: 3, params: [3]uint64{10, 12 << 20, 5}}},
		"guard": {mach.EXC_GUARD, 2<<61 | 1<<32 | 7, 9, 2,
			exception{code: 12, flags: 0x40000001, nparams: 3, params: [3]uint64{12, 2<<61 | 1<<32 | 7, 9}}},
		"resource": {mach.EXC_RESOURCE, 1<<61 | 2<<58, 0, 2,
			exception{code: 11, flags: 0x28000000, nparams: 3, params: [3]uint64{11, 1<<61 | 2<<58, 0}}},
	} {
		if got := describe(c.kind, c.code, c.subcode, c.codes); got != c.want {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
}
