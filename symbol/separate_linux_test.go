package symbol

import (
	stdelf "debug/elf"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// stripped compiles program, and returns a copy without debug information and symbols, a file with both, and the module.
func stripped(t *testing.T, flags ...string) (image, debug string, m Module) {
	t.Helper()
	objcopy, strip := victims.Tool(t, "objcopy"), victims.Tool(t, "strip")
	full := compile(t, "gcc", program, append(flags, "-O2", "-g", "-Wl,--build-id")...)
	dir := t.TempDir()
	image, debug = filepath.Join(dir, "prog"), filepath.Join(dir, "prog.debug")
	run(t, objcopy, "--only-keep-debug", full, debug)
	run(t, strip, "-o", image, full)
	return image, debug, moduleOf(t, image)
}

// move moves a file and creates the folders of the new path.
func move(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, b)
	os.Remove(from)
}

// whole fails unless a table knows the functions, lines and inlined calls of program.
func whole(t *testing.T, table *Table, path string) {
	t.Helper()
	addrs, base := codeAddresses(t, path, 1)
	seen := map[string]bool{}
	for _, a := range addrs {
		for _, f := range table.Lookup(a - base) {
			if f.File != "" && f.Line > 0 {
				seen[f.Function] = true
			}
			seen["inlined"] = seen["inlined"] || f.Inlined
		}
	}
	for _, name := range []string{"main", "outer", "middle", "twice", "inlined"} {
		if !seen[name] {
			t.Errorf("%s is missing: %v, notes %q", name, seen, table.Notes())
		}
	}
}

func TestSeparate(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		image, debug, m := stripped(t)
		os.Remove(debug)
		table := load(t, Sources{}, m)
		if table.ELF() == nil || table.DebugELF() != nil {
			t.Errorf("%v %v", table.ELF(), table.DebugELF())
		}
		_ = image
	})
	t.Run("build-id", func(t *testing.T) {
		image, debug, m := stripped(t)
		dir := t.TempDir()
		move(t, debug, filepath.Join(dir, ".build-id", buildIDPath(m.BuildID)+".debug"))
		table := load(t, Sources{Dirs: []string{dir}}, m)
		whole(t, table, image)
		if table.ELF() == nil || table.DebugELF() == nil {
			t.Errorf("%v %v", table.ELF(), table.DebugELF())
		}
	})
	t.Run("without the image", func(t *testing.T) {
		image, debug, m := stripped(t)
		dir := t.TempDir()
		move(t, debug, filepath.Join(dir, ".build-id", buildIDPath(m.BuildID)+".debug"))
		m.Path = "/nowhere/prog"
		table := load(t, Sources{Dirs: []string{dir}}, m)
		whole(t, table, image)
		if table.ELF() != nil || table.DebugELF() == nil {
			t.Errorf("%v %v", table.ELF(), table.DebugELF())
		}
	})
	t.Run("debug id alone", func(t *testing.T) {
		image, _, m := stripped(t)
		dir := t.TempDir()
		move(t, filepath.Join(filepath.Dir(image), "prog.debug"), filepath.Join(dir, "prog.debug"))
		m.DebugID = strings.ToLower(forms(m.BuildID)[0])
		m.BuildID = nil
		whole(t, load(t, Sources{Dirs: []string{dir}}, m), image)
	})
}

// TestDebugLink looks for debug files by their names and CRCs.
func TestDebugLink(t *testing.T) {
	for _, place := range []string{"prog.debug", ".debug/prog.debug"} {
		t.Run(place, func(t *testing.T) {
			image, debug, m := stripped(t)
			run(t, victims.Tool(t, "objcopy"), "--add-gnu-debuglink="+debug, image)
			if place != "prog.debug" {
				move(t, debug, filepath.Join(filepath.Dir(image), place))
			}
			whole(t, load(t, Sources{}, m), image)
		})
	}
	t.Run("debuglink, no build id", func(t *testing.T) {
		image, debug, m := stripped(t, "-Wl,--build-id=none")
		run(t, victims.Tool(t, "objcopy"), "--add-gnu-debuglink="+debug, image)
		whole(t, load(t, Sources{}, m), image)
	})
	t.Run("debuglink, other file", func(t *testing.T) {
		image, debug, m := stripped(t)
		run(t, victims.Tool(t, "objcopy"), "--add-gnu-debuglink="+debug, image)
		f, err := os.OpenFile(debug, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("x")
		f.Close()
		table := load(t, Sources{}, m)
		if table.DebugELF() != nil || !strings.Contains(strings.Join(table.Notes(), "\n"), "a different build") {
			t.Errorf("debug file %v, notes %q", table.DebugELF(), table.Notes())
		}
	})
}

// TestOtherBuild checks that a file of another build, or one without an id, is never used because of its name.
func TestOtherBuild(t *testing.T) {
	path := compile(t, "gcc", program, "-g", "-Wl,--build-id")
	m := moduleOf(t, path)
	other := m
	other.BuildID = append([]byte(nil), m.BuildID...)
	other.BuildID[3] ^= 1
	dir := t.TempDir()
	move(t, path, filepath.Join(dir, "prog"))
	other.Path, m.Path = filepath.Join(dir, "prog"), filepath.Join(dir, "prog")
	for name, c := range map[string]struct {
		s    Sources
		m    Module
		want error
	}{
		"path":      {Sources{}, other, ErrOtherBuild},
		"folder":    {Sources{Dirs: []string{dir}}, Module{Path: "/x/prog", BuildID: other.BuildID}, ErrOtherBuild},
		"Files":     {Sources{Files: func(Module) (string, bool) { return m.Path, true }}, Module{Path: "/x/prog", BuildID: other.BuildID}, ErrOtherBuild},
		"debug id":  {Sources{}, Module{Path: m.Path, DebugID: "0123456789ABCDEF0123456789ABCDEF0"}, ErrOtherBuild},
		"no id":     {Sources{}, Module{Path: m.Path}, ErrNotFound},
		"zeros":     {Sources{}, Module{Path: m.Path, BuildID: make([]byte, 20)}, ErrNotFound},
		"bad id":    {Sources{}, Module{Path: m.Path, DebugID: "no id"}, ErrNotFound},
		"not there": {Sources{}, Module{Path: "/nowhere/prog", BuildID: m.BuildID}, ErrNotFound},
	} {
		if table, err := c.s.Load(c.m); !errors.Is(err, c.want) || table != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	s := Sources{Files: func(Module) (string, bool) { return m.Path, true }}
	if table := load(t, s, Module{Path: "/x/prog"}); table.ELF() == nil {
		t.Error("a mapped file was not taken")
	}
}

// TestDwz reads debug information that two programs share in a file made by dwz.
func TestDwz(t *testing.T) {
	dwz := victims.Tool(t, "dwz")
	a, b := compile(t, "g++", cxxProgram, "-O2", "-g", "-Wl,--build-id"), compile(t, "g++", cxxProgram+"int unused;\n", "-O2", "-g", "-Wl,--build-id")
	m := moduleOf(t, a)
	before := load(t, Sources{}, m)
	addrs, base := codeAddresses(t, a, 3)
	var want [][]Frame
	for _, addr := range addrs {
		want = append(want, before.Lookup(addr-base))
	}
	common := filepath.Join(filepath.Dir(a), "common.debug")
	run(t, dwz, "-m", common, "-r", a, b)
	table := load(t, Sources{}, m)
	for i, addr := range addrs {
		if got := table.Lookup(addr - base); !reflect.DeepEqual(got, want[i]) {
			t.Errorf("%#x: %+v, want %+v", addr, got, want[i])
		}
	}
	for _, note := range table.Notes() {
		t.Errorf("note %s", note)
	}
	os.Remove(common)
	table = load(t, Sources{}, m)
	for _, addr := range addrs {
		table.Lookup(addr - base)
	}
	if notes := strings.Join(table.Notes(), "\n"); !strings.Contains(notes, "supplementary debug file") {
		t.Errorf("notes %q", notes)
	}
}

// TestDirs uses an unstripped copy of the image, and reports a PDB file.
func TestDirs(t *testing.T) {
	full := compile(t, "gcc", program, "-O2", "-g", "-Wl,--build-id")
	bare := filepath.Join(t.TempDir(), "prog")
	run(t, victims.Tool(t, "strip"), "-o", bare, full)
	m := moduleOf(t, bare)
	m.DebugFile = `C:\build\prog.pdb`
	dir := filepath.Dir(full)
	put(t, filepath.Join(dir, "prog.pdb"), []byte("Microsoft C/C++ MSF 7.00\r\n"))
	table := load(t, Sources{Dirs: []string{t.TempDir(), dir}}, m)
	whole(t, table, full)
	if table.ELF() == nil || table.ELF().SectionByType(stdelf.SHT_SYMTAB) != nil || table.DebugELF() == nil {
		t.Errorf("%v %v", table.ELF(), table.DebugELF())
	}
	m.BuildID, m.DebugID = nil, "0123456789ABCDEF0123456789ABCDEF1"
	s := Sources{Dirs: []string{dir}}
	if _, err := s.Load(m); !errors.Is(err, ErrOtherBuild) {
		t.Error(err)
	}
	for _, m := range []Module{{Path: "../../etc/passwd", DebugID: m.DebugID}, {Path: "/x/..", DebugID: m.DebugID, DebugFile: "/"}, {DebugID: m.DebugID}} {
		if _, err := s.Load(m); !errors.Is(err, ErrNotFound) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
