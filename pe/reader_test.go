package pe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// both runs f on a synth in both layouts.
func both(t *testing.T, s *synth, f func(t *testing.T, r *Reader)) {
	t.Helper()
	file := s.bytes()
	for _, c := range []struct {
		name   string
		layout Layout
		b      []byte
	}{{"file", File, file}, {"loaded", Loaded, loaded(file)}} {
		t.Run(fmt.Sprintf("%s wide=%v", c.name, s.wide), func(t *testing.T) {
			r := NewReader(make([]byte, MinScratch))
			if !r.Open(&Bytes{c.b}, c.layout) {
				t.Fatal("Open found no image")
			}
			f(t, r)
		})
	}
}

func TestHeader(t *testing.T) {
	for _, wide := range []bool{false, true} {
		both(t, whole(wide), func(t *testing.T, r *Reader) {
			h := &r.Header
			want := Header{
				Machine: IMAGE_FILE_MACHINE_I386, NumberOfSections: 1, TimeDateStamp: 0x5ec5db2e, SizeOfOptionalHeader: 224,
				Characteristics: IMAGE_FILE_EXECUTABLE_IMAGE | IMAGE_FILE_DLL, Magic: IMAGE_NT_OPTIONAL_HDR32_MAGIC,
				AddressOfEntryPoint: 0x2010, ImageBase: 0x10000000, SectionAlignment: 0x1000, FileAlignment: 0x200,
				SizeOfImage: 0x3000, SizeOfHeaders: 0x400, CheckSum: 0xabcd, Subsystem: 3, Directories: whole(wide).dirs,
			}
			if wide {
				want.Machine, want.Magic = IMAGE_FILE_MACHINE_AMD64, IMAGE_NT_OPTIONAL_HDR64_MAGIC
				want.ImageBase, want.SizeOfOptionalHeader = 0x180000000, 240
			}
			if *h != want {
				t.Errorf("header\n%+v, want\n%+v", *h, want)
			}
			if h.Is64() != wide {
				t.Errorf("Is64 is %v", h.Is64())
			}
			if id := string(h.AppendCodeID(nil)); id != "5EC5DB2E3000" {
				t.Errorf("code id %s", id)
			}
		})
	}
}

func TestHeaderCut(t *testing.T) {
	for _, wide := range []bool{false, true} {
		b := whole(wide).bytes()
		nt := b[synthNT:]
		fixed := 24 + 96
		if wide {
			fixed += 16
		}
		var h Header
		for n := range fixed {
			if h.Parse(nt[:n]) || h != (Header{}) {
				t.Fatalf("a header of %d bytes was taken", n)
			}
		}
		// Directories beyond the end are absent.
		if !h.Parse(nt[:fixed+8*IMAGE_DIRECTORY_ENTRY_DEBUG+4]) || h.Directories[IMAGE_DIRECTORY_ENTRY_DEBUG].Size != 0 || h.Directories[IMAGE_DIRECTORY_ENTRY_EXPORT].Size == 0 {
			t.Errorf("directories of a short header: %v", h.Directories)
		}
		// Directories beyond the count in the header are absent.
		le.PutUint32(nt[fixed-4:], 1)
		if !h.Parse(nt) || h.Directories[IMAGE_DIRECTORY_ENTRY_RESOURCE].Size != 0 {
			t.Errorf("directories past NumberOfRvaAndSizes: %v", h.Directories)
		}
		le.PutUint32(nt[fixed-4:], 0xffffffff)
		if !h.Parse(nt) || h.Directories != whole(wide).dirs {
			t.Errorf("directories with a huge NumberOfRvaAndSizes: %v", h.Directories)
		}
		le.PutUint16(nt[20:], uint16(fixed-24-1))
		if h.Parse(nt) {
			t.Error("an optional header that is too short was taken")
		}
	}
	for _, bad := range []func(b []byte){
		func(b []byte) { b[0] = 'X' },
		func(b []byte) { le.PutUint32(b[60:], 3) },
		func(b []byte) { le.PutUint32(b[60:], MaxHeaderOffset) },
		func(b []byte) { le.PutUint32(b[60:], 0x100000) },
		func(b []byte) { b[synthNT+2] = 1 },
		func(b []byte) { b[synthNT+24] = 7 }, // the magic of a ROM image
	} {
		b := whole(true).bytes()
		bad(b)
		r := NewReader(nil)
		if r.Open(&Bytes{b}, File) || r.NumSections() != 0 || r.Header != (Header{}) {
			t.Errorf("a bad image was taken: %x", b[:64])
		}
		// The methods of a Reader without an image return nothing.
		var (
			c CodeView
			v Version
			x Exports
		)
		if r.CodeView(&c) != nil || r.Version(&v) || r.Exports(&x) || r.ReadAt(make([]byte, 1), 0) != 0 {
			t.Error("a Reader without an image found something in it")
		}
	}
}

func TestSections(t *testing.T) {
	both(t, whole(true), func(t *testing.T, r *Reader) {
		var s Section
		if r.NumSections() != 1 || r.Section(1, &s) || r.Section(-1, &s) || !r.Section(0, &s) {
			t.Fatalf("%d sections", r.NumSections())
		}
		if s.VirtualAddress != sectionRVA || s.Size() != sectionLen || s.PointerToRawData != sectionFile || s.Characteristics != 0x40000040 {
			t.Errorf("section %+v", s)
		}
		if !r.FindSection(".rdata", &s) || string(r.SectionName(&s)) != ".rdata" {
			t.Error(".rdata was not found")
		}
		if r.FindSection(".rdat", &s) || s != (Section{}) {
			t.Error(".rdat was found")
		}
		var p [8]byte
		if n := r.ReadAt(p[:], sectionRVA+0x200); n != 8 || string(p[:4]) != "RSDS" {
			t.Errorf("ReadAt: %d bytes %q", n, p)
		}
		if n := r.ReadAt(p[:], sectionRVA+sectionLen-3); n != 3 {
			t.Errorf("ReadAt over the end: %d bytes", n)
		}
		if n := r.ReadAt(p[:], sectionRVA+sectionLen); n != 0 {
			t.Errorf("ReadAt past the end: %d bytes", n)
		}
		if n := r.ReadAt(p[:2], 0); n != 2 || string(p[:2]) != "MZ" {
			t.Errorf("ReadAt of the header: %d bytes %q", n, p)
		}
	})
}

func TestLongSectionName(t *testing.T) {
	s := whole(true)
	s.longNames = true
	both(t, s, func(t *testing.T, r *Reader) {
		var s Section
		r.Section(0, &s)
		want := ".debug_info_long"
		if r.layout == Loaded { // the string table is not loaded
			want = "/4"
		}
		if got := string(r.SectionName(&s)); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	})
	for name, want := range map[string]uint32{"/0": 0, "/1234567": 1234567} {
		var s Section
		copy(s.ShortName[:], name)
		if off, ok := s.longName(); !ok || off != want {
			t.Errorf("%q: %d %v", name, off, ok)
		}
	}
	for _, name := range []string{"/", "/x", "/1x", ".text", ""} {
		var s Section
		copy(s.ShortName[:], name)
		if off, ok := s.longName(); ok {
			t.Errorf("%q: %d", name, off)
		}
	}
}

func TestCodeView(t *testing.T) {
	both(t, whole(true), func(t *testing.T, r *Reader) {
		var c CodeView
		record := r.CodeView(&c)
		if want := rsds(3, `d:\bin\lib.pdb`); !bytes.Equal(record, want) {
			t.Errorf("record %q, want %q", record, want)
		}
		if c.Signature != RSDS || c.Age != 3 || string(c.Name) != `d:\bin\lib.pdb` {
			t.Errorf("%+v", c)
		}
		if id := string(c.AppendDebugID(nil)); id != "00112233445566778899AABBCCDDEEFF3" {
			t.Errorf("debug id %s", id)
		}
	})
	var c CodeView
	b := []byte("NB10\x00\x00\x00\x00\x2e\xdb\xc5\x5e\x1f\x00\x00\x00old.pdb")
	if !c.Parse(b) || string(c.Name) != "old.pdb" || string(c.AppendDebugID(nil)) != "5EC5DB2E1f" {
		t.Errorf("NB10: %+v", c)
	}
	for n := range 16 {
		if c.Parse(b[:n]) {
			t.Errorf("NB10 of %d bytes was taken", n)
		}
	}
	b = rsds(1, "")
	for n := range 24 {
		if c.Parse(b[:n]) {
			t.Errorf("RSDS of %d bytes was taken", n)
		}
	}
	if !c.Parse(b[:24]) || len(c.Name) != 0 {
		t.Error("RSDS without a name was not taken")
	}
	if c.Parse([]byte("NB09xxxxxxxxxxxxxxxxxxxxxxxxx")) {
		t.Error("NB09 was taken")
	}
}

// TestCodeViewFar checks that a record longer than the scratch memory loses only the end of its name, and that a record that is
// not loaded is not found in memory.
func TestCodeViewFar(t *testing.T) {
	long := rsds(1, strings.Repeat("n", 3000))
	s := &synth{wide: true, body: map[uint32][]byte{
		sectionRVA + 0x100: debugEntry(IMAGE_DEBUG_TYPE_CODEVIEW, sectionRVA+0x200, uint32(len(long))),
		sectionRVA + 0x200: long,
	}}
	s.dirs[IMAGE_DIRECTORY_ENTRY_DEBUG] = Directory{sectionRVA + 0x100, DebugEntrySize}
	both(t, s, func(t *testing.T, r *Reader) {
		var c CodeView
		if record := r.CodeView(&c); len(record) != MinScratch/4 || len(c.Name) != MinScratch/4-24 || c.Age != 1 {
			t.Errorf("record of %d bytes, name of %d", len(record), len(c.Name))
		}
	})
	le.PutUint32(s.body[sectionRVA+0x100][20:], 0) // AddressOfRawData
	both(t, s, func(t *testing.T, r *Reader) {
		var c CodeView
		if record := r.CodeView(&c); (record != nil) != (r.layout == File) {
			t.Errorf("record of %d bytes", len(record))
		}
	})
}

func TestVersion(t *testing.T) {
	both(t, whole(true), func(t *testing.T, r *Reader) {
		var v Version
		if !r.Version(&v) {
			t.Fatal("no version")
		}
		if v.FileVersion() != [4]uint16{10, 0, 19041, 789} || v.ProductVersion() != [4]uint16{1, 2, 3, 4} {
			t.Errorf("versions %v %v", v.FileVersion(), v.ProductVersion())
		}
		if len(v.Fixed) != FixedFileInfoSize || le.Uint32(v.Fixed) != VS_FFI_SIGNATURE {
			t.Errorf("fixed %x", v.Fixed)
		}
		var got []string
		for s := range v.Strings() {
			got = append(got, s.Table.String()+" "+s.Key.String()+"="+s.Value.String())
		}
		want := []string{"040904b0 CompanyName=Größe & Co", "040904b0 FileVersion=10.0.19041.789", "040904b0 Empty=",
			"040704b0 FileVersion=zweite", "040704b0 Comments=nur hier"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("strings %q, want %q", got, want)
		}
		for key, want := range map[string]string{"fileversion": "10.0.19041.789", "Comments": "nur hier", "Nothing": ""} {
			if got := v.String(key).String(); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
	})
}

// TestVersionCut checks that the start of a resource is enough for the fixed part, which comes first.
func TestVersionCut(t *testing.T) {
	b := versionResource()
	for n := range len(b) {
		var v Version
		if ok := v.Parse(b[:n]); ok != (n >= 40+FixedFileInfoSize) || (v.Fixed != nil) != ok {
			t.Fatalf("%d bytes: %v, fixed %x", n, ok, v.Fixed)
		}
		for s := range v.Strings() {
			if !bytes.Contains(b, s.Value) {
				t.Fatalf("%d bytes: value %q", n, s.Value)
			}
		}
	}
	var v Version
	for _, bad := range [][]byte{versionBlock("VS_VERSION_INF", false, make([]byte, 52), 52), make([]byte, 100), {}} {
		if v.Parse(bad) || v.FileVersion() != [4]uint16{} {
			t.Errorf("%q was taken", bad)
		}
	}
	// Without a VS_FIXEDFILEINFO the texts are still read.
	if !v.Parse(versionBlock("VS_VERSION_INFO", false, nil, 0, versionBlock("StringFileInfo", true, nil, 0,
		versionBlock("000004b0", true, nil, 0, versionBlock("A", true, utf16z("b"), 2))))) || v.Fixed != nil || v.String("A").String() != "b" {
		t.Errorf("texts alone: %+v", v)
	}
}

func TestExports(t *testing.T) {
	both(t, whole(true), func(t *testing.T, r *Reader) {
		var x Exports
		if !r.Exports(&x) || x.NumFunctions != 4 || x.NumNames != 3 || x.OrdinalBase != 10 {
			t.Fatalf("%+v", x)
		}
		if name := string(r.ExportedAs()); name != "lib.dll" {
			t.Errorf("exported as %q", name)
		}
		var got []string
		for e := range x.All(r) {
			got = append(got, fmt.Sprintf("%s %d %#x %v", e.Name, e.Ordinal, e.RVA, e.Forwarded))
		}
		want := []string{"alpha 11 0x1100 false", "beta 10 0x1000 false", "gamma 12 0x2ce0 true"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("exports %q, want %q", got, want)
		}
		var e Export
		for i, name := range []string{"alpha", "beta", "gamma"} {
			if !r.FindExport(&x, name, &e) || string(e.Name) != name || fmt.Sprintf("%s %d %#x %v", e.Name, e.Ordinal, e.RVA, e.Forwarded) != want[i] {
				t.Errorf("find %s: %+v", name, e)
			}
		}
		for _, name := range []string{"", "al", "alphb", "zeta"} {
			if r.FindExport(&x, name, &e) {
				t.Errorf("find %q: %+v", name, e)
			}
		}
		for _, c := range []struct {
			rva  uint32
			want string
		}{{0xfff, ""}, {0x1000, "beta 10"}, {0x10ff, "beta 10"}, {0x1150, "alpha 11"}, {0x1200, " 13"}, {0x2cff, " 13"}} {
			got := ""
			if r.NearestExport(&x, c.rva, &e) {
				got = fmt.Sprintf("%s %d", e.Name, e.Ordinal)
			}
			if got != c.want {
				t.Errorf("nearest to %#x: %q, want %q", c.rva, got, c.want)
			}
		}
	})
}

// TestNoAllocs checks that reading what a dump needs about a module allocates nothing.
func TestNoAllocs(t *testing.T) {
	file := whole(true).bytes()
	src := &Bytes{loaded(file)}
	r := NewReader(nil)
	var (
		c   CodeView
		v   Version
		x   Exports
		e   Export
		buf [128]byte
	)
	n := testing.AllocsPerRun(100, func() {
		if !r.Open(src, Loaded) || r.CodeView(&c) == nil || len(c.AppendDebugID(buf[:0])) != 33 || !r.Version(&v) || !r.Exports(&x) || !r.FindExport(&x, "beta", &e) {
			t.Fatal("something was not found")
		}
		r.Close()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReads checks that reading a module makes few reads: each is a system call, and under Wine a round trip to its server.
func TestReads(t *testing.T) {
	src := &counted{b: loaded(whole(true).bytes())}
	r := NewReader(make([]byte, 16<<10))
	var (
		c CodeView
		v Version
	)
	if !r.Open(src, Loaded) || r.CodeView(&c) == nil || !r.Version(&v) {
		t.Fatal("something was not found")
	}
	if src.reads > 3 {
		t.Errorf("%d reads", src.reads)
	}
}

// liar is a Source that returns a count larger than requested, or a negative one.
type liar struct{ n int }

func (l *liar) ReadAt(p []byte, _ uint64) int { return l.n }

func TestLiar(t *testing.T) {
	for _, n := range []int{-1, 1 << 30} {
		if NewReader(nil).Open(&liar{n}, File) {
			t.Errorf("a source that returned %d holds an image", n)
		}
	}
}
