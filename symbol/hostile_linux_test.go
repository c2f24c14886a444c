package symbol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/victims"
)

// TestIrregular checks that pipes, folders and devices are not opened, by name or by a link.
func TestIrregular(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Skip(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	id := bytes.Repeat([]byte{5}, 20)
	start := time.Now()
	for _, root := range []string{"", dir} {
		for _, path := range []string{fifo, link, dir, "/dev/zero", "/fifo", "/link", "/", "", "/nowhere", strings.Repeat("/x", 3000), "/fi\x00fo"} {
			s := Sources{Sysroot: root}
			if _, err := s.Load(Module{Path: path, BuildID: id}); !errors.Is(err, ErrNotFound) {
				t.Errorf("%.40q in %q: %v", path, root, err)
			}
		}
	}
	s := mapped(fifo)
	if _, err := s.Load(Module{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Files: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestSysroot checks that links are followed inside the root and not out of it.
func TestSysroot(t *testing.T) {
	path := compile(t, "gcc", program, "-g", "-Wl,--build-id")
	m := moduleOf(t, path)
	outside := t.TempDir()
	move(t, path, filepath.Join(outside, "prog"))
	root := t.TempDir()
	copyTo := func(to string) {
		b, err := os.ReadFile(filepath.Join(outside, "prog"))
		if err != nil {
			t.Fatal(err)
		}
		os.MkdirAll(filepath.Dir(to), 0o755)
		if err := os.WriteFile(to, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyTo(filepath.Join(root, "usr/lib/real/prog"))
	links := map[string]string{
		"bin":             "usr/bin",
		"usr/bin":         "/usr/lib/real", // absolute: from the root
		"lib":             "../../../../usr/lib",
		"loop":            "loop2",
		"loop2":           "/loop",
		"escape":          outside,
		"up":              "../" + strings.Repeat("../", 20) + outside,
		"usr/lib/prog.so": "real/../real/./prog",
	}
	for from, to := range links {
		if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
			t.Fatal(err)
		}
	}
	s := Sources{Sysroot: root}
	for path, want := range map[string]bool{
		"/usr/lib/real/prog": true, "/bin/prog": true, "/lib/real/prog": true, "/lib/prog.so": true, "/../../usr/lib/real/prog": true,
		"/loop/prog": false, "/escape/prog": false, "/up/prog": false, outside + "/prog": false,
	} {
		m.Path = path
		table, err := s.Load(m)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			table.Close()
		}
	}
	s.Sysroot = filepath.Join(root, "nowhere")
	if _, err := s.Load(m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
	m.Path = filepath.Join(outside, "prog")
	s.Sysroot = "/proc/self/root"
	load(t, s, m)
}

// TestLies checks that a section whose headers contain absurd sizes costs nothing.
func TestLies(t *testing.T) {
	path := compile(t, "gcc", program, "-O2", "-g", "-gz", "-Wl,--build-id")
	m := moduleOf(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	shoff, shnum := le.Uint64(b[40:]), int(le.Uint16(b[60:]))
	for i := range shnum {
		for _, field := range []int{24, 32} { // sh_offset, sh_size
			for _, v := range []uint64{1 << 40, 1<<63 - 1, 1<<64 - 1} {
				bad := bytes.Clone(b)
				le.PutUint64(bad[int(shoff)+i*64+field:], v)
				lookupAll(t, path, bad, m)
			}
		}
		if le.Uint64(b[int(shoff)+i*64+8:])&0x800 != 0 { // SHF_COMPRESSED: ch_size
			for _, v := range []uint64{1 << 29, 1 << 40, 1<<64 - 1} {
				bad := bytes.Clone(b)
				le.PutUint64(bad[le.Uint64(b[int(shoff)+i*64+24:])+8:], v)
				lookupAll(t, path, bad, m)
			}
		}
	}
}

// lookupAll replaces a file and looks up some addresses in it.
func lookupAll(t testing.TB, path string, b []byte, m Module) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Sources{{}, mapped(path)} {
		table, err := s.Load(m)
		if err != nil {
			continue
		}
		for rva := uint64(0x1000); rva < 0x1400; rva += 3 {
			for _, f := range table.Lookup(rva) {
				if len(f.Function) > MaxName || len(f.File) > MaxName || f.Line < 0 {
					t.Errorf("%#x: %d bytes, %d bytes, line %d", rva, len(f.Function), len(f.File), f.Line)
				}
			}
		}
		table.Notes()
		table.Close()
		m.BuildID = nil
	}
}

// FuzzELF changes bytes of a program with debug information, but not in its code, which does not matter.
func FuzzELF(f *testing.F) {
	dir := f.TempDir()
	src := filepath.Join(dir, "prog.c")
	if err := os.WriteFile(src, []byte(program), 0o644); err != nil {
		f.Fatal(err)
	}
	var bases [][]byte
	for i, flags := range [][]string{{"-gdwarf-4"}, {"-gdwarf-5"}, {"-gdwarf-5", "-gz"}} {
		out := filepath.Join(dir, "prog")
		run(f, victims.Tool(f, "gcc"), append(flags, "-O2", "-Wl,--build-id", "-o", out, src)...)
		b, err := os.ReadFile(out)
		if err != nil {
			f.Fatal(err)
		}
		bases = append(bases, b)
		f.Add(uint8(i), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	}
	path := filepath.Join(dir, "fuzzed")
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		b := bytes.Clone(bases[int(which)%len(bases)])
		for ; len(edits) >= 4; edits = edits[4:] {
			at := int(binary.LittleEndian.Uint16(edits))<<4 | int(edits[2]&15)
			b[at%len(b)] = edits[3]
		}
		lookupAll(t, path, b, Module{Path: path})
	})
}

func FuzzBreakpad(f *testing.F) {
	f.Add([]byte(symFile), uint64(0x1015))
	f.Add([]byte("MODULE a b 5A9832E5287241C1838ED98914E9B7FF1 c\nFUNC 0 ffffffffffffffff 0 x\nINLINE 0 1 1 1 0 ffffffffffffffff\n0 1 1 1"), uint64(0))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, rva uint64) {
		if err := os.WriteFile(filepath.Join(dir, "a.sym"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		s := Sources{Dirs: []string{dir}}
		table, err := s.Load(Module{Path: "/nowhere/a", DebugID: "5A9832E5287241C1838ED98914E9B7FF1"})
		if err != nil {
			return
		}
		defer table.Close()
		for _, f := range table.Lookup(rva) {
			if len(f.Function) > MaxName || f.Line < 0 {
				t.Errorf("%+v", f)
			}
		}
	})
}
