package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"minidump/elf"
	"minidump/pe"
)

// fakeProcess is a process whose only memory is an image.
type fakeProcess struct {
	base          uint64
	image, onDisk []byte
}

func (f *fakeProcess) read(addr uint64, b []byte) (int, error) {
	if addr < f.base || addr-f.base >= uint64(len(f.image)) {
		return 0, ErrUnreadable
	}
	n := copy(b, f.image[addr-f.base:])
	if n < len(b) {
		return n, ErrUnreadable
	}
	return n, nil
}

func (f *fakeProcess) modules(p *Process) ([]Module, error) { return nil, nil }
func (f *fakeProcess) close() error                         { return nil }

// fakeFile is a file with its contents in memory.
type fakeFile struct{ elf.Bytes }

func (*fakeFile) Close() {}

func (f *fakeProcess) open(*Module) (file, error) {
	if f.onDisk == nil {
		return nil, os.ErrNotExist
	}
	return &fakeFile{elf.Bytes{B: f.onDisk}}, nil
}

// module returns the image as a module.
func (f *fakeProcess) module(kind format) *Module {
	return &Module{Path: "/fake", Name: "fake", Base: f.base, Size: uint64(len(f.image)), p: &Process{1, f}, format: kind,
		page: 4096, order: binary.LittleEndian}
}

// loadPE places the parts of a PE file as the loader does.
func loadPE(t testing.TB, b []byte) []byte {
	t.Helper()
	r := pe.NewReader(nil)
	if !r.Open(&pe.Bytes{B: b}, pe.File) {
		t.Fatal("no PE file")
	}
	image := make([]byte, r.Header.SizeOfImage)
	copy(image, b[:r.Header.SizeOfHeaders])
	var s pe.Section
	for i := 0; r.Section(i, &s); i++ {
		copy(image[s.VirtualAddress:], b[s.PointerToRawData:][:min(s.SizeOfRawData, s.Size())])
	}
	return image
}

// TestPE reads an image of Windows on any system.
func TestPE(t *testing.T) {
	b, err := os.ReadFile("../pe/testdata/hello.exe")
	if err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	f := &fakeProcess{base: 0x140000000, image: loadPE(t, b)}
	m := f.module(peFormat)
	var c pe.CodeView
	r := pe.NewReader(nil)
	if !r.Open(&pe.Bytes{B: b}, pe.File) || r.CodeView(&c) == nil {
		t.Fatal("the file has no CodeView record")
	}
	id, err := m.BuildID()
	text, textErr := m.DebugID()
	if err != nil || textErr != nil || !bytes.Equal(id[:16], c.GUID[:]) || binary.LittleEndian.Uint32(id[16:]) != c.Age || text != string(c.AppendDebugID(nil)) {
		t.Errorf("build id %x, debug id %s, %v, %v", id, text, err, textErr)
	}
	s, err := m.Section(".rdata")
	if err != nil || s.FileSize == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	got := make([]byte, min(s.Size, s.FileSize))
	if n, err := m.p.Read(s.Address, got); err != nil || !bytes.Equal(got, b[s.Offset:][:len(got)]) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := m.SoName(); !errors.Is(err, ErrNoSoName) {
		t.Error(err)
	}
	f.image = f.image[:0]
	if _, err := m.Section(".rdata"); !errors.Is(err, ErrNoSection) || !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
	f.image = make([]byte, 4096)
	if _, err := m.BuildID(); !errors.Is(err, ErrNoBuildID) || !errors.Is(err, errUnloaded) {
		t.Error(err)
	}
}

// TestFind checks the order in which paths, names and SONAMEs are compared.
func TestFind(t *testing.T) {
	list := []Module{{Path: "/bin/a", Name: "a", soname: "b"}, {Path: "/lib/b", Name: "b", soname: "c.so.1"}, {Path: "b", Name: "d"}, {Path: "/x/D", Name: "D"}}
	for name, want := range map[string]int{"/bin/a": 0, "a": 0, "b": 2, "c.so.1": 1, "d": 2, "/lib/b": 1, "": -1, "bin/a": -1} {
		got := find(list, name)
		if want < 0 && got != nil || want >= 0 && got != &list[want] {
			t.Errorf("%q: %+v", name, got)
		}
	}
	if m := find(list, "C.SO.1"); (m != nil) != ignoreCase {
		t.Errorf("%+v", m)
	}
}

// FuzzModule looks for everything in a module whose image and file are arbitrary bytes.
func FuzzModule(f *testing.F) {
	if exe, err := os.Executable(); err == nil {
		if file, err := os.Open(exe); err == nil {
			b := make([]byte, 4096)
			n, _ := file.Read(b)
			file.Close()
			f.Add(b[:n], b[:n], uint64(0x400000))
			f.Add(b[:n], []byte{}, ^uint64(0)-100)
		}
	}
	if b, err := os.ReadFile("../pe/testdata/hello.exe"); err == nil {
		f.Add(loadPE(f, b), b[:64], uint64(0x10000))
	}
	f.Fuzz(func(t *testing.T, image, onDisk []byte, base uint64) {
		fake := &fakeProcess{base, image, onDisk}
		for _, kind := range []format{noFormat, elfFormat, peFormat, machoFormat} {
			m := fake.module(kind)
			m.id = image[:min(len(image), 20)]
			m.BuildID()
			m.DebugID()
			m.SoName()
			m.Note("GNU", 3)
			for _, name := range []string{".text", ".bss", "__TEXT,__text", ""} {
				if s, err := m.Section(name); err != nil && !errors.Is(err, ErrNoSection) || err == nil && s.Name != name {
					t.Fatal(s, err)
				}
			}
			m.p.String(base, len(image)+1)
		}
	})
}
