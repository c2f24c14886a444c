package macho

import (
	"archive/zip"
	"bytes"
	stdmacho "debug/macho"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoPrograms reads programs of the Go linker, thin and in a fat file of both as lipo creates it.
func TestGoPrograms(t *testing.T) {
	var slices [][]byte
	for _, goarch := range []string{"arm64", "amd64"} {
		t.Run(goarch, func(t *testing.T) {
			b := buildGo(t, goarch)
			slices = append(slices, b)
			im, cmds := checkFile(t, b, 0)
			if !im.HasUUID || im.Platform != PLATFORM_MACOS || im.MinOS == 0 || im.IsDylib || im.IsDylinker || string(im.Dylinker.In(cmds)) != "/usr/lib/dyld" {
				t.Errorf("%+v", im)
			}
			if x, ok := im.Section(cmds, "__DATA", "__go_buildinfo"); !ok || !bytes.HasPrefix(b[x.Off:], []byte("\xff Go buildinf:")) {
				t.Errorf("Go build information in %+v %v", x, ok)
			}
		})
	}
	if len(slices) != 2 {
		return
	}
	fat := binary.BigEndian.AppendUint32(nil, FAT_MAGIC)
	fat = binary.BigEndian.AppendUint32(fat, 2)
	off := uint32(16384)
	for i, cpu := range []uint32{CPU_TYPE_ARM64, CPU_TYPE_X86_64} {
		for _, v := range []uint32{cpu, uint32(i) * 3, off, uint32(len(slices[i])), 14} {
			fat = binary.BigEndian.AppendUint32(fat, v)
		}
		off = (off + uint32(len(slices[i])) + 16383) &^ 16383
	}
	for _, s := range slices {
		fat = append(append(fat, make([]byte, -len(fat)&16383)...), s...)
	}
	checkFat(t, fat)
}

// TestWheels reads real libraries: Python wheels for macOS, of arm64, x86_64 and both, which .ci/run downloads. To download them
// by hand, run
//
//	pip download --no-deps --only-binary=:all: --python-version 3.12 --platform macosx_11_0_arm64 pillow==11.0.0
//
// and so on in the folder used below.
func TestWheels(t *testing.T) {
	cache, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, ".cache", "minidump-ci", "macho")
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) == 0 {
		t.Skipf("no wheels in %s", dir)
	}
	thin, fat, dylibs := 0, 0, 0
	for _, wheel := range wheels {
		z, err := zip.OpenReader(wheel)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			if !strings.HasSuffix(f.Name, ".so") && !strings.HasSuffix(f.Name, ".dylib") {
				continue
			}
			rd, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(rd)
			rd.Close()
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(wheel)+"/"+f.Name, func(t *testing.T) {
				if _, ok := ParseFatHeader(b); ok {
					fat++
					checkFat(t, b)
					return
				}
				thin++
				im, cmds := checkFile(t, b, 0)
				if !im.HasUUID || im.Platform != PLATFORM_MACOS || im.MinOS == 0 {
					t.Errorf("UUID %x, platform %v from %v", im.UUID, im.Platform, im.MinOS)
				}
				if strings.HasSuffix(f.Name, ".dylib") {
					dylibs++
					if !im.IsDylib || im.InstallName.In(cmds) == nil || im.CurrentVersion == 0 {
						t.Errorf("install name %q, version %v", im.InstallName.In(cmds), im.CurrentVersion)
					}
				}
			})
		}
	}
	t.Logf("%d thin files, %d of them libraries with an install name, %d fat files", thin, dylibs, fat)
	if thin == 0 {
		t.Error("no Mach-O file in the wheels")
	}
}

// checkFat compares a fat file and its slices with debug/macho.
func checkFat(t *testing.T, b []byte) {
	t.Helper()
	std, err := stdmacho.NewFatFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	h, ok := ParseFatHeader(b)
	if !ok || h.Is64 || int(h.Narch) != len(std.Arches) || h.TableSize() != 20*len(std.Arches) {
		t.Fatalf("fat header %+v %v", h, ok)
	}
	table := b[FatHeaderSize:][:h.TableSize()]
	for i, want := range std.Arches {
		a, ok := h.Arch(table, i)
		if !ok || a.CPU != uint32(want.Cpu) || a.SubCPU != want.FatArchHeader.SubCpu || a.Off != uint64(want.Offset) || a.Size != uint64(want.Size) || a.Align != want.Align {
			t.Errorf("slice %d: %+v %v, debug/macho has %+v", i, a, ok, want.FatArchHeader)
		}
		im, _ := checkFile(t, b[a.Off:][:a.Size], a.Off)
		r := NewReader(nil)
		if !r.OpenFile(&Bytes{B: b}, a.CPU) || r.Image != *im {
			t.Errorf("slice %d: a Reader of the fat file reads %+v, not %+v", i, r.Image, *im)
		}
		s, ok := r.Section("__TEXT", "__text")
		if !ok || r.Place(&s) != a.Off+uint64(s.Off) {
			t.Errorf("slice %d: __text at %#x", i, r.Place(&s))
		}
	}
	if _, ok := h.Arch(table, len(std.Arches)); ok {
		t.Error("one slice too many")
	}
	if _, ok := h.Arch(table[:len(table)-1], len(std.Arches)-1); ok {
		t.Error("a slice of a cut table")
	}
	if NewReader(nil).OpenFile(&Bytes{B: b}, CPU_TYPE_POWERPC) {
		t.Error("a slice for PowerPC")
	}
	noAllocs(t, "FatHeader", func() {
		h, _ := ParseFatHeader(b)
		h.Arch(table, 0)
	})
}

// checkFile compares an image with debug/macho and reads it as loaded in memory. off is its offset in its file.
func checkFile(t *testing.T, b []byte, off uint64) (*Image, []byte) {
	t.Helper()
	std, err := stdmacho.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	im, cmds := scan(t, b)
	h := &im.Header
	cmds = cmds[:h.CommandsSize()]
	if h.CPU != uint32(std.Cpu) || h.SubCPU != std.SubCpu || h.FileType != uint32(std.Type) || h.Ncmds != std.Ncmd ||
		h.Sizeofcmds != std.Cmdsz || h.Flags != std.Flags || h.Order != std.ByteOrder {
		t.Errorf("header %+v, debug/macho has %+v", h, std.FileHeader)
	}
	if im.Commands != len(std.Loads) {
		t.Errorf("%d load commands, debug/macho has %d", im.Commands, len(std.Loads))
	}
	checkCommands(t, std, im, cmds)
	checkSections(t, std, im, cmds)
	checkLoaded(t, b, im)
	noAllocs(t, "Scan", func() {
		h, _ := ParseHeader(b)
		im.Scan(&h, cmds)
		im.SetAddr(0x100000000)
		im.Section(cmds, "__TEXT", "__text")
	})
	im.Slide = 0
	return im, cmds
}

// checkCommands compares load commands with their content in Image.
func checkCommands(t *testing.T, std *stdmacho.File, im *Image, cmds []byte) {
	t.Helper()
	var uuid []byte
	for i, load := range std.Loads {
		c, rest, ok := NextCommand(cmds, im.Header.Order)
		if !ok || !bytes.Equal(c.Data, load.Raw()) {
			t.Fatalf("load command %d: %x %v, debug/macho has %x", i, c.Data, ok, load.Raw())
		}
		cmds = rest
		switch c.Cmd {
		case LC_UUID:
			uuid = c.Data[8:24]
		case LC_BUILD_VERSION:
			if want := Platform(im.Header.Order.Uint32(c.Data[8:])); im.Platform != want {
				t.Errorf("platform %v, not %v", im.Platform, want)
			}
		case LC_ID_DYLIB:
			if want := Version(im.Header.Order.Uint32(c.Data[16:])); im.CurrentVersion != want || !im.IsDylib {
				t.Errorf("version %v, not %v", im.CurrentVersion, want)
			}
		}
	}
	if !bytes.Equal(im.UUID[:], uuid) {
		t.Errorf("UUID %x, debug/macho has %x", im.UUID, uuid)
	}
}

// checkSections compares segments and sections.
func checkSections(t *testing.T, std *stdmacho.File, im *Image, cmds []byte) {
	t.Helper()
	n := 0
	for _, load := range std.Loads {
		seg, ok := load.(*stdmacho.Segment)
		if !ok {
			continue
		}
		s := &im.Segments[n]
		n++
		if !s.Name.Is(seg.Name) || s.Addr != seg.Addr || s.Size != seg.Memsz || s.Off != seg.Offset || s.Filesz != seg.Filesz ||
			s.Maxprot != seg.Maxprot || s.Prot != seg.Prot || s.Nsects != seg.Nsect || s.Flags != seg.Flag {
			t.Errorf("segment %+v, debug/macho has %+v", s, seg.SegmentHeader)
		}
	}
	if n != im.NumSegments {
		t.Errorf("%d segments, debug/macho has %d", im.NumSegments, n)
	}
	seen := make(map[string]bool)
	for _, want := range std.Sections {
		if seen[want.Seg+want.Name] {
			continue
		}
		seen[want.Seg+want.Name] = true
		x, ok := im.Section(cmds, want.Seg, want.Name)
		if !ok || !x.Name.Is(want.Name) || !x.Segment.Is(want.Seg) || x.Addr != want.Addr || x.Size != want.Size ||
			x.Off != want.Offset || x.Align != want.Align || x.Flags != want.Flags {
			t.Errorf("section %+v %v, debug/macho has %+v", x, ok, want.SectionHeader)
		}
	}
}

// checkLoaded arranges the segments as dyld does, with a slide, and reads the image from that memory.
func checkLoaded(t *testing.T, b []byte, im *Image) {
	t.Helper()
	const slide = 0x5540000
	var mem task
	for i := range im.NumSegments {
		if s := &im.Segments[i]; s.Filesz != 0 {
			mem = append(mem, Bytes{b[s.Off : s.Off+s.Filesz], s.Addr + slide})
		}
	}
	text := im.Segment("__TEXT")
	if text == nil {
		t.Fatal("no __TEXT")
	}
	r := NewReader(nil)
	if !r.OpenMemory(mem, text.Addr+slide) || r.Image.Slide != slide || r.Image.UUID != im.UUID || r.Image.NumSegments != im.NumSegments {
		t.Fatalf("in memory: slide %#x, UUID %x", r.Image.Slide, r.Image.UUID)
	}
	s, ok := r.Section("__TEXT", "__text")
	if !ok || s.Size == 0 {
		t.Fatal("in memory: no code")
	}
	code := make([]byte, min(s.Size, 1<<16))
	if n := r.Read(code, &s); n != len(code) || !bytes.Equal(code, b[s.Off:][:n]) {
		t.Errorf("in memory: %d of %d bytes of code, or others", n, len(code))
	}
	if seg := r.Image.Find(r.Place(&s)); seg == nil || !seg.Name.Is("__TEXT") {
		t.Errorf("in memory: code is in %+v", seg)
	}
}
