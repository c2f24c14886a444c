package elf

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"math/rand"
	"testing"

	"minidump/internal/victims"
)

type zipFile struct {
	name   string
	method uint16
	data   []byte
	align  int // of the contents, by padding in the extra field, as zipalign does
}

// makeZip writes an archive with the standard library.
func makeZip(t testing.TB, prefix int, setOffset bool, comment string, files []zipFile) []byte {
	t.Helper()
	var buf bytes.Buffer
	buf.Write(make([]byte, prefix))
	w := zip.NewWriter(&buf)
	if setOffset {
		w.SetOffset(int64(prefix))
	}
	w.SetComment(comment)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: f.method}
		if f.align != 0 {
			w.Flush()
			at := buf.Len() + 30 + len(f.name) + 4
			pad := (f.align - at%f.align) % f.align
			h.Extra = append([]byte{0x35, 0xd9, byte(pad), byte(pad >> 8)}, make([]byte, pad)...)
		}
		// Raw: otherwise the end of the entry is only written with the next one.
		data := f.data
		if f.method == zip.Deflate {
			var z bytes.Buffer
			x, _ := flate.NewWriter(&z, 6)
			x.Write(data)
			x.Close()
			data = z.Bytes()
		}
		h.CRC32 = crc32.ChecksumIEEE(f.data)
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(data)), uint64(len(f.data))
		x, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		x.Write(data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func random(n int, seed int64) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

var apk = []zipFile{
	{"AndroidManifest.xml", zip.Deflate, bytes.Repeat([]byte("manifest "), 500), 0},
	{"lib/arm64-v8a/libone.so", zip.Store, random(10_000, 1), 4096},
	{"assets/", zip.Store, nil, 0},
	{"lib/arm64-v8a/libtwo.so", zip.Store, random(5_000, 2), 16384},
	{"classes.dex", zip.Deflate, random(9_000, 3), 0},
	{"resources.arsc", zip.Store, random(300, 4), 4},
}

func TestZipAt(t *testing.T) {
	for _, c := range []struct {
		name    string
		prefix  int
		set     bool
		comment string
	}{{"plain", 0, false, ""}, {"with a comment", 0, false, "PK\x05\x06 is not the end"}, {"with a long comment", 0, false, string(make([]byte, 65535))},
		{"behind something", 5000, false, ""}, {"behind something that counts", 5000, true, "x"}} {
		t.Run(c.name, func(t *testing.T) {
			b := makeZip(t, c.prefix, c.set, c.comment, apk)
			std, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			src := &Bytes{b}
			z := NewZipReader(nil)
			for i, f := range std.File {
				off, err := f.DataOffset()
				if err != nil {
					t.Fatal(err)
				}
				want := uint64(off)
				e, ok := z.Lookup(src, uint64(len(b)), []byte(f.Name))
				if !ok || string(e.Name) != f.Name || e.Off != want || e.Size != f.CompressedSize64 || e.Method != f.Method || e.CRC32 != f.CRC32 {
					t.Errorf("Lookup(%q): %+v %v, want it at %#x, %d bytes", f.Name, e, ok, off, f.CompressedSize64)
				}
				for _, at := range []uint64{want, want + f.CompressedSize64/2, want + f.CompressedSize64 - 1} {
					e, ok := z.At(src, uint64(len(b)), at)
					if stored := f.Method == zip.Store && f.CompressedSize64 != 0; ok != stored {
						t.Errorf("At(%#x) in %q: %v", at, f.Name, ok)
					} else if ok && (string(e.Name) != f.Name || e.Off != want) {
						t.Errorf("At(%#x): %q at %#x, want %q at %#x", at, e.Name, e.Off, f.Name, want)
					}
				}
				if e, ok := z.At(src, uint64(len(b)), want+f.CompressedSize64); ok && string(e.Name) == f.Name {
					t.Errorf("%q holds the byte behind it", f.Name)
				}
				if e, ok := z.At(src, uint64(len(b)), want-1); ok && string(e.Name) == f.Name {
					t.Errorf("%q holds the byte before it", f.Name)
				}
				if a := apk[i].align; a != 0 && off%int64(a) != 0 {
					t.Fatalf("%q lies at %#x", f.Name, off)
				}
				if apk[i].method == zip.Store && len(apk[i].data) != 0 {
					v := &View{Source: src, Off: e.Off, Size: e.Size}
					got := make([]byte, len(apk[i].data)+10)
					if n := v.ReadAt(got, 0); !bytes.Equal(got[:n], apk[i].data) {
						t.Errorf("%q has other contents", f.Name)
					}
				}
			}
			for _, at := range []uint64{0, uint64(len(b)) - 1, uint64(len(b)), 1 << 62} {
				if e, ok := z.At(src, uint64(len(b)), at); ok {
					t.Errorf("At(%#x): %q", at, e.Name)
				}
			}
			if _, ok := z.Lookup(src, uint64(len(b)), []byte("lib/arm64-v8a/libthree.so")); ok {
				t.Error("found what is not there")
			}
			e, _ := z.Lookup(src, uint64(len(b)), []byte(apk[1].name))
			noAllocs(t, "ZipReader", func() {
				z.At(src, uint64(len(b)), e.Off)
				z.Lookup(src, uint64(len(b)), z.name[:3])
			})
		})
	}
}

// TestZip64Count has more entries than a 16-bit count allows: the zip64 end record.
func TestZip64Count(t *testing.T) {
	var files []zipFile
	for i := 0; i < 66_000; i++ {
		files = append(files, zipFile{name: fmt.Sprint(i), data: []byte("x")})
	}
	for _, prefix := range []int{0, 777} {
		b := makeZip(t, prefix, false, "comment", files)
		if n := int(b[len(b)-7-22+10]) | int(b[len(b)-7-22+11])<<8; n != 0xffff {
			t.Fatalf("not a zip64 archive: %d entries", n)
		}
		z := NewZipReader(nil)
		e, ok := z.Lookup(&Bytes{b}, uint64(len(b)), []byte("65999"))
		if !ok || b[e.Off] != 'x' || e.Size != 1 {
			t.Fatalf("Lookup: %+v %v", e, ok)
		}
		if e, ok := z.At(&Bytes{b}, uint64(len(b)), e.Off); !ok || string(e.Name) != "65999" {
			t.Errorf("At: %+v %v", e, ok)
		}
	}
}

// sparse is an io.Writer and a Source that does not keep zeros.
type sparse struct {
	pieces map[uint64][]byte // 4096 bytes each
	size   uint64
}

var zeros [1 << 20]byte

func (s *sparse) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		page, in := s.size>>12, int(s.size&4095)
		k := min(4096-in, len(p))
		if !bytes.Equal(p[:k], zeros[:k]) {
			if s.pieces[page] == nil {
				s.pieces[page] = make([]byte, 4096)
			}
			copy(s.pieces[page][in:], p[:k])
		}
		s.size += uint64(k)
		p = p[k:]
	}
	return n, nil
}

func (s *sparse) ReadAt(p []byte, off uint64) int {
	n := 0
	for n < len(p) && off < s.size {
		page, in := off>>12, int(off&4095)
		k := min(4096-in, len(p)-n, int(s.size-off))
		if b := s.pieces[page]; b != nil {
			copy(p[n:n+k], b[in:])
		} else {
			clear(p[n : n+k])
		}
		n, off = n+k, off+uint64(k)
	}
	return n
}

// TestZip64Sizes has sizes and offsets above 4 GiB: the zip64 extra field.
func TestZip64Sizes(t *testing.T) {
	victims.SkipEmulated(t, "it computes the checksum of 4 GiB")
	s := &sparse{pieces: map[uint64][]byte{}}
	w := zip.NewWriter(s)
	const big = 4<<30 + 4096
	for _, f := range []struct {
		name string
		size uint64
	}{{"big", big}, {"behind.so", 10}} {
		x, err := w.CreateRaw(&zip.FileHeader{Name: f.name, CompressedSize64: f.size, UncompressedSize64: f.size})
		if err != nil {
			t.Fatal(err)
		}
		for left := f.size; left > 0; {
			n, err := x.Write(zeros[:min(left, uint64(len(zeros)))])
			if err != nil {
				t.Fatal(err)
			}
			left -= uint64(n)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z := NewZipReader(nil)
	e, ok := z.Lookup(s, s.size, []byte("big"))
	if !ok || e.Size != big {
		t.Fatalf("big: %+v %v", e, ok)
	}
	end := e.Off + big
	if e, ok = z.At(s, s.size, end-1); !ok || string(e.Name) != "big" {
		t.Errorf("At(%#x): %+v %v", end-1, e, ok)
	}
	e, ok = z.Lookup(s, s.size, []byte("behind.so"))
	if !ok || e.Off < end || e.Size != 10 {
		t.Fatalf("behind.so: %+v %v", e, ok)
	}
	if e, ok := z.At(s, s.size, e.Off+9); !ok || string(e.Name) != "behind.so" {
		t.Errorf("At: %+v %v", e, ok)
	}
}

// TestLibraryInZip reads build id and SONAME of a library in an archive through a View.
func TestLibraryInZip(t *testing.T) {
	so := (&synth{class: Class64, order: kinds[0].order, typ: ET_DYN, progs: []Prog{
		{PT_LOAD, PF_R, 0, 0, 0, 0x400, 0x400, 0x1000}, {PT_NOTE, PF_R, 0x200, 0x200, 0, 0x24, 0x24, 4}, {PT_DYNAMIC, PF_R, 0x300, 0x300, 0, 0x100, 0x100, 8}},
		body: map[uint64][]byte{0x200: note(kinds[0].order, 4, "GNU\x00", 3, []byte("0123456789abcdefghij")), 0x280: []byte("\x00libz.so\x00"),
			0x300: dyn(Class64, kinds[0].order, DT_STRTAB, 0x280, DT_SONAME, 1, DT_STRSZ, 9), 0x3ff: {0}}}).bytes()
	b := makeZip(t, 0, false, "", []zipFile{{"a", zip.Deflate, []byte("a"), 0}, {"lib/x86_64/libz.so", zip.Store, so, 4096}})
	z, r := NewZipReader(nil), NewReader(nil)
	e, ok := z.At(&Bytes{b}, uint64(len(b)), 4096)
	if !ok || string(e.Name) != "lib/x86_64/libz.so" || e.Off != 4096 {
		t.Fatalf("%+v %v", e, ok)
	}
	v := &View{Source: &Bytes{b}, Off: e.Off, Size: e.Size}
	if id, kind, ok := r.BuildIDOf(v, Placement{}); !ok || kind != IDNote || string(id) != "0123456789abcdefghij" {
		t.Errorf("build id %q (%d)", id, kind)
	}
	if name, ok := r.Soname(); !ok || string(name) != "libz.so" {
		t.Errorf("SONAME %q", name)
	}
}

// TestZipGap has data between the directory and its end record, without moving the offsets.
func TestZipGap(t *testing.T) {
	b := makeZip(t, 0, false, "", apk)
	end := len(b) - 22
	b = append(append(bytes.Clone(b[:end]), make([]byte, 76)...), b[end:]...)
	z := NewZipReader(nil)
	e, ok := z.Lookup(&Bytes{b}, uint64(len(b)), []byte(apk[1].name))
	if !ok || !bytes.Equal(b[e.Off:e.Off+e.Size], apk[1].data) {
		t.Fatalf("%+v %v", e, ok)
	}
}

func TestZipHostile(t *testing.T) {
	good := makeZip(t, 0, false, "", apk[:2])
	z := NewZipReader(nil)
	end := len(good) - 22
	for _, c := range []struct {
		why string
		at  int
		to  []byte
	}{
		{"no end record", end, []byte{0}},
		{"a directory larger than the file", end + 12, []byte{0xff, 0xff, 0xff, 0x7f}},
		{"a directory behind the end", end + 16, []byte{0xff, 0xff, 0xff, 0x7f}},
		{"no entries", end + 10, []byte{0, 0}},
		{"a comment longer than the file", end + 20, []byte{9, 0}},
	} {
		b := bytes.Clone(good)
		copy(b[c.at:], c.to)
		if e, ok := z.Lookup(&Bytes{b}, uint64(len(b)), []byte(apk[1].name)); ok {
			t.Errorf("%s: %+v", c.why, e)
		}
	}
	if _, ok := z.Lookup(&Bytes{good}, uint64(len(good)), []byte(apk[1].name)); !ok {
		t.Error("the good one is refused")
	}
	if _, ok := z.Lookup(&Bytes{good}, 1<<63, []byte(apk[1].name)); ok {
		t.Error("found in a file that is shorter than stated")
	}
}
