package stackwalk

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/macho"
)

// machImage is a Mach-O image from a wheel.
type machImage struct {
	name   string
	b      []byte
	arch   context.Arch
	text   uint64 // link-time address of __TEXT
	size   uint64 // of __TEXT
	mapped io.ReaderAt
	starts []uint64 // of functions, from the start of __TEXT
	code   macho.Section
}

// wheelFiles returns the files with the given name endings in the wheels of a folder of the gate's cache: see TestWheels of package macho.
func wheelFiles(t testing.TB, folder string, ends ...string) map[string][]byte {
	t.Helper()
	home, _ := os.UserHomeDir()
	wheels, _ := filepath.Glob(filepath.Join(home, ".cache", "minidump-ci", folder, "*.whl"))
	if len(wheels) == 0 {
		t.Skipf("no wheels in ~/.cache/minidump-ci/%s", folder)
	}
	files := map[string][]byte{}
	for _, wheel := range wheels {
		z, err := zip.OpenReader(wheel)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			for _, end := range ends {
				if !strings.HasSuffix(f.Name, end) {
					continue
				}
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(r)
				r.Close()
				if err != nil {
					t.Fatal(err)
				}
				files[filepath.Base(wheel)+"/"+f.Name] = b
			}
		}
	}
	return files
}

// machImages returns the images in the wheels, both of a fat file.
func machImages(t testing.TB) (list []*machImage) {
	t.Helper()
	for name, b := range wheelFiles(t, "macho", ".so", ".dylib") {
		slices := [][]byte{b}
		if h, ok := macho.ParseFatHeader(b); ok {
			slices = nil
			for i := range int(h.Narch) {
				if a, ok := h.Arch(b[macho.FatHeaderSize:], i); ok {
					slices = append(slices, b[a.Off:a.Off+a.Size])
				}
			}
		}
		for _, b := range slices {
			list = append(list, openMach(t, name, b))
		}
	}
	return list
}

func openMach(t testing.TB, name string, b []byte) *machImage {
	t.Helper()
	r := macho.NewReader(make([]byte, 64<<10))
	if !r.OpenFile(&macho.Bytes{B: b}, 0) {
		t.Fatalf("%s is no image", name)
	}
	m := &machImage{name: name, b: b, arch: context.AMD64}
	if r.Image.Header.CPU == macho.CPU_TYPE_ARM64 {
		m.arch = context.ARM64
	}
	text := r.Image.Segment("__TEXT")
	m.text, m.size = text.Addr, text.Size
	m.code, _ = r.Section("__TEXT", "__text")
	var err error
	if m.mapped, err = NewMachO(bytes.NewReader(b)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	const lcFunctionStarts = 0x26
	h := &r.Image.Header
	for rest := b[h.Size() : h.Size()+int(h.CommandsSize())]; ; {
		c, next, ok := macho.NextCommand(rest, h.Order)
		if !ok {
			return m
		}
		if rest = next; c.Cmd != lcFunctionStarts {
			continue
		}
		at := uint64(0)
		cur := cursor{b: b[h.Order.Uint32(c.Data[8:]):][:h.Order.Uint32(c.Data[12:])], order: h.Order}
		for cur.more() {
			by := cur.uleb()
			if by == 0 {
				break
			}
			at += by
			m.starts = append(m.starts, at)
		}
	}
}

// image returns the image in the form that a walk uses.
func (m *machImage) image() *image {
	p := &Process{Arch: m.arch, Order: binary.LittleEndian, facts: factsOf(m.arch), reads: 1 << 30,
		Modules: []Module{{Base: machBase, Size: m.size, Mapped: m.mapped}}}
	return p.image(0)
}

// TestCompactTable compares the tables of real images with the output of llvm-objdump, function by function.
func TestCompactTable(t *testing.T) {
	objdump := victims.Tool(t, "llvm-objdump")
	line := regexp.MustCompile(`^ +\[\d+\]: function offset=0x([0-9a-f]+), encoding\S*=0x([0-9a-f]+)`)
	functions := 0
	for _, m := range machImages(t) {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, m.b, 0o644); err != nil {
			t.Fatal(err)
		}
		table, ok := m.image().compactTable()
		if !ok {
			t.Errorf("%s has no table", m.name)
			continue
		}
		out := victims.Output(t, objdump, "--unwind-info", path)
		var offsets, encodings []uint64
		for l := range strings.Lines(out) {
			if f := line.FindStringSubmatch(strings.TrimRight(l, "\n")); f != nil {
				off, _ := strconv.ParseUint(f[1], 16, 64)
				e, _ := strconv.ParseUint(f[2], 16, 64)
				offsets, encodings = append(offsets, off), append(encodings, e)
			}
		}
		functions += len(offsets)
		for i, off := range offsets {
			end := off + 1
			if i+1 < len(offsets) {
				end = offsets[i+1]
			}
			for _, at := range []uint64{off, end - 1} {
				f, ok := table.find(m.text + at)
				if !ok || f.start != m.text+off || uint64(f.encoding) != encodings[i] || i+1 < len(offsets) && f.end != m.text+end {
					t.Errorf("%s: %#x: %+v %v, want %#x from %#x", m.name, at, f, ok, encodings[i], off)
				}
			}
		}
		if len(offsets) > 0 {
			if f, ok := table.find(m.text + offsets[0] - 1); ok {
				t.Errorf("%s: before the first function there is %+v", m.name, f)
			}
		}
		if f, ok := table.find(m.text + m.size); ok {
			t.Errorf("%s: after the last function there is %+v", m.name, f)
		}
	}
	t.Logf("%d entries are the same", functions)
	if functions < 5000 {
		t.Error("too few")
	}
}

// simulate simulates every every-th function of an image, using only its compact unwind information. unknown is the number of functions
// without such information.
func (m *machImage) simulate(t *testing.T, every int) (s *simulation, unknown int) {
	s = newSimulation(m.arch, m.mapped, machBase, m.size)
	im := s.p.image(0)
	im.tables, im.scanned = nil, true // __eh_frame is read only where the table refers to it
	table, ok := im.compactTable()
	if !ok {
		t.Fatalf("%s has no table", m.name)
	}
	off := m.code.Addr - m.text
	for i, start := range m.starts {
		end := off + m.code.Size
		if i+1 < len(m.starts) {
			end = m.starts[i+1]
		}
		if i%every != 0 { // all would take half a minute
			continue
		}
		if start < off || end > off+m.code.Size || end <= start || end-start > 64<<10 {
			continue
		}
		b := make([]byte, end-start)
		if n, _ := m.mapped.ReadAt(b, int64(start)); n < len(b) {
			t.Fatalf("%s: %d bytes at %#x", m.name, n, start)
		}
		s.p.reads = maxReads
		f, ok := table.find(m.text + start)
		framed, dwarf := uint32(compactX64Frame), uint32(compactX64DWARF)
		if m.arch == context.ARM64 {
			framed, dwarf = compactARM64Frame, compactARM64DWARF
		}
		mode := f.encoding & compactModeMask
		if mode == dwarf && ok {
			if f, _ := im.ehFrameOfMachO().fdeAt(im.ehFrameSection.vaddr + uint64(f.encoding&compactDWARFOffset)); f.start != m.text+start {
				ok = false // lld 14 writes neither the offset nor the section correctly
			} else {
				s.dwarf++
			}
		}
		if mode == 0 || !ok {
			unknown++
			continue
		}
		s.function(b, start, machBase+off+simulatedCaller, mode == framed)
	}
	return s, unknown
}

// TestCompactSimulated checks the unwinding of the functions of real images.
func TestCompactSimulated(t *testing.T) {
	for _, arch := range []context.Arch{context.AMD64, context.ARM64} {
		t.Run(arch.String(), func(t *testing.T) {
			var all simulation
			unknown := 0
			for _, m := range machImages(t) {
				if m.arch == arch {
					s, n := m.simulate(t, 3)
					all.add(m.name, s)
					unknown += n
				}
			}
			t.Logf("the tables know nothing of %d functions, and refer to __eh_frame for %d", unknown, all.dwarf)
			if arch == context.ARM64 && all.dwarf == 0 {
				t.Error("none is in __eh_frame")
			}
			all.report(t, 0)
		})
	}
}

// TestCompactLinked does the same with images built from C by clang and lld, for encodings that do not occur in the wheels:
// without frame pointers on x86_64.
func TestCompactLinked(t *testing.T) {
	clang, lld := victims.Tool(t, "clang"), victims.Tool(t, "ld64.lld-14")
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, flags := range []string{"-O0", "-O2", "-O2 -fomit-frame-pointer"} {
			t.Run(arch+" "+flags, func(t *testing.T) {
				m := linkMach(t, clang, lld, arch, flags)
				s, unknown := m.simulate(t, 1)
				t.Logf("the table knows nothing of %d functions", unknown)
				s.report(t, 0)
			})
		}
	}
}

func linkMach(t *testing.T, clang, lld, arch, flags string) *machImage {
	t.Helper()
	dir := t.TempDir()
	object, path := filepath.Join(dir, "compact.o"), filepath.Join(dir, "compact.dylib")
	victims.Output(t, clang, append(strings.Fields(flags), "-target", arch+"-apple-macos11", "-funwind-tables", "-c", "-o", object,
		"testdata/compact.c")...)
	victims.Output(t, lld, "-arch", arch, "-platform_version", "macos", "11.0", "11.0", "-dylib", "-undefined", "dynamic_lookup",
		"-o", path, object)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return openMach(t, path, b)
}
