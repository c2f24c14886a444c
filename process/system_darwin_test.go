package process

import (
	"debug/macho"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSections compares the sections of the program of another process with its file.
func TestSections(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := macho.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := opened(t, startOther(t).pid)
	m := found(t, p, filepath.Base(exe))
	slide := m.Base - f.Segment("__TEXT").Addr
	loaded, empty := 0, 0
	for _, want := range f.Sections {
		name := want.Seg + "," + want.Name
		s, err := m.Section(name)
		if f.Segment(want.Seg).Memsz == 0 { // debug information
			if !errors.Is(err, ErrNoSection) {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
			continue
		}
		loaded++
		fileSize, offset := want.Size, uint64(want.Offset)
		if want.Flags&sectionType == zeroFill {
			fileSize, offset = 0, 0
			empty++
		}
		if err != nil || s.Address != want.Addr+slide || s.Size != want.Size || s.FileSize != fileSize || s.Offset != offset {
			t.Errorf("%s: %+v, %v; the file has %+v", name, s, err, want.SectionHeader)
		}
	}
	if loaded == 0 || empty == 0 {
		t.Errorf("%d sections, %d of them not in the file", loaded, empty)
	}
	for _, name := range []string{"__TEXT", "__text", ",", "__TEXT,", ",__text", "__TEXT,__text,"} {
		if s, err := m.Section(name); !errors.Is(err, ErrNoSection) {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
}
