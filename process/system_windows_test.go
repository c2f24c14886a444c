package process

import (
	"debug/pe"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// TestSections compares the sections of the program of another process with those in its file.
func TestSections(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := pe.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := opened(t, startOther(t).pid)
	m := found(t, p, strings.ToUpper(filepath.Base(exe)))
	for _, want := range f.Sections {
		s, err := m.Section(want.Name)
		if len(want.Name) > 8 {
			if !errors.Is(err, ErrNoSection) {
				t.Errorf("%s: %+v, %v", want.Name, s, err)
			}
			continue
		}
		if err != nil || s.Address != m.Base+uint64(want.VirtualAddress) || s.Size != uint64(want.VirtualSize) ||
			s.FileSize > 0 && (s.FileSize != uint64(want.Size) || s.Offset != uint64(want.Offset)) {
			t.Errorf("%s: %+v, %v; the file has %+v", want.Name, s, err, want.SectionHeader)
		}
	}
}

// TestGuardPage checks that a read ends at a guard page and does not remove its guard.
func TestGuardPage(t *testing.T) {
	const page, MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE, PAGE_GUARD = 4096, 0x1000, 0x2000, 4, 0x100
	kernel32 := syscall.NewLazyDLL("kernel32.dll")
	addr, _, err := kernel32.NewProc("VirtualAlloc").Call(0, 2*page, MEM_COMMIT|MEM_RESERVE, PAGE_READWRITE)
	if addr == 0 {
		t.Fatal(err)
	}
	var old uint32
	if r, _, err := kernel32.NewProc("VirtualProtect").Call(addr+page, page, PAGE_READWRITE|PAGE_GUARD, uintptr(unsafe.Pointer(&old))); r == 0 {
		t.Fatal(err)
	}
	p := opened(t, os.Getpid())
	for range 2 {
		if n, err := p.Read(uint64(addr), make([]byte, 2*page)); n != page || !errors.Is(err, ErrUnreadable) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}
