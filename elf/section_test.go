package elf

import "testing"

// namedSections builds an image with sections of each kind and two notes.
func namedSections(c Class, k int) *synth {
	o := kinds[k].order
	notes := append(note(o, 4, "GNU\x00", 1, []byte("abi!")), note(o, 4, "Crashpad\x00", 0x4f464e49, []byte("12345"))...)
	return &synth{class: c, order: o, typ: ET_DYN, machine: EM_X86_64, shoff: 0x600, strndx: 5,
		progs: []Prog{{PT_LOAD, PF_R, 0, 0x1000, 0, 0x580, 0x580, 0x1000},
			{PT_NOTE, PF_R, 0x400, 0x1400, 0, uint64(len(notes)), uint64(len(notes)), 4}},
		sections: []Section{{Name: 1, Type: SHT_PROGBITS, Flags: SHF_ALLOC | SHF_EXECINSTR, Addr: 0x1500, Off: 0x500, Size: 0x40},
			{Name: 7, Type: SHT_NOBITS, Flags: SHF_ALLOC | SHF_WRITE, Addr: 0x1580, Off: 0x580, Size: 0x100},
			{Name: 12, Type: SHT_PROGBITS, Flags: SHF_COMPRESSED, Off: 0x540, Size: 0x20},
			{Name: 1, Type: SHT_PROGBITS, Off: 0x560, Size: 1},
			{Name: 0, Type: SHT_STRTAB, Off: 0x480, Size: 25}},
		body: map[uint64][]byte{0x400: notes, 0x480: []byte("\x00.text\x00.bss\x00.debug_info\x00\x00")}}
}

func TestFindSection(t *testing.T) {
	for i, k := range kinds {
		b := namedSections(k.class, i).bytes()
		r := NewReader(nil)
		if !r.Open(&Bytes{b}, Placement{}) || r.NumSections() != 6 {
			t.Fatalf("%s: %d sections", k.name, r.NumSections())
		}
		for name, size := range map[string]uint64{".text": 0x40, ".bss": 0x100, ".debug_info": 0x20, ".tex": 0, "": 25, "ext": 0} {
			s, ok := r.FindSection(name)
			if ok != (size > 0) || s.Size != size {
				t.Errorf("%s: %q is %+v, %v", k.name, name, s, ok)
			}
		}
		// Sections without contents are skipped by functions that read contents.
		if _, ok := r.findSection(".bss"); ok {
			t.Errorf("%s: .bss has contents", k.name)
		}
		if _, ok := r.findSection(".debug_info"); ok {
			t.Errorf("%s: .debug_info can be read as it is", k.name)
		}
		// In memory the table is not mapped.
		if !r.Open(&Bytes{b[:0x580]}, Placement{Memory: true, Base: 0x7000}) || r.NumSections() != 0 {
			t.Errorf("%s: %d sections in memory", k.name, r.NumSections())
		}
		if _, ok := r.FindSection(".text"); ok {
			t.Errorf("%s: .text in memory", k.name)
		}
	}
}

func TestFindNote(t *testing.T) {
	for i, k := range kinds {
		b := namedSections(k.class, i).bytes()
		for _, placement := range []Placement{{}, {Memory: true, Base: 0x7000}} {
			r := NewReader(nil)
			if !r.Open(&Bytes{b}, placement) {
				t.Fatal(k.name)
			}
			off, desc, ok := r.FindNote("Crashpad", 0x4f464e49)
			if !ok || string(desc) != "12345" || string(b[off:][:5]) != "12345" {
				t.Errorf("%s: %q at %#x, %v", k.name, desc, off, ok)
			}
			for _, none := range []struct {
				name string
				typ  uint32
			}{{"Crashpad", 1}, {"GNU", 3}, {"Crash", 0x4f464e49}, {"", 0}} {
				if _, desc, ok := r.FindNote(none.name, none.typ); ok {
					t.Errorf("%s: %v is %q", k.name, none, desc)
				}
			}
			noAllocs(t, "FindNote", func() { r.FindNote("Crashpad", 0x4f464e49); r.FindSection(".text") })
		}
	}
}
