package process

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// supported skips a test where no process can be read.
func supported(t testing.TB) {
	t.Helper()
	switch runtime.GOOS {
	case "linux", "android", "windows", "darwin", "ios":
	default:
		t.Skip("not supported on this system")
	}
}

// codeSections are the names of the section with the code, where it is not .text.
var codeSections = map[string]string{"windows": ".text", "darwin": "__TEXT,__text"}

func codeSection() string {
	if name := codeSections[runtime.GOOS]; name != "" {
		return name
	}
	return ".text"
}

// TestOther reads another process: a text, its program by path and by name, and the section with its code.
func TestOther(t *testing.T) {
	supported(t)
	o := startOther(t)
	p := opened(t, o.pid)
	if text, err := p.String(o.secret, 100); err != nil || text != secretText {
		t.Errorf("%q, %v", text, err)
	}
	b := make([]byte, len(secretText))
	if n, err := p.Read(o.secret, b); n != len(b) || err != nil || string(b) != secretText {
		t.Errorf("%d bytes %q, %v", n, b, err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.Modules()
	if err != nil || len(list) == 0 {
		t.Fatalf("%d modules, %v", len(list), err)
	}
	for i := range list {
		t.Logf("%#x %#x %s %s", list[i].Base, list[i].Size, list[i].Name, list[i].Path)
	}
	if list[0].Name != filepath.Base(exe) {
		t.Errorf("the first module is %s, not the program %s", list[0].Name, exe)
	}
	m := found(t, p, filepath.Base(exe))
	if byPath := found(t, p, m.Path); byPath.Base != m.Base {
		t.Errorf("by path %#x, by name %#x", byPath.Base, m.Base)
	}
	if o.code < m.Base || o.code-m.Base >= m.Size {
		t.Errorf("code at %#x is not in %#x, %#x bytes", o.code, m.Base, m.Size)
	}
	s, err := m.Section(codeSection())
	if err != nil || o.code < s.Address || o.code-s.Address >= s.Size || s.Name != codeSection() {
		t.Errorf("code at %#x is not in %+v, %v", o.code, s, err)
	}
	checkContents(t, p, exe, &s)
	if _, err := m.Section("nonesuch"); !errors.Is(err, ErrNoSection) {
		t.Error(err)
	}
	if _, err := p.FindModule("nonesuch"); !errors.Is(err, ErrNoModule) {
		t.Error(err)
	}
}

// checkContents compares the start of a section in memory with the file.
func checkContents(t *testing.T, p *Process, path string, s *Section) {
	t.Helper()
	if s.FileSize == 0 {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	here, there := make([]byte, min(s.Size, s.FileSize, 4096)), make([]byte, min(s.Size, s.FileSize, 4096))
	if _, err := f.ReadAt(here, int64(s.Offset)); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(s.Address, there); err != nil || !bytes.Equal(here, there) {
		t.Errorf("section %s: %d bytes, which differ from the file, or %v", s.Name, n, err)
	}
}

// TestIdentity checks the build ids of the modules of this process, including the system's libraries.
func TestIdentity(t *testing.T) {
	supported(t)
	p := opened(t, os.Getpid())
	list, err := p.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		m := &list[i]
		id, err := m.BuildID()
		text, textErr := m.DebugID()
		t.Logf("%s: %x %s %v", m.Name, id, text, err)
		switch {
		case (err == nil) != (textErr == nil):
			t.Errorf("%s: %v, %v", m.Name, err, textErr)
		case err != nil && !errors.Is(err, ErrNoBuildID):
			t.Errorf("%s: %v", m.Name, err)
		case err == nil && (len(text) < 9 || strings.Trim(text, "0123456789ABCDEFabcdef") != "" || len(id) == 0):
			t.Errorf("%s: debug id %q of build id %x", m.Name, text, id)
		}
		if _, err := m.SoName(); err != nil && !errors.Is(err, ErrNoSoName) {
			t.Errorf("%s: %v", m.Name, err)
		}
		if _, _, err := m.Note("nonesuch", 1); !errors.Is(err, ErrNoNote) {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	supported(t)
	p := opened(t, os.Getpid())
	b := make([]byte, 16)
	for _, addr := range []uint64{0, 16, ^uint64(0), ^uint64(0) - 7, 1 << 63, 0xffff_f000} {
		n, err := p.Read(addr, b)
		if n == len(b) && addr == 0xffff_f000 { // in a 64-bit process it may be mapped
			continue
		}
		if n != 0 || !errors.Is(err, ErrUnreadable) {
			t.Errorf("%#x: %d bytes, %v", addr, n, err)
		}
		if text, err := p.String(addr, 8); text != "" || !errors.Is(err, ErrUnreadable) {
			t.Errorf("%#x: %q, %v", addr, text, err)
		}
	}
	if n, err := p.Read(0, nil); n != 0 || err != nil {
		t.Errorf("%d, %v for no bytes", n, err)
	}
}

func TestString(t *testing.T) {
	supported(t)
	p := opened(t, os.Getpid())
	long := append(bytes.Repeat([]byte("0123456789"), 2000), 0)
	for _, test := range []struct {
		from, most int
		err        error
	}{{0, 20000, nil}, {0, 30000, nil}, {0, 19999, ErrTooLong}, {1, 1, ErrTooLong}, {19990, 10, nil}, {20000, 0, nil}, {0, 0, ErrTooLong}, {0, -1, ErrTooLong}} {
		text, err := p.String(address(&long[test.from]), test.most)
		want := string(long[test.from:20000])
		if test.err != nil {
			want = want[:max(test.most, 0)]
		}
		if text != want || !errors.Is(err, test.err) {
			t.Errorf("%d, at most %d: %d bytes, %v", test.from, test.most, len(text), err)
		}
	}
	runtime.KeepAlive(long)
}

func TestNoProcess(t *testing.T) {
	supported(t)
	o := startOther(t)
	p := opened(t, o.pid)
	m := found(t, p, filepath.Base(os.Args[0]))
	o.end()
	for _, pid := range []int{o.pid, -1, 1 << 30} {
		if _, err := Open(pid); !errors.Is(err, ErrNoProcess) {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	if n, err := p.Read(o.secret, make([]byte, 8)); n != 0 || !errors.Is(err, ErrNoProcess) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := p.Modules(); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
	if _, err := m.Section(codeSection()); !errors.Is(err, ErrNoSection) || !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	supported(t)
	p := opened(t, os.Getpid())
	list, err := p.Modules()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(address(new(byte)), make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := p.Modules(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := list[0].Section(codeSection()); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNoSection) {
		t.Error(err)
	}
}
