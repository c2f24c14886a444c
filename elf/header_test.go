package elf

import (
	"bytes"
	"math"
	"testing"
)

func TestParseHeaderKinds(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := synth{class: k.class, order: k.order, typ: ET_DYN, machine: EM_ARM, shoff: 0x400,
				progs:    []Prog{{PT_LOAD, PF_R | PF_X, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60}, {Type: PT_NOTE, Vaddr: 0x88}},
				sections: []Section{{Name: 1, Type: SHT_NOTE, Flags: 2, Addr: 3, Off: 4, Size: 5, Link: 6, Info: 7, Align: 8, Entsize: 9}}}
			b := s.bytes()
			h, ok := ParseHeader(b)
			want := Header{Class: k.class, Order: k.order, OSABI: 3, Type: ET_DYN, Machine: EM_ARM, Entry: 0x1234,
				Phoff: uint64(h.HeaderSize()), Shoff: 0x400, Flags: 0xdeadbeef, Phentsize: 32, Phnum: 2, Shentsize: 40, Shnum: 2}
			if k.class == Class64 {
				want.Phentsize, want.Shentsize = 56, 64
			}
			if !ok || h != want {
				t.Fatalf("header %+v %v\nwant   %+v", h, ok, want)
			}
			for i, p := range s.progs {
				if got, ok := h.Prog(b[h.Phoff:][:h.ProgTableSize()], i); !ok || got != p {
					t.Errorf("program header %d: %+v %v, want %+v", i, got, ok, p)
				}
			}
			if got, ok := h.Section(b[h.Shoff:], 1); !ok || got != s.sections[0] {
				t.Errorf("section header: %+v %v, want %+v", got, ok, s.sections[0])
			}
			if _, ok := ParseHeader(b[:h.HeaderSize()]); !ok {
				t.Error("a header of exactly its size is refused")
			}
			for n := 0; n < h.HeaderSize(); n++ {
				if _, ok := ParseHeader(b[:n:n]); ok {
					t.Errorf("%d bytes are a header", n)
				}
			}
		})
	}
}

func TestParseHeaderNonsense(t *testing.T) {
	good := (&synth{class: Class64, order: kinds[0].order, typ: ET_EXEC}).bytes()
	for _, c := range []struct {
		at   int
		to   byte
		what string
	}{{0, 'E', "magic"}, {3, 'f', "magic"}, {4, 0, "class"}, {4, 3, "class"}, {5, 0, "byte order"}, {5, 3, "byte order"},
		{6, 0, "EI_VERSION"}, {20, 2, "e_version"}, {5, 2, "e_version in the other order"}} {
		b := bytes.Clone(good)
		b[c.at] = c.to
		if h, ok := ParseHeader(b); ok {
			t.Errorf("byte %d = %d (%s) is accepted: %+v", c.at, c.to, c.what, h)
		}
	}
	if _, ok := ParseHeader(good); !ok {
		t.Error("the good one is refused")
	}
}

func TestTableBounds(t *testing.T) {
	h := Header{Class: Class64, Order: kinds[0].order, Phoff: 64, Phentsize: 56, Phnum: PN_XNUM}
	if n := h.ProgTableSize(); n > MaxProgTable || n < MaxProgTable-56 || n%56 != 0 {
		t.Errorf("the table of PN_XNUM entries has %d bytes", n)
	}
	for _, size := range []uint16{0, 1, 55, 2000, 0xffff} {
		h.Phentsize = size
		if n := h.ProgTableSize(); n != 0 {
			t.Errorf("e_phentsize %d: a table of %d bytes", size, n)
		}
		if _, ok := h.Prog(make([]byte, 4096), 0); ok {
			t.Errorf("e_phentsize %d: an entry", size)
		}
	}
	h.Phentsize, h.Phoff, h.Phnum = 56, 0, 3
	if n := h.ProgTableSize(); n != 0 {
		t.Errorf("e_phoff 0: a table of %d bytes", n)
	}
	// Entries may be larger than this package expects.
	h.Phentsize = 64
	b := make([]byte, 128)
	b[64] = PT_NOTE
	if p, ok := h.Prog(b, 1); !ok || p.Type != PT_NOTE {
		t.Errorf("wide entries: %+v %v", p, ok)
	}
	for _, i := range []int{-1, 2, math.MaxInt, math.MinInt} {
		if _, ok := h.Prog(b, i); ok {
			t.Errorf("entry %d", i)
		}
		if _, ok := h.Section(b, i); ok {
			t.Errorf("section %d", i)
		}
	}
}

func TestExtended(t *testing.T) {
	h := Header{Class: Class64, Phnum: PN_XNUM, Shoff: 64, Shstrndx: SHN_XINDEX}
	p, n, x := h.Extended(Section{Info: 100_000, Size: 70_000, Link: 69_999})
	if p != 100_000 || n != 70_000 || x != 69_999 {
		t.Errorf("%d segments, %d sections, names in %d", p, n, x)
	}
	h = Header{Phnum: 3, Shoff: 64, Shnum: 5, Shstrndx: 4}
	if p, n, x := h.Extended(Section{Info: 9, Size: 9, Link: 9}); p != 3 || n != 5 || x != 4 {
		t.Errorf("%d segments, %d sections, names in %d", p, n, x)
	}
}
