package symbol

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"minidump/internal/scratch"
)

// symFile is a symbol file as dump_syms writes it.
const symFile = `MODULE windows x86_64 5A9832E5287241C1838ED98914E9B7FF1 app.pdb
INFO CODE_ID 5C1A6AC37000 app.exe
FILE 0 c:\src\app.cpp
FILE 1 c:\src\inline.h
INLINE_ORIGIN 0 helper(int)
INLINE_ORIGIN 1 inner(int)
FUNC m 1000 40 0 first(int)
INLINE 0 12 0 0 1010 10 1030 4
INLINE 1 5 1 1 1014 4
1000 10 11 0
1010 4 4 1
1014 4 99 1
1018 18 5 1
1030 10 13 0
FUNC 1060 10 0 second
1060 10 20 0
PUBLIC 1100 0 _ZN3foo3barEv
PUBLIC m 1200 0 last
STACK CFI INIT 1000 40 .cfa: $rsp 8 +
STACK CFI 1001 .cfa: $rsp 16 +
`

// putSym writes symFile where a symbol server stores it.
func putSym(t *testing.T, text string, elem ...string) string {
	t.Helper()
	dir := scratch.Dir(t)
	path := filepath.Join(append([]string{dir}, elem...)...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBreakpad(t *testing.T) {
	const id = "5A9832E5287241C1838ED98914E9B7FF1"
	dir := putSym(t, symFile, "app.pdb", id, "app.sym")
	s := Sources{Dirs: []string{dir}}
	m := Module{Path: `C:\Program Files\app.exe`, DebugID: id, DebugFile: `D:\build\app.pdb`, Size: 0x7000}
	table, err := s.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	src, header := `c:\src\app.cpp`, `c:\src\inline.h`
	for rva, want := range map[uint64][]Frame{
		0xfff:  nil,
		0x1000: {{"first(int)", 0, src, 11, false}},
		0x1011: {{"helper(int)", 1, header, 4, true}, {"first(int)", 0x11, src, 12, false}},
		0x1015: {{"inner(int)", 1, header, 99, true}, {"helper(int)", 5, header, 5, true}, {"first(int)", 0x15, src, 12, false}},
		0x1020: {{"first(int)", 0x20, header, 5, false}},
		0x1031: {{"helper(int)", 1, src, 13, true}, {"first(int)", 0x31, src, 12, false}},
		0x103f: {{"first(int)", 0x3f, src, 13, false}},
		0x1040: nil,
		0x1065: {{"second", 5, src, 20, false}},
		0x1070: nil,
		0x1105: {{"foo::bar()", 5, "", 0, false}},
		0x1200: {{"last", 0, "", 0, false}},
		0x7000: nil,
	} {
		if got := table.Lookup(rva); !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: %+v, want %+v", rva, got, want)
		}
	}
	m.DebugID = "5A9832E5287241C1838ED98914E9B7FF2"
	if _, err := s.Load(m); !errors.Is(err, ErrNotFound) {
		t.Errorf("another age: %v", err)
	}
	for _, names := range [][]string{{"app.sym"}, {"app.exe", id, "app.exe.sym"}, {"app.pdb", m.DebugID, "app.sym"}} {
		s := Sources{Dirs: []string{putSym(t, symFile, names...)}}
		if _, err := s.Load(m); !errors.Is(err, ErrOtherBuild) && !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", names, err)
		}
	}
}

// TestBreakpadRaw finds a symbol file by the bytes of the CodeView record.
func TestBreakpadRaw(t *testing.T) {
	dir := putSym(t, symFile, "app.exe", "5A9832E5287241C1838ED98914E9B7FF1", "app.exe.sym")
	raw := []byte("\xe5\x32\x98\x5a\x72\x28\xc1\x41\x83\x8e\xd9\x89\x14\xe9\xb7\xff\x01\x00\x00\x00")
	s := Sources{Dirs: []string{dir}}
	table, err := s.Load(Module{Path: "app.exe", BuildID: raw})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if got := table.Lookup(0x1060); len(got) != 1 || got[0].Function != "second" {
		t.Errorf("%+v", got)
	}
}

// TestConcurrent looks up addresses from several goroutines while the table is closed.
func TestConcurrent(t *testing.T) {
	const id = "5A9832E5287241C1838ED98914E9B7FF1"
	s := Sources{Dirs: []string{putSym(t, symFile, "app.sym")}}
	table, err := s.Load(Module{Path: "/nowhere/app", DebugID: id})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for rva := uint64(0x1000); rva < 0x1200; rva++ {
				table.Lookup(rva)
				table.Notes()
			}
		})
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if got := table.Lookup(0x1000); got != nil {
		t.Errorf("a closed table has %+v", got)
	}
}
