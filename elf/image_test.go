package elf

import "testing"

func scanOf(s *synth, base, page uint64) (Header, Image) {
	b := s.bytes()
	h, _ := ParseHeader(b)
	var im Image
	im.Scan(&h, b[h.Phoff:][:h.ProgTableSize()], base, page)
	return h, im
}

func TestScan(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			_, im := scanOf(&synth{class: k.class, order: k.order, typ: ET_DYN, progs: []Prog{
				{PT_NOTE, PF_R, 0x200, 0x10200, 0, 0x24, 0x24, 4},
				{PT_LOAD, PF_R, 0, 0x10000, 0, 0x1000, 0x1000, 0x1000},
				{PT_LOAD, PF_R | PF_X, 0x1000, 0x12000, 0, 0x800, 0x800, 0x1000},
				{PT_LOAD, PF_R | PF_W, 0x1800, 0x13800, 0, 0x300, 0x900, 0x1000},
				{PT_DYNAMIC, PF_R | PF_W, 0x1840, 0x13840, 0, 0x100, 0x100, 8},
				{PT_NOTE, PF_R, 0x300, 0x10300, 0, 0x20, 0x20, 8},
				{PT_INTERP, PF_R, 0x400, 0x10400, 0, 0x1c, 0x1c, 1},
				{PT_GNU_EH_FRAME, PF_R, 0x500, 0x10500, 0, 0x44, 0x44, 4},
				{PT_TLS, PF_R, 0x1800, 0x13800, 0, 0, 0x10, 4},
				{PT_GNU_RELRO, PF_R, 0x1800, 0x13800, 0, 0x200, 0x200, 1},
			}}, 0x70000000, 4096)
			want := Image{Class: k.class, Bias: 0x6fff0000, Base: 0x70000000, MinVaddr: 0x10000, MaxVaddr: 0x14100, Loads: 3, NumNotes: 2,
				Dynamic: Range{0x70003840, 0x100, 8}, Interp: Range{0x70000400, 0x1c, 1}, EHFrameHdr: Range{0x70000500, 0x44, 4},
				Exec: Range{0x70002000, 0x800, 0x1000}, Data: Range{0x70003a00, 0x100, 0x1000}, Relro: Range{0x70003800, 0x200, 1},
				TLS: Range{0x70003800, 0x10, 4}, HasTLS: true}
			want.Notes[0] = Range{0x70000200, 0x24, 4}
			want.Notes[1] = Range{0x70000300, 0x20, 8}
			if im != want {
				t.Errorf("got  %+v\nwant %+v", im, want)
			}
			if im.End() != 0x70004100 {
				t.Errorf("End is %#x", im.End())
			}
			for _, c := range [][2]uint64{{0x10000, 0x70000000}, {0x140ff, 0x700040ff}, {0x14100, 0x14100}, {0xffff, 0xffff},
				{0x70000123, 0x70000123}} {
				if got := im.Rebase(c[0]); got != c[1] {
					t.Errorf("Rebase(%#x) is %#x, want %#x", c[0], got, c[1])
				}
			}
		})
	}
}

func TestScanBias(t *testing.T) {
	load := func(off, vaddr uint64) Prog { return Prog{PT_LOAD, PF_R, off, vaddr, 0, 0x800, 0x800, 0x1000} }
	for _, c := range []struct {
		name  string
		class Class
		progs []Prog
		base  uint64
		page  uint64
		want  uint64
	}{
		{"program at its own address", Class64, []Prog{load(0, 0x400000)}, 0x400000, 4096, 0},
		{"vaddr inside a page", Class64, []Prog{load(0x340, 0x10340)}, 0x50000, 4096, 0x40000},
		{"64 KiB pages", Class64, []Prog{load(0x340, 0x1f340)}, 0x50000, 65536, 0x40000},
		{"wraps", Class64, []Prog{load(0, 0x10000)}, 0x1000, 4096, 0xffffffffffff1000},
		{"wraps in 32 bits", Class32, []Prog{load(0, 0x10000)}, 0x1000, 4096, 0xffff1000},
		{"the segment with the header is second", Class64, []Prog{load(0x2000, 0x1000), load(0, 0x8000)}, 0x20000, 4096, 0x18000},
		{"no segment with the header", Class64, []Prog{load(0x2000, 0x3000), load(0x1000, 0x8000)}, 0x20000, 4096, 0x1d000},
		{"two with offset 0: the first", Class64, []Prog{load(0, 0x3000), load(0, 0x8000)}, 0x20000, 4096, 0x1d000},
		{"page size is nonsense", Class64, []Prog{load(0x340, 0x1f340)}, 0x50000, 12345, 0x31000},
		{"nothing loaded", Class64, []Prog{{Type: PT_NOTE, Filesz: 4}}, 0x50000, 4096, 0},
		{"a segment that wraps is left out", Class64, []Prog{{PT_LOAD, 4, 0, ^uint64(0) - 5, 0, 9, 9, 1}, load(0, 0x1000)}, 0x5000, 4096, 0x4000},
		{"an empty segment is left out", Class64, []Prog{{Type: PT_LOAD, Vaddr: 0x9000}, load(0, 0x1000)}, 0x5000, 4096, 0x4000},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, im := scanOf(&synth{class: c.class, order: kinds[0].order, typ: ET_DYN, progs: c.progs}, c.base, c.page)
			if im.Bias != c.want {
				t.Errorf("bias %#x, want %#x", im.Bias, c.want)
			}
		})
	}
}

func TestScanBounds(t *testing.T) {
	var progs []Prog
	for i := 0; i < 20; i++ {
		progs = append(progs, Prog{Type: PT_NOTE, Vaddr: uint64(i), Filesz: 1 << 40, Memsz: 1 << 40})
	}
	progs = append(progs, Prog{Type: PT_DYNAMIC, Filesz: 1 << 50, Memsz: 1 << 50}, Prog{Type: PT_INTERP, Filesz: 1 << 50})
	_, im := scanOf(&synth{class: Class64, order: kinds[1].order, progs: progs}, 0, 4096)
	if im.NumNotes != MaxNotes || im.Notes[7].Size != MaxSegmentRead || im.Dynamic.Size != MaxSegmentRead || im.Interp.Size != MaxSegmentRead {
		t.Errorf("%+v", im)
	}
}

func TestAddNoteSections(t *testing.T) {
	s := &synth{class: Class64, order: kinds[0].order, typ: ET_EXEC, shoff: 0x800,
		progs: []Prog{{PT_LOAD, PF_R, 0, 0x400000, 0, 0x1000, 0x1000, 0x1000}, {PT_NOTE, PF_R, 0x100, 0x400100, 0, 0x40, 0x40, 4}},
		sections: []Section{
			{Type: SHT_NOTE, Flags: SHF_ALLOC, Addr: 0x400100, Size: 0x20, Align: 4}, // in a segment
			{Type: SHT_NOTE, Flags: SHF_ALLOC, Addr: 0x400140, Size: 0x24, Align: 4},
			{Type: SHT_NOTE, Addr: 0, Off: 0x300, Size: 0x24, Align: 4},              // not loaded
			{Type: SHT_NOTE, Flags: SHF_ALLOC, Addr: 0x500000, Size: 0x24, Align: 4}, // outside
			{Type: SHT_PROGBITS, Flags: SHF_ALLOC, Addr: 0x400200, Size: 0x24},
		}}
	b := s.bytes()
	h, im := scanOf(s, 0x400000, 4096)
	h.AddNoteSections(&im, b[h.Shoff:])
	if im.NumNotes != 2 || im.Notes[1] != (Range{0x400140, 0x24, 4}) {
		t.Errorf("%d notes: %+v", im.NumNotes, im.Notes)
	}
	before := im
	h.AddNoteSections(&im, b[h.Shoff+64:]) // not a section table: the first entry is not SHT_NULL
	h.AddNoteSections(&im, nil)
	if im != before {
		t.Error("changed by what is no section table")
	}
}

func TestBuildIDIn(t *testing.T) {
	for _, k := range kinds {
		o := k.order
		id, zero := []byte("0123456789abcdefghij"), make([]byte, 20)
		gnu, bad, gon := note(o, 4, "GNU\x00", 3, id), note(o, 4, "GNU\x00", 3, zero), note(o, 4, "Go\x00\x00", 4, []byte("a/b/c"))
		for _, c := range []struct {
			name   string
			first  []byte // the first segment, at 0xf00
			behind []byte // right after it
			second []byte // the second segment, at 0x800
			want   []byte
		}{
			{"first", gnu, nil, nil, id},
			{"second", gon, nil, gnu, id},
			{"zeros, then second", bad, nil, gnu, id},
			{"zeros", bad, nil, bad, nil},
			{"behind the Go note", gon, gnu, nil, id},
			{"behind the Go note, second", gon, append(note(o, 4, "GNU\x00", 1, zero), gnu...), nil, id},
			{"zeros behind the Go note", gon, bad, nil, nil},
			{"behind another note", note(o, 4, "X\x00", 4, id), gnu, nil, nil},
		} {
			s := &synth{class: k.class, order: o, typ: ET_EXEC, progs: []Prog{{PT_LOAD, PF_R, 0, 0x10000, 0, 0x1000, 0x1000, 0x1000},
				{PT_NOTE, PF_R, 0xf00, 0x10f00, 0, uint64(len(c.first)), uint64(len(c.first)), 4},
				{PT_NOTE, PF_R, 0x800, 0x10800, 0, uint64(len(c.second)), uint64(len(c.second)), 4}},
				body: map[uint64][]byte{0xf00: append(append([]byte(nil), c.first...), c.behind...), 0x800: c.second, 0xfff: {0}}}
			b := s.bytes()
			h, im := scanOf(s, 0x30000, 4096)
			if got := im.BuildIDIn(&h, b, 0x30000); string(got) != string(c.want) {
				t.Errorf("%s, %s: %q, want %q", k.name, c.name, got, c.want)
			}
			if got := im.BuildIDIn(&h, b[:0xf00], 0x30000); got != nil && string(c.second) != string(gnu) {
				t.Errorf("%s, %s: %q in bytes that do not hold it", k.name, c.name, got)
			}
			got, kind := NewReader(nil).mustOpen(t, &Bytes{b}, Placement{Memory: true, Base: 0x30000}).BuildID()
			if string(got) != string(c.want) || (kind == IDNote) != (c.want != nil) {
				t.Errorf("%s, %s: Reader has %q (%d), want %q", k.name, c.name, got, kind, c.want)
			}
		}
	}
}

func (r *Reader) mustOpen(t *testing.T, src Source, placement Placement) *Reader {
	t.Helper()
	if !r.Open(src, placement) {
		t.Fatal("Open")
	}
	return r
}

func TestRangeIn(t *testing.T) {
	b := []byte("0123456789")
	for _, c := range []struct {
		addr, size, base uint64
		want             string
	}{{100, 10, 100, "0123456789"}, {103, 4, 100, "3456"}, {109, 1, 100, "9"}, {109, 2, 100, ""}, {99, 2, 100, ""}, {110, 1, 100, ""},
		{100, 0, 100, ""}, {105, ^uint64(0), 100, ""}, {^uint64(0), 2, 100, ""}, {^uint64(0) - 1, 2, ^uint64(0) - 1, "01"}} {
		if got := (Range{Addr: c.addr, Size: c.size}).In(b, c.base); string(got) != c.want {
			t.Errorf("%#x+%#x of %#x: %q, want %q", c.addr, c.size, c.base, got, c.want)
		}
	}
}

func TestEffectiveBase(t *testing.T) {
	for _, k := range kinds {
		for _, c := range []struct {
			name        string
			typ         uint16
			tag, vaddr  uint64
			base, wants uint64
		}{
			{"packed REL", ET_DYN, DT_ANDROID_REL, 0x7000, 0x50000, 0x49000},
			{"packed RELA", ET_DYN, DT_ANDROID_RELA, 0x7000, 0x50000, 0x49000},
			{"packed, but from 0", ET_DYN, DT_ANDROID_RELA, 0, 0x50000, 0x50000},
			{"not packed", ET_DYN, DT_STRSZ, 0x7000, 0x50000, 0x50000},
			{"a program", ET_EXEC, DT_ANDROID_RELA, 0x7000, 0x50000, 0x50000},
			{"would go below 0", ET_DYN, DT_ANDROID_RELA, 0x60000, 0x50000, 0x50000},
		} {
			h, im := scanOf(&synth{class: k.class, order: k.order, typ: c.typ, progs: []Prog{
				{PT_LOAD, PF_R, 0, c.vaddr, 0, 0x1000, 0x1000, 0x1000}, {Type: PT_DYNAMIC, Vaddr: c.vaddr + 0x800, Memsz: 0x80}}}, c.base, 4096)
			d := h.ParseDynamic(dyn(k.class, k.order, c.tag, c.vaddr+0x100))
			if got := im.EffectiveBase(&h, &d); got != c.wants {
				t.Errorf("%s, %s: %#x, want %#x", k.name, c.name, got, c.wants)
			}
		}
	}
	if DT_ANDROID_REL != 0x6000000d+2 || DT_ANDROID_RELA != 0x6000000d+4 {
		t.Error("the tags are DT_LOOS+2 and DT_LOOS+4")
	}
}
