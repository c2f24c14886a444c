package elf

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"testing"
)

// counted is a Source that counts reads: the work for a hostile image must be bounded.
type counted struct {
	b     []byte
	reads int
}

func (s *counted) ReadAt(p []byte, off uint64) int {
	s.reads++
	return (&Bytes{s.b}).ReadAt(p, off)
}

// inside fails the test unless b contains the bytes of sub.
func inside(t *testing.T, what string, sub, b []byte) {
	t.Helper()
	if !bytes.Contains(b, sub) {
		t.Fatalf("%s: %q is not in %q", what, sub, b)
	}
}

func seedImages(f *testing.F) {
	for _, k := range kinds {
		s := &synth{class: k.class, order: k.order, typ: ET_DYN, machine: EM_MIPS, shoff: 0x200, strndx: 3,
			progs: []Prog{{PT_LOAD, PF_R | PF_X, 0, 0x1000, 0, 0x900, 0x900, 0x1000}, {PT_NOTE, PF_R, 0x500, 0x1500, 0, 0x24, 0x24, 4},
				{PT_DYNAMIC, PF_R, 0x600, 0x1600, 0, 0x100, 0x100, 8}, {PT_LOAD, PF_W, 0x700, 0x3700, 0, 0x100, 0x400, 0x1000},
				{PT_GNU_RELRO, PF_R, 0x700, 0x3700, 0, 0x10, 0x10, 1}},
			sections: []Section{{Name: 1, Type: SHT_NOTE, Flags: SHF_ALLOC, Addr: 0x1500, Off: 0x500, Size: 0x24, Align: 4},
				{Name: 20, Type: SHT_PROGBITS, Flags: SHF_ALLOC | SHF_EXECINSTR, Addr: 0x1480, Off: 0x480, Size: 0x40},
				{Name: 0, Type: SHT_STRTAB, Off: 0x450, Size: 0x2c}, {Name: 26, Type: SHT_DYNAMIC, Off: 0x600, Size: 0x100, Link: 3},
				{Name: 30, Type: SHT_PROGBITS, Flags: SHF_ALLOC | SHF_WRITE, Addr: 0x3710, Off: 0x710, Size: 0xf0}},
			body: map[uint64][]byte{0x450: []byte("\x00.note.gnu.build-id\x00.text\x00dyn\x00.go.buildinfo\x00"), 0x480: []byte("code code code"),
				0x500: note(k.order, 4, "GNU\x00", 3, []byte("0123456789abcdefghij")), 0x580: []byte("\x00libz.so\x00"),
				0x600: dyn(k.class, k.order, DT_STRTAB, 0x1580, DT_SONAME, 1, DT_STRSZ, 9), 0x710: goBlob(2, "go1.26", "path\tx\n"), 0x8ff: {0}}}
		f.Add(s.bytes(), uint64(0x10000))
	}
}

func FuzzReader(f *testing.F) {
	seedImages(f)
	r := NewReader(nil)
	f.Fuzz(func(t *testing.T, b []byte, base uint64) {
		for _, placement := range []Placement{{}, {Memory: true, Base: base}, {Memory: true, Base: base, PageSize: 65536}} {
			src := &counted{b: b}
			if !r.Open(src, placement) {
				continue
			}
			id, kind := r.BuildID()
			if (len(id) == 0) != (kind == IDNone) || len(id) != 0 && IsAllZero(id) {
				t.Fatalf("build id %x (%d)", id, kind)
			}
			name, ok := r.Soname()
			if ok != (len(name) > 0) || len(name) > MaxSoname || bytes.IndexByte(name, 0) >= 0 {
				t.Fatalf("SONAME %q %v", name, ok)
			}
			if v, _, ok := r.GoBuildInfo(); ok && v != nil && len(v) == 0 {
				t.Fatal("an empty Go version")
			}
			r.GoBuildID()
			if src.reads > 40_000 {
				t.Fatalf("%d reads", src.reads)
			}
			checkLookups(t, r, src)
		}
	})
}

// checkLookups searches the open image for a note and sections.
func checkLookups(t *testing.T, r *Reader, src *counted) {
	src.reads = 0
	if off, desc, ok := r.FindNote("GNU", 3); ok {
		again := make([]byte, len(desc))
		want := bytes.Clone(desc)
		if n := src.ReadAt(again, off); len(desc) == 0 || n != len(again) || !bytes.Equal(again, want) {
			t.Fatalf("note %x, %x at %#x", want, again, off)
		}
	}
	if n := r.NumSections(); n < 0 || n > MaxSections {
		t.Fatalf("%d sections", n)
	}
	if s, ok := r.FindSection(".text"); ok && s.Type == SHT_NULL {
		t.Fatalf("%+v", s)
	}
	if src.reads > 40_000 {
		t.Fatalf("%d reads", src.reads)
	}
}

func FuzzScan(f *testing.F) {
	seedImages(f)
	f.Fuzz(func(t *testing.T, b []byte, base uint64) {
		h, ok := ParseHeader(b)
		if !ok {
			return
		}
		n := h.ProgTableSize()
		if n < 0 || n > MaxProgTable || h.SectionTableSize() > MaxSections*maxEntsize {
			t.Fatalf("tables of %d and %d bytes", n, h.SectionTableSize())
		}
		at := min(h.Phoff, uint64(len(b)))
		var im Image
		im.Scan(&h, b[at:min(at+uint64(n), uint64(len(b)))], base, 4096)
		h.AddNoteSections(&im, b[min(h.Shoff, uint64(len(b))):])
		mask := h.Class.mask()
		if im.NumNotes > MaxNotes || im.Bias&^mask != 0 || im.Loads != 0 && (im.MinVaddr >= im.MaxVaddr || im.MaxVaddr-1 > mask) {
			t.Fatalf("%+v", im)
		}
		for _, r := range append(im.Notes[:im.NumNotes:im.NumNotes], im.Dynamic, im.Interp) {
			if r.Size > MaxSegmentRead || r.Addr&^mask != 0 {
				t.Fatalf("range %+v", r)
			}
			inside(t, "range", r.In(b, base), b)
		}
		d := h.ParseDynamic(im.Dynamic.In(b, base))
		im.Rebase(d.Strtab)
		d.RldMapAddr(&im)
		if e := im.EffectiveBase(&h, &d); e > im.Base {
			t.Fatalf("effective base %#x above %#x", e, im.Base)
		}
	})
}

func FuzzNotes(f *testing.F) {
	for _, k := range kinds[:2] {
		f.Add(append(note(k.order, 4, "GNU\x00", 3, []byte("0123")), note(k.order, 4, "Go\x00\x00", 4, []byte("a/b"))...), uint64(4), k.order == binary.BigEndian)
		f.Add(append(note(k.order, 8, "GNU\x00", 5, []byte("01234567")), note(k.order, 8, "GNU\x00", 3, []byte("01234"))...), uint64(8), k.order == binary.BigEndian)
	}
	f.Fuzz(func(t *testing.T, b []byte, align uint64, big bool) {
		var o binary.ByteOrder = binary.LittleEndian
		if big {
			o = binary.BigEndian
		}
		rest, used := b, 0
		for {
			n, r, ok := NextNote(rest, align, o)
			if !ok {
				break
			}
			if len(r) > len(rest)-12 {
				t.Fatalf("%d bytes left of %d", len(r), len(rest))
			}
			used += 12 + len(n.Name) + len(n.Desc)
			if used > len(b) {
				t.Fatalf("%d bytes out of %d", used, len(b))
			}
			rest = r
		}
		if id := BuildID(b, align, o); id != nil && !bytes.Contains(b, id) {
			t.Fatalf("build id %x is not in the notes", id)
		}
		if id := GoBuildID(b, align, o); id != nil && !bytes.Contains(b, id) {
			t.Fatalf("Go build id %q is not in the notes", id)
		}
	})
}

func FuzzDynamic(f *testing.F) {
	for _, k := range kinds {
		f.Add(dyn(k.class, k.order, DT_SONAME, 1, DT_STRTAB, 0x2000, DT_ANDROID_REL, 3, DT_MIPS_RLD_MAP_REL, 9), k.class == Class64, k.order == binary.BigEndian)
	}
	f.Fuzz(func(t *testing.T, b []byte, wide, big bool) {
		h := Header{Class: Class32, Order: binary.LittleEndian, Machine: EM_MIPS}
		if wide {
			h.Class = Class64
		}
		if big {
			h.Order = binary.BigEndian
		}
		d := h.ParseDynamic(b)
		if d.Size > uint64(len(b)) || d.Size%uint64(DynamicEntrySize(h.Class)) != 0 {
			t.Fatalf("%d bytes of %d", d.Size, len(b))
		}
		if !d.HasNull && uint64(len(b))-d.Size >= uint64(DynamicEntrySize(h.Class)) {
			t.Fatalf("stopped at %d of %d without DT_NULL", d.Size, len(b))
		}
		// Reading in pieces has the same result.
		var e Dynamic
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 3*DynamicEntrySize(h.Class))
			e.add(&h, rest[:n])
			rest = rest[n:]
		}
		if e != d {
			t.Fatalf("in pieces %+v, at once %+v", e, d)
		}
	})
}

func FuzzLinkMap(f *testing.F) {
	f.Add(make([]byte, 48), uint64(0), true, false)
	f.Add(bytes.Repeat([]byte{0, 0, 0, 8}, 24), uint64(4), false, true)
	f.Fuzz(func(t *testing.T, b []byte, at uint64, wide, big bool) {
		c, o := Class32, binary.ByteOrder(binary.LittleEndian)
		if wide {
			c = Class64
		}
		if big {
			o = binary.BigEndian
		}
		ParseRDebug(b, c, o)
		// A walk through b as memory that checks Prev visits no map twice.
		prev, seen := uint64(0), map[uint64]bool{}
		for at < uint64(len(b)) {
			m, ok := ParseLinkMap(b[at:], c, o)
			if !ok || m.Prev != prev {
				break
			}
			if seen[at] {
				t.Fatalf("a loop at %#x is not found", at)
			}
			seen[at] = true
			prev, at = at, m.Next
			if at == 0 {
				break
			}
		}
	})
}

func FuzzZip(f *testing.F) {
	f.Add(makeZip(f, 0, false, "", apk[2:3]), uint64(60), []byte("assets/"))
	f.Add(makeZip(f, 9, false, "comment", []zipFile{{"a", zip.Store, []byte("abc"), 0}, {"b", zip.Deflate, []byte("abcdef"), 0}}), uint64(45), []byte("b"))
	f.Add(append([]byte("PK\x06\x06"), make([]byte, 200)...), uint64(1), []byte(""))
	z := NewZipReader(nil)
	f.Fuzz(func(t *testing.T, b []byte, off uint64, name []byte) {
		src := &counted{b: b}
		size := uint64(len(b))
		if e, ok := z.At(src, size, off); ok && (e.Off > off || off-e.Off >= e.Size || e.Off+e.Size > size || e.Method != ZipStored) {
			t.Fatalf("At(%#x): %+v of %d bytes", off, e, size)
		}
		if e, ok := z.Lookup(src, size, name); ok && (!bytes.Equal(e.Name, name) || e.Off+e.Size > size) {
			t.Fatalf("Lookup(%q): %+v of %d bytes", name, e, size)
		}
		if src.reads > 100+len(b) {
			t.Fatalf("%d reads of %d bytes", src.reads, len(b))
		}
	})
}

func FuzzGoBuildInfo(f *testing.F) {
	f.Add(goBlob(2, "go1.26.8", "path\tx/y\nmod\tx\tv1\n"))
	f.Add(append(make([]byte, 16), goBlob(0, "", "")...))
	f.Add(goBlob(2, "\xff\xff\xff\xff", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, m, ok := FindGoBuildInfo(b)
		if !ok && (v != nil || m != nil) || v != nil && len(v) == 0 {
			t.Fatalf("%q %q %v", v, m, ok)
		}
		inside(t, "version", v, b)
		inside(t, "module text", m, b)
		inside(t, "path", GoMainPath(m), m)
		p, ver := GoMainModule(m)
		inside(t, "module", p, m)
		inside(t, "module version", ver, m)
	})
}

func FuzzVersionOf(f *testing.F) {
	f.Add([]byte("libdbus-1.so.3.34.2rc5"))
	f.Add([]byte("x.so.so.1.2.so.3.4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, ok := VersionOf(b); ok != bytes.Contains(b, []byte(".so.")) || !ok && v != [4]uint32{} {
			t.Fatalf("%v %v", v, ok)
		}
	})
}
