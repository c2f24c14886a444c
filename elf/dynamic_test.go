package elf

import "testing"

func TestParseDynamic(t *testing.T) {
	for _, k := range kinds {
		w := uint64(k.class.WordSize())
		h := Header{Class: k.class, Order: k.order, Machine: EM_MIPS}
		b := dyn(k.class, k.order, 1, 99, DT_SONAME, 11, DT_STRTAB, 0x2000, DT_STRSZ, 33, DT_DEBUG, 0x70001000, DT_ANDROID_REL, 1,
			DT_MIPS_RLD_MAP, 0x2400, DT_MIPS_RLD_MAP_REL, 0x100)
		const relAt = 7 // entries before it
		end := uint64(len(b))
		b = append(b, dyn(k.class, k.order, DT_SONAME, 12)...) // after DT_NULL
		want := Dynamic{Soname: 11, Strtab: 0x2000, Strsz: 33, Debug: 0x70001000, RldMap: 0x2400, RldMapRel: 0x100,
			RldMapRelOff: relAt * 2 * w, HasSoname: true, HasStrtab: true, HasStrsz: true, HasRldMap: true, HasRldMapRel: true,
			AndroidPacked: true, Size: end, HasNull: true}
		d := h.ParseDynamic(b)
		if d != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", k.name, d, want)
		}
		im := Image{Class: k.class, Bias: 0x50000000, MinVaddr: 0, MaxVaddr: 0x3000, Loads: 1, Dynamic: Range{0x50001000, 0x200, 4}}
		if got, ok := d.RldMapAddr(&im); !ok || got != 0x50001000+relAt*2*w+0x100 {
			t.Errorf("%s: rld_map at %#x %v", k.name, got, ok)
		}
		d.HasRldMapRel = false
		if got, ok := d.RldMapAddr(&im); !ok || got != 0x50002400 {
			t.Errorf("%s: rld_map at %#x %v", k.name, got, ok)
		}
		d.HasRldMap = false
		if _, ok := d.RldMapAddr(&im); ok {
			t.Errorf("%s: rld_map without the tags", k.name)
		}
		h.Machine = EM_S390
		if d := h.ParseDynamic(b); d.HasRldMap || d.HasRldMapRel {
			t.Errorf("%s: MIPS tags on another machine", k.name)
		}
		if d := h.ParseDynamic(dyn(k.class, k.order, DT_ANDROID_RELA, 1)); !d.AndroidPacked {
			t.Errorf("%s: DT_ANDROID_RELA does not count", k.name)
		}
		// Without DT_NULL, with half an entry at the end; the last of two DT_SONAME entries counts.
		b = dyn(k.class, k.order, DT_SONAME, 1, DT_SONAME, 2)[:5*w]
		if d := h.ParseDynamic(b); d.HasNull || d.Size != 4*w || d.Soname != 2 {
			t.Errorf("%s: cut: %+v", k.name, d)
		}
		if d := h.ParseDynamic(nil); d != (Dynamic{}) {
			t.Errorf("%s: of nothing: %+v", k.name, d)
		}
	}
}

// TestSonameRelocated reads the SONAME with DT_STRTAB relocated in place, as glibc does, and with the link-time address, as
// others leave it.
func TestSonameRelocated(t *testing.T) {
	for _, k := range kinds {
		for _, base := range []uint64{0, 0x50000000} {
			for _, relocated := range []bool{false, true} {
				strtab := uint64(0x10200)
				if relocated {
					strtab += base - 0x10000
				}
				s := &synth{class: k.class, order: k.order, typ: ET_DYN,
					progs: []Prog{{PT_LOAD, PF_R, 0, 0x10000, 0, 0x400, 0x400, 0x1000}, {PT_DYNAMIC, PF_R, 0x300, 0x10300, 0, 0x100, 0x100, 8}},
					body: map[uint64][]byte{0x200: []byte("\x00junk\x00libx.so.3\x00more\x00"),
						0x300: dyn(k.class, k.order, DT_STRTAB, strtab, DT_SONAME, 6, DT_STRSZ, 22), 0x3ff: {0}}}
				r := NewReader(nil)
				name, ok := r.SonameOf(&Bytes{s.bytes()}, Placement{Memory: true, Base: base})
				if !ok || string(name) != "libx.so.3" {
					t.Errorf("%s, base %#x, relocated %v: %q %v", k.name, base, relocated, name, ok)
				}
				if relocated {
					continue
				}
				if name, ok := r.SonameOf(&Bytes{s.bytes()}, Placement{}); !ok || string(name) != "libx.so.3" {
					t.Errorf("%s, file: %q %v", k.name, name, ok)
				}
				for _, c := range []struct {
					why  string
					pair []uint64
				}{
					{"no string table", []uint64{DT_SONAME, 6}},
					{"not in the table", []uint64{DT_STRTAB, strtab, DT_SONAME, 22, DT_STRSZ, 22}},
					{"not terminated in the table", []uint64{DT_STRTAB, strtab, DT_SONAME, 6, DT_STRSZ, 12}},
					{"empty", []uint64{DT_STRTAB, strtab, DT_SONAME, 0, DT_STRSZ, 22}},
					{"table out of the image", []uint64{DT_STRTAB, 0xfffffff0, DT_SONAME, 6, DT_STRSZ, 22}},
				} {
					s.body[0x300] = dyn(k.class, k.order, c.pair...)
					if name, ok := r.SonameOf(&Bytes{s.bytes()}, Placement{Memory: true, Base: base}); ok {
						t.Errorf("%s, %s: %q", k.name, c.why, name)
					}
				}
			}
		}
	}
}
