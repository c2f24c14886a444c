package elf

import (
	"bytes"
	stdelf "debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// loadImage loads a file into memory as the kernel does (whole pages, then .bss cleared) and returns the bytes from its lowest
// page to its end. It uses debug/elf, not this package.
func loadImage(t testing.TB, file []byte) []byte {
	t.Helper()
	f, err := stdelf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	lo, hi := ^uint64(0), uint64(0)
	for _, p := range f.Progs {
		if p.Type == stdelf.PT_LOAD {
			lo, hi = min(lo, p.Vaddr&^(page-1)), max(hi, (p.Vaddr+p.Memsz+page-1)&^(page-1))
		}
	}
	mem := make([]byte, hi-lo)
	for _, p := range f.Progs {
		if p.Type != stdelf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		from, to := p.Off&^(page-1), min((p.Off+p.Filesz+page-1)&^(page-1), uint64(len(file)))
		at := p.Vaddr&^(page-1) - lo
		copy(mem[at:], file[from:to])
		if p.Memsz > p.Filesz {
			clear(mem[p.Vaddr+p.Filesz-lo : min(p.Vaddr+p.Memsz+page-1, hi)&^(page-1)-lo])
		}
	}
	return mem
}

// stdBuildID reads the build id from the sections, with debug/elf.
func stdBuildID(f *stdelf.File) []byte {
	s := f.Section(".note.gnu.build-id")
	if s == nil {
		return nil
	}
	b, err := s.Data()
	if err != nil || len(b) < 16 {
		return nil
	}
	return b[16 : 16+f.ByteOrder.Uint32(b[4:])]
}

// checkFile compares what this package reads from a file, and from a memory image of the file, with debug/elf.
func checkFile(t *testing.T, path string) {
	t.Helper()
	b := read(t, path)
	f, err := stdelf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	h, ok := ParseHeader(b[:HeaderSize64])
	if !ok {
		t.Fatal("no header")
	}
	if stdelf.Class(h.Class) != f.Class || h.Order != f.ByteOrder || stdelf.OSABI(h.OSABI) != f.OSABI ||
		stdelf.Type(h.Type) != f.Type || stdelf.Machine(h.Machine) != f.Machine || h.Entry != f.Entry ||
		int(h.Phnum) != len(f.Progs) || int(h.Shnum) != len(f.Sections) {
		t.Errorf("header %+v, debug/elf has %+v", h, f.FileHeader)
	}
	table := b[h.Phoff:][:h.ProgTableSize()]
	for i, want := range f.Progs {
		p, ok := h.Prog(table, i)
		got := stdelf.ProgHeader{Type: stdelf.ProgType(p.Type), Flags: stdelf.ProgFlag(p.Flags), Off: p.Off, Vaddr: p.Vaddr,
			Paddr: p.Paddr, Filesz: p.Filesz, Memsz: p.Memsz, Align: p.Align}
		if !ok || got != want.ProgHeader {
			t.Errorf("program header %d: %+v, debug/elf has %+v", i, got, want.ProgHeader)
		}
	}
	if _, ok := h.Prog(table, len(f.Progs)); ok {
		t.Error("a program header behind the last")
	}
	stable := b[h.Shoff:][:h.SectionTableSize()]
	for i, want := range f.Sections {
		s, ok := h.Section(stable, i)
		got := stdelf.SectionHeader{Name: want.Name, Type: stdelf.SectionType(s.Type), Flags: stdelf.SectionFlag(s.Flags), Addr: s.Addr,
			Offset: s.Off, Size: want.Size, FileSize: s.Size, Link: s.Link, Info: s.Info, Addralign: s.Align, Entsize: s.Entsize}
		if w := want.SectionHeader; !ok || got != w && s.Flags&SHF_COMPRESSED == 0 {
			t.Errorf("section header %d: %+v, debug/elf has %+v", i, got, w)
		}
	}

	// The identity: of the file, of a memory image by Reader, and by the batch functions.
	wantID := stdBuildID(f)
	wantName := ""
	if names, _ := f.DynString(stdelf.DT_SONAME); len(names) == 1 {
		wantName = names[0]
	}
	mem := loadImage(t, b)
	base := uint64(0x7f12_3456_7000)
	if h.Class == Class32 {
		base = 0x5655_7000
	}
	if h.Type == ET_EXEC {
		base = f.Progs[firstLoad(f)].Vaddr &^ 4095
	}
	r := NewReader(nil)
	for _, c := range []struct {
		what      string
		src       *Bytes
		placement Placement
	}{
		{"file", &Bytes{b}, Placement{}},
		{"memory", &Bytes{mem}, Placement{Memory: true, Base: base}},
	} {
		id, kind, ok := r.BuildIDOf(c.src, c.placement)
		if wantID != nil && (!ok || !bytes.Equal(id, wantID)) {
			t.Errorf("%s: build id %x (%d), debug/elf has %x", c.what, id, kind, wantID)
		}
		if wantID == nil && kind != IDTextHash && (kind != IDNone || c.what == "file") {
			t.Errorf("%s: build id %x (%d), debug/elf has none", c.what, id, kind)
		}
		if name, ok := r.Soname(); string(name) != wantName || ok != (wantName != "") {
			t.Errorf("%s: SONAME %q, debug/elf has %q", c.what, name, wantName)
		}
		noAllocs(t, "Reader on a "+c.what, func() {
			r.BuildIDOf(c.src, c.placement)
			r.Soname()
			r.GoBuildInfo()
		})
	}
	im := batchScan(t, mem, base)
	if id := im.BuildIDIn(&h, mem[:min(len(mem), 4096)], base); !bytes.Equal(id, wantID) && im.Notes[0].In(mem[:4096], base) != nil {
		t.Errorf("batch: build id %x, debug/elf has %x", id, wantID)
	}
	if im.End() != base&^4095+uint64(len(mem)) && (im.End()+4095)&^4095 != base+uint64(len(mem)) {
		t.Errorf("the image ends at %#x, of %#x bytes at %#x", im.End(), len(mem), base)
	}
	for i, p := range f.Progs {
		if p.Type == stdelf.PT_DYNAMIC && im.Dynamic != (Range{p.Vaddr + im.Bias, min(p.Memsz, MaxSegmentRead), p.Align}) {
			t.Errorf("program header %d: Dynamic is %+v", i, im.Dynamic)
		}
		if p.Type == stdelf.PT_INTERP {
			if got, want := im.Interp.In(mem, base), b[p.Off:p.Off+p.Filesz]; !bytes.Equal(got, want) {
				t.Errorf("Interp is %q, want %q", got, want)
			}
		}
		if p.Type == stdelf.PT_TLS && !im.HasTLS {
			t.Error("HasTLS is false")
		}
	}
	if im.Dynamic.Size != 0 {
		d := h.ParseDynamic(im.Dynamic.In(mem, base))
		for tag, got := range map[stdelf.DynTag]uint64{stdelf.DT_STRTAB: d.Strtab, stdelf.DT_STRSZ: d.Strsz,
			stdelf.DT_SONAME: d.Soname} {
			v, err := f.DynValue(tag)
			if err != nil {
				t.Fatal(err)
			}
			if len(v) == 0 {
				v = []uint64{0}
			}
			if v[0] != got {
				t.Errorf("%v is %#x, debug/elf has %#x", tag, got, v[0])
			}
		}
	}
	noAllocs(t, "the batch functions", func() {
		h, _ := ParseHeader(mem)
		var im Image
		im.Scan(&h, mem[h.Phoff:][:h.ProgTableSize()], base, 4096)
		h.AddNoteSections(&im, mem[min(h.Shoff, uint64(len(mem))):])
		im.BuildIDIn(&h, mem, base)
		d := h.ParseDynamic(im.Dynamic.In(mem, base))
		im.Rebase(d.Strtab)
		im.EffectiveBase(&h, &d)
	})
}

// batchScan uses the batch functions on the first page of a module, as a caller does.
func batchScan(t *testing.T, mem []byte, base uint64) Image {
	t.Helper()
	h, ok := ParseHeader(mem)
	if !ok {
		t.Fatal("no header in memory")
	}
	page := mem[:min(len(mem), 4096)]
	var im Image
	im.Scan(&h, page[h.Phoff:][:h.ProgTableSize()], base, 4096)
	if size := uint64(h.SectionTableSize()); size != 0 && h.Shoff < uint64(len(page)) {
		h.AddNoteSections(&im, page[h.Shoff:min(uint64(len(page)), h.Shoff+size)])
	}
	return im
}

func firstLoad(f *stdelf.File) int {
	for i, p := range f.Progs {
		if p.Type == stdelf.PT_LOAD {
			return i
		}
	}
	return -1
}

func TestOwnProgram(t *testing.T) {
	path := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		t.Skip("no ELF file is running here")
	}
	checkFile(t, path)
}

func TestSystemLibraries(t *testing.T) {
	found := 0
	for _, pattern := range []string{"/lib/*-linux-gnu/libc.so.6", "/lib/*-linux-gnu/ld-linux*", "/lib64/ld-linux*", "/usr/lib/libc.so.6",
		"/lib/*-linux-gnu/libm.so.6", "/lib/*-linux-gnu/libpthread.so.0", "/lib/*-linux-gnu/libcrypt.so.1", "/lib/ld-musl-*", "/bin/sleep"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil || !bytes.HasPrefix(b, []byte(stdelf.ELFMAG)) {
				continue // /bin/sleep can be a busybox link, and a .so a linker script
			}
			found++
			t.Run(path, func(t *testing.T) { checkFile(t, path) })
		}
	}
	if found == 0 {
		t.Skip("no dynamic linker or C library here")
	}
}

func TestGoPrograms(t *testing.T) {
	for _, c := range []struct{ goarch, flag string }{
		{"amd64", ""}, {"arm64", ""}, {"386", ""}, {"arm", ""}, {"mips", ""}, {"s390x", ""}, {"amd64", "-buildmode=pie"},
	} {
		t.Run(c.goarch+c.flag, func(t *testing.T) {
			if testing.Short() && c.goarch != runtime.GOARCH {
				t.Skip("cross build in short mode")
			}
			var flags []string
			if c.flag != "" {
				flags = []string{c.flag}
			}
			path := buildGo(t, "linux", c.goarch, flags...)
			checkFile(t, path)
			checkGo(t, path)
		})
	}
}

// TestStrippedGoProgram finds the Go linker's build id although strip moves the section headers, which locate it in memory, to
// the end of the file.
func TestStrippedGoProgram(t *testing.T) {
	onLinux(t)
	strip := need(t, "strip")
	path := buildGo(t, "linux", runtime.GOARCH)
	if b, err := exec.Command(strip, path).CombinedOutput(); err != nil {
		t.Fatalf("strip: %v\n%s", err, b)
	}
	checkFile(t, path)
	checkGo(t, path)
	b := read(t, path)
	if h, _ := ParseHeader(b); h.Shoff < 4096 {
		t.Errorf("the section headers are still at %#x", h.Shoff)
	}
	r := NewReader(nil)
	mem := loadImage(t, b)
	id, kind, ok := r.BuildIDOf(&Bytes{mem}, Placement{Memory: true})
	if !ok || kind != IDNote || len(id) != 20 {
		t.Errorf("build id %x (%d)", id, kind)
	}
}

func TestSharedObjects(t *testing.T) {
	const source = "int f(int x) { return x * 3; }\n__thread int v = 7;\nint *g(void) { return &v; }\n"
	for _, c := range []struct {
		id   string
		size int // of the build id
	}{{"sha1", 20}, {"md5", 16}, {"uuid", 16}, {"0x0123456789abcdef00", 9}, {"none", 0}} {
		for _, soname := range []string{"", "libthing.so.4"} {
			t.Run(c.id+soname, func(t *testing.T) {
				flags := []string{"-shared", "-fPIC", "-Wl,--build-id=" + c.id}
				if soname != "" {
					flags = append(flags, "-Wl,-soname="+soname)
				}
				path := buildC(t, source, flags...)
				checkFile(t, path)
				r := NewReader(nil)
				b := read(t, path)
				id, kind, ok := r.BuildIDOf(&Bytes{b}, Placement{})
				if c.size != 0 && (kind != IDNote || len(id) != c.size) {
					t.Errorf("build id %x (%d) of %d bytes, want %d", id, kind, len(id), c.size)
				}
				if c.size == 0 {
					f, err := stdelf.NewFile(bytes.NewReader(b))
					if err != nil {
						t.Fatal(err)
					}
					want := slowTextHash(t, f)
					if !ok || kind != IDTextHash || !bytes.Equal(id, want[:]) {
						t.Errorf("text hash %x (%d), want %x", id, kind, want)
					}
				}
				if name, _ := r.SonameOf(&Bytes{b}, Placement{}); string(name) != soname {
					t.Errorf("SONAME %q, want %q", name, soname)
				}
			})
		}
	}
}

// slowTextHash XORs the first page of .text, byte by byte.
func slowTextHash(t *testing.T, f *stdelf.File) (id [16]byte) {
	t.Helper()
	for _, s := range f.Sections {
		if s.Name == ".text" {
			b, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range b[:min(len(b), 4096)] {
				id[i%16] ^= c
			}
			return id
		}
	}
	t.Fatal("no code section")
	return
}

// TestSectionsOnly finds a build id and a SONAME by the section headers, without program headers.
func TestSectionsOnly(t *testing.T) {
	path := buildC(t, "int f(void) { return 1; }\n", "-shared", "-fPIC", "-Wl,--build-id=sha1", "-Wl,-soname=libs.so.9")
	b := read(t, path)
	f, err := stdelf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if f.Class != stdelf.ELFCLASS64 {
		t.Skip("the offsets below are those of a 64-bit file")
	}
	want := stdBuildID(f)
	f.ByteOrder.PutUint16(b[56:], 0) // e_phnum
	r := NewReader(nil)
	if id, kind, ok := r.BuildIDOf(&Bytes{b}, Placement{}); !ok || kind != IDSection || !bytes.Equal(id, want) {
		t.Errorf("build id %x (%d), want %x", id, kind, want)
	}
	if name, ok := r.Soname(); !ok || string(name) != "libs.so.9" {
		t.Errorf("SONAME %q %v", name, ok)
	}
	// A section of that name whose type is not SHT_NOTE counts too.
	h, _ := ParseHeader(b)
	changed := false
	for i, s := range f.Sections {
		if s.Name == ".note.gnu.build-id" {
			h.Order.PutUint32(b[h.Shoff+uint64(i)*64+4:], SHT_PROGBITS)
			changed = true
		}
	}
	if id, kind, ok := r.BuildIDOf(&Bytes{b}, Placement{}); !changed || !ok || kind != IDSection || !bytes.Equal(id, want) {
		t.Errorf("by name: build id %x (%d), want %x", id, kind, want)
	}
}
