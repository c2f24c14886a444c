package dll

import (
	"bytes"
	stdpe "debug/pe"
	"errors"
	"slices"
	"strings"
	"testing"

	"minidump/pe"
)

// sample returns a library with an entry, exports, imports and functions.
func sample(machine uint16) *Library {
	return &Library{
		Machine: machine, Name: "sample.dll", Code: bytes.Repeat([]byte{0xc3}, 40), Entry: 32, HasEntry: true,
		Exports: []Export{{"First", 0}, {"Second", 16}}, From: "kernel32.dll", Imports: []string{"Sleep", "SetEvent", "CloseHandle"},
		Functions: []Function{{0, 16, []byte{1, 0, 0, 0}}, {16, 32, []byte{1, 4, 1, 0, 4, 2, 0, 0}}},
	}
}

var machines = []uint16{pe.IMAGE_FILE_MACHINE_AMD64, pe.IMAGE_FILE_MACHINE_ARM64, pe.IMAGE_FILE_MACHINE_I386}

// TestRead reads libraries by debug/pe, and by package pe both as a file and as the loader would lay them out in memory.
func TestRead(t *testing.T) {
	for _, m := range machines {
		l := sample(m)
		b, err := l.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f, err := stdpe.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := f.ImportedSymbols()
		if want := []string{"Sleep:kernel32.dll", "SetEvent:kernel32.dll", "CloseHandle:kernel32.dll"}; err != nil || !slices.Equal(symbols, want) {
			t.Errorf("%#x: imports %q, %v", m, symbols, err)
		}
		loaded := make([]byte, dataRVA+3*page)
		copy(loaded, b[:headersSize])
		for _, s := range f.Sections {
			copy(loaded[s.VirtualAddress:], b[s.Offset:s.Offset+min(s.Size, s.VirtualSize)])
		}
		compare(t, l, b, pe.File)
		compare(t, l, loaded, pe.Loaded)
	}
}

// compare reads a library by package pe, and compares it with l.
func compare(t *testing.T, l *Library, b []byte, layout pe.Layout) {
	t.Helper()
	r := pe.NewReader(nil)
	if !r.Open(&pe.Bytes{B: b}, layout) {
		t.Fatal("not read")
	}
	h := &r.Header
	if h.Machine != l.Machine || h.Is64() != (l.word() == 8) || h.AddressOfEntryPoint != codeRVA+l.Entry || h.SizeOfImage%page != 0 {
		t.Errorf("%+v", h)
	}
	if name := string(r.ExportedAs()); name != l.Name {
		t.Errorf("name %q", name)
	}
	var x pe.Exports
	r.Exports(&x)
	var got []Export
	for e := range x.All(r) {
		got = append(got, Export{string(e.Name), e.RVA - codeRVA})
	}
	if !slices.Equal(got, l.Exports) {
		t.Errorf("exports %v", got)
	}
	size := 12 // of a RUNTIME_FUNCTION
	if l.Machine == pe.IMAGE_FILE_MACHINE_ARM64 {
		size = 8
	}
	iat, unwind := h.Directories[pe.IMAGE_DIRECTORY_ENTRY_IAT], h.Directories[pe.IMAGE_DIRECTORY_ENTRY_EXCEPTION]
	if iat.RVA != codeRVA+CodeToImports || iat.Size != uint32(4*l.word()) || unwind.Size != uint32(size*len(l.Functions)) {
		t.Errorf("imports at %#x, %d bytes; %d bytes of functions", iat.RVA, iat.Size, unwind.Size)
	}
}

func TestSame(t *testing.T) {
	a, err := sample(machines[0]).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := sample(machines[0]).Bytes(); err != nil || !bytes.Equal(a, b) {
		t.Errorf("another file, %v", err)
	}
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Library)
		want error
	}{
		"a whole page of code":   {func(l *Library) { l.Code = make([]byte, page) }, nil},
		"more than a page":       {func(l *Library) { l.Code = make([]byte, page+1) }, errSize},
		"a long name":            {func(l *Library) { l.Imports[1] = strings.Repeat("x", page) }, errSize},
		"many functions":         {func(l *Library) { l.Functions = make([]Function, page/12+1) }, errSize},
		"another machine":        {func(l *Library) { l.Machine = pe.IMAGE_FILE_MACHINE_ARMNT }, errMachine},
		"exports without order":  {func(l *Library) { slices.Reverse(l.Exports) }, errOrder},
		"an export twice":        {func(l *Library) { l.Exports[1].Name = l.Exports[0].Name }, errOrder},
		"nothing but an export":  {func(l *Library) { *l = Library{Machine: l.Machine, Code: l.Code, Exports: l.Exports[:1]} }, nil},
		"no export, no function": {func(l *Library) { l.Exports, l.Functions = nil, nil }, nil},
	} {
		l := sample(machines[0])
		c.edit(l)
		b, err := l.Bytes()
		if !errors.Is(err, c.want) || (err == nil) != (b != nil) {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
		if b == nil {
			continue
		}
		if f, err := stdpe.NewFile(bytes.NewReader(b)); err != nil || len(f.Sections) < 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
