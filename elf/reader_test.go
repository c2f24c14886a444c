package elf

import (
	"bytes"
	"encoding/binary"
	"testing"
)

var testID = []byte("0123456789abcdefghij")

// TestSectionsInMemory checks that section headers in memory count if they lie in a page that a segment maps, even after the end
// of the segment, but not if the rest of the page was cleared. The vDSO has such headers.
func TestSectionsInMemory(t *testing.T) {
	for _, k := range kinds {
		s := &synth{class: k.class, order: k.order, typ: ET_DYN, shoff: 0x800,
			progs:    []Prog{{PT_LOAD, PF_R, 0, 0x10000, 0, 0x600, 0x600, 0x1000}},
			sections: []Section{{Type: SHT_NOTE, Flags: SHF_ALLOC, Addr: 0x10500, Off: 0x500, Size: 0x24, Align: 4}},
			body:     map[uint64][]byte{0x500: note(k.order, 4, "GNU\x00", NT_GNU_BUILD_ID, testID), 0xfff: {0}}}
		placement := Placement{Memory: true, Base: 0x70000}
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{s.bytes()}, placement).BuildID(); !bytes.Equal(id, testID) || kind != IDSection {
			t.Errorf("%s: %q (%d)", k.name, id, kind)
		}
		s.progs[0].Memsz++ // .bss: the rest of the page after the segment is cleared in a real process
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{s.bytes()}, placement).BuildID(); kind != IDNone {
			t.Errorf("%s: behind .bss: %q (%d)", k.name, id, kind)
		}
	}
}

func TestNoteFarBehind(t *testing.T) {
	for _, k := range kinds {
		var notes []byte
		for len(notes) < 20_000 {
			notes = append(notes, note(k.order, 4, "stapsdt\x00", 3, make([]byte, 333))...)
		}
		notes = append(notes, note(k.order, 4, "GNU\x00", NT_GNU_BUILD_ID, testID)...)
		size := uint64(len(notes))
		s := &synth{class: k.class, order: k.order, typ: ET_DYN, progs: []Prog{{PT_NOTE, PF_R, 0x200, 0x200, 0, size, size, 4}},
			body: map[uint64][]byte{0x200: notes}}
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{s.bytes()}, Placement{}).BuildID(); !bytes.Equal(id, testID) || kind != IDNote {
			t.Errorf("%s: %q (%d)", k.name, id, kind)
		}
		// A note larger than the scratch memory ends the search; with more scratch memory the note after it is found.
		notes = append(note(k.order, 4, "x\x00", 1, make([]byte, 9000)), note(k.order, 4, "GNU\x00", NT_GNU_BUILD_ID, testID)...)
		s.progs[0].Filesz, s.body[0x200] = uint64(len(notes)), notes
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{s.bytes()}, Placement{}).BuildID(); kind != IDNone {
			t.Errorf("%s: behind a huge note: %q (%d)", k.name, id, kind)
		}
		if id, kind := NewReader(make([]byte, 64<<10)).mustOpen(t, &Bytes{s.bytes()}, Placement{}).BuildID(); !bytes.Equal(id, testID) {
			t.Errorf("%s: with more scratch: %q (%d)", k.name, id, kind)
		}
	}
}

// TestTextHashSection checks that the text hash is that of the first section with code, which must be readable as a whole.
func TestTextHashSection(t *testing.T) {
	for _, k := range kinds {
		code := random(5000, 9)
		s := &synth{class: k.class, order: k.order, typ: ET_DYN, shoff: 0x400, sections: []Section{
			{Type: SHT_PROGBITS, Flags: SHF_ALLOC, Off: 0x300, Size: 16},
			{Type: SHT_NOBITS, Flags: SHF_ALLOC | SHF_EXECINSTR, Off: 0x300, Size: 16},
			{Type: SHT_PROGBITS, Flags: SHF_EXECINSTR, Off: 0x300, Size: 16},
			{Type: SHT_PROGBITS, Flags: SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE, Off: 0x1000, Size: uint64(len(code))},
			{Type: SHT_PROGBITS, Flags: SHF_ALLOC | SHF_EXECINSTR, Off: 0x300, Size: 16}},
			body: map[uint64][]byte{0x300: []byte("not the code...."), 0x1000: code}}
		b := s.bytes()
		var want [16]byte
		for i, c := range code[:4096] {
			want[i%16] ^= c
		}
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{b}, Placement{}).BuildID(); !bytes.Equal(id, want[:]) || kind != IDTextHash {
			t.Errorf("%s: %x (%d), want %x", k.name, id, kind, want)
		}
		if id, kind := NewReader(nil).mustOpen(t, &Bytes{b[:0x1000+4095]}, Placement{}).BuildID(); kind != IDNone {
			t.Errorf("%s: of cut code: %x (%d)", k.name, id, kind)
		}
	}
}

func TestSonameOutOfTable(t *testing.T) {
	o := kinds[0].order
	s := &synth{class: Class64, order: o, typ: ET_DYN,
		progs: []Prog{{PT_LOAD, PF_R, 0, 0, 0, 0x400, 0x400, 0x1000}, {PT_DYNAMIC, PF_R, 0x300, 0x300, 0, 0x100, 0x100, 8}},
		body:  map[uint64][]byte{0x200: []byte("\x00in.so\x00out.so\x00"), 0x300: dyn(Class64, o, DT_STRTAB, 0x200, DT_SONAME, 7, DT_STRSZ, 3), 0x3ff: {0}}}
	if name, ok := NewReader(nil).SonameOf(&Bytes{s.bytes()}, Placement{}); ok {
		t.Errorf("%q is outside the table", name)
	}
	s.body[0x300] = dyn(Class64, o, DT_STRTAB, 0x200, DT_SONAME, 7) // no DT_STRSZ: as far as a name goes
	if name, ok := NewReader(nil).SonameOf(&Bytes{s.bytes()}, Placement{}); !ok || string(name) != "out.so" {
		t.Errorf("%q %v", name, ok)
	}
	s.body[0x200] = append([]byte{0}, bytes.Repeat([]byte("x"), MaxSoname+1)...)
	s.body[0x800] = dyn(Class64, o, DT_STRTAB, 0x200, DT_SONAME, 1)
	s.progs[0].Filesz, s.progs[1].Off, s.progs[1].Vaddr = 0x1000, 0x800, 0x800
	delete(s.body, 0x300)
	delete(s.body, 0x3ff)
	if name, ok := NewReader(nil).SonameOf(&Bytes{s.bytes()}, Placement{}); ok {
		t.Errorf("a name of %d bytes", len(name))
	}
	s.body[0x200][MaxSoname+1] = 0
	if name, ok := NewReader(nil).SonameOf(&Bytes{s.bytes()}, Placement{}); !ok || len(name) != MaxSoname {
		t.Errorf("a name of %d bytes: %v", len(name), ok)
	}
}

// TestGoBuildInfoInSegment finds build information at any aligned address in the segment, after false magic numbers and read-only
// data.
func TestGoBuildInfoInSegment(t *testing.T) {
	for _, k := range kinds {
		for _, at := range []uint64{0x1710, 0x1f00, 0x7ff0} {
			s := &synth{class: k.class, order: k.order, typ: ET_EXEC, progs: []Prog{
				{PT_LOAD, PF_R, 0, 0x10000, 0, 0x1000, 0x1000, 0x1000},
				{PT_LOAD, PF_R | PF_W, 0x1000, 0x11000, 0, 0x100, 0x100, 0x1000},
				{PT_GNU_RELRO, PF_R, 0x1000, 0x11000, 0, 0x100, 0x100, 1},
				{PT_LOAD, PF_R | PF_W, 0x1708, 0x13708, 0, 0x8000, 0x8000, 0x1000}},
				body: map[uint64][]byte{at: goBlob(2, "go1.26.8", "path\tx/y\n"), 0x1708: []byte(goBuildInfoMagic)[:8], 0x9fff: {0}}}
			if at > 0x1800 {
				s.body[0x1720] = append([]byte(goBuildInfoMagic), 8, 2) // its version is empty
			}
			if v, m, ok := NewReader(nil).mustOpen(t, &Bytes{s.bytes()}, Placement{}).GoBuildInfo(); !ok || string(v) != "go1.26.8" || string(m) != "path\tx/y\n" {
				t.Errorf("%s, at %#x: %q %q %v", k.name, at, v, m, ok)
			}
			_, im := scanOf(s, 0x10000, 4096)
			if im.Data != (Range{0x13708, 0x8000, 0x1000}) {
				t.Errorf("%s: Data is %+v", k.name, im.Data)
			}
		}
	}
}

// odd is a Source that returns fewer bytes, more, or none.
type odd struct {
	Bytes
	say int
}

func (s *odd) ReadAt(p []byte, off uint64) int { s.Bytes.ReadAt(p, off); return s.say }

func TestOddSource(t *testing.T) {
	b := (&synth{class: Class64, order: kinds[0].order, typ: ET_DYN, progs: []Prog{{PT_NOTE, PF_R, 0x200, 0x200, 0, 0x24, 0x24, 4}},
		body: map[uint64][]byte{0x200: note(binary.LittleEndian, 4, "GNU\x00", NT_GNU_BUILD_ID, testID)}}).bytes()
	for _, say := range []int{-1, 0, 51} {
		if NewReader(nil).Open(&odd{Bytes{b}, say}, Placement{}) {
			t.Errorf("opened although the source says %d", say)
		}
	}
	if id, kind, ok := NewReader(nil).BuildIDOf(&odd{Bytes{b}, 1 << 30}, Placement{}); !ok || kind != IDNote || !bytes.Equal(id, testID) {
		t.Errorf("%q (%d)", id, kind)
	}
}

func TestView(t *testing.T) {
	v := &View{Source: &Bytes{[]byte("0123456789")}, Off: 3, Size: 4}
	for _, c := range []struct {
		off  uint64
		n    int
		want string
	}{{0, 9, "3456"}, {0, 2, "34"}, {3, 9, "6"}, {4, 1, ""}, {^uint64(0), 1, ""}} {
		p := make([]byte, c.n)
		if n := v.ReadAt(p, c.off); string(p[:n]) != c.want {
			t.Errorf("at %d: %q, want %q", c.off, p[:n], c.want)
		}
	}
	v = &View{Source: &Bytes{[]byte("0123456789")}, Off: ^uint64(0) - 1, Size: 100}
	if n := v.ReadAt(make([]byte, 4), 5); n != 0 {
		t.Errorf("%d bytes where the offset wraps", n)
	}
}
