package context

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

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
			lr := uint64(0)
			if name := map[Arch]string{ARM: "r14", ARM64: "x30", MIPS: "r31", MIPS64: "r31", PPC: "link", PPC64: "link", RISCV64: "x1",
				S390X: "r14", LOONG64: "r1"}[c.arch]; name != "" {
				lr = val(name)
			}
			if r.LR() != lr {
				t.Errorf("%s %s: link register %#x, want %#x", c.arch, o, r.LR(), lr)
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

	// The old 108-byte set is copied unchanged.
	r := archCases[0].regsets(t, binary.LittleEndian)
	r.FP = pattern(108, 50)
	dst := make([]byte, 716)
	r.Encode(dst)
	if !bytes.Equal(dst[28:136], r.FP) || get32(false, dst) != 0x1000f || !bytes.Equal(dst[204:], make([]byte, 512)) {
		t.Error("108-byte floating-point set")
	}
}

func TestNoAllocation(t *testing.T) {
	for _, c := range archCases {
		for _, o := range orders(c) {
			base := c.regsets(t, o)
			base.Debug = &[8]uint64{7: 1}
			if n := testing.AllocsPerRun(100, func() {
				// Everything is on the stack of the caller, as in a hot path: nothing may be moved to the heap.
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
