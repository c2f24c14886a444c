package elf

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// need returns the path of a tool. Without the tool it skips the test, or fails it in CI, where all tools must be installed.
func need(t testing.TB, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		missing(t, "no "+tool+": "+err.Error())
	}
	return path
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// buildGo builds a program that imports nothing (so that a cross build compiles little) and returns its path.
func buildGo(t testing.TB, goos, goarch string, flags ...string) string {
	t.Helper()
	victims.SkipCross(t, goos, goarch)
	tool := need(t, "go")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/hello\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { println(\"hello\") }\n")
	out := filepath.Join(dir, "hello")
	cmd := exec.Command(tool, append(append([]string{"build", "-o", out}, flags...), ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=", "GOWORK=off")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s/%s: %v\n%s", goos, goarch, err, b)
	}
	return out
}

// onLinux skips the test on systems whose C compiler does not produce ELF files.
func onLinux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the C compiler and strip of " + runtime.GOOS + " are not for ELF files")
	}
}

// buildC compiles C source with gcc and returns the path of the result.
func buildC(t testing.TB, source string, flags ...string) string {
	t.Helper()
	onLinux(t)
	tool := need(t, "gcc")
	dir := t.TempDir()
	src, out := filepath.Join(dir, "x.c"), filepath.Join(dir, "out")
	write(t, src, source)
	if b, err := exec.Command(tool, append(flags, "-o", out, src)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(flags, " "), err, b)
	}
	return out
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noAllocs fails the test if f allocates.
func noAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

// synth builds small ELF files byte by byte, of any class and byte order.
type synth struct {
	class    Class
	order    binary.ByteOrder
	typ      uint16
	machine  uint16
	progs    []Prog
	sections []Section // without section 0
	strndx   uint16    // e_shstrndx
	body     map[uint64][]byte
	phoff    uint64
	shoff    uint64
}

func (s *synth) word(b []byte, v uint64) []byte {
	if s.class == Class64 {
		return s.order.(appender).AppendUint64(b, v)
	}
	return s.order.(appender).AppendUint32(b, uint32(v))
}

// appender has the Append methods of both byte orders.
type appender interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func (s *synth) bytes() []byte {
	o := s.order.(appender)
	data := byte(1)
	if s.order == binary.ByteOrder(binary.BigEndian) {
		data = 2
	}
	psize, ssize, hsize := ProgSize32, SectionSize32, HeaderSize32
	if s.class == Class64 {
		psize, ssize, hsize = ProgSize64, SectionSize64, HeaderSize64
	}
	if s.phoff == 0 && len(s.progs) != 0 {
		s.phoff = uint64(hsize)
	}
	b := []byte{0x7f, 'E', 'L', 'F', byte(s.class), data, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0}
	b = o.AppendUint16(b, s.typ)
	b = o.AppendUint16(b, s.machine)
	b = o.AppendUint32(b, 1)
	b = s.word(b, 0x1234)
	b = s.word(b, s.phoff)
	b = s.word(b, s.shoff)
	b = o.AppendUint32(b, 0xdeadbeef)
	b = o.AppendUint16(b, uint16(hsize))
	b = o.AppendUint16(b, uint16(psize))
	b = o.AppendUint16(b, uint16(len(s.progs)))
	b = o.AppendUint16(b, uint16(ssize))
	if s.shoff != 0 {
		b = o.AppendUint16(b, uint16(len(s.sections)+1))
	} else {
		b = o.AppendUint16(b, 0)
	}
	b = o.AppendUint16(b, s.strndx)

	var p []byte
	for _, x := range s.progs {
		p = o.AppendUint32(p, x.Type)
		if s.class == Class64 {
			p = o.AppendUint32(p, x.Flags)
		}
		for _, v := range []uint64{x.Off, x.Vaddr, x.Paddr, x.Filesz, x.Memsz} {
			p = s.word(p, v)
		}
		if s.class == Class32 {
			p = o.AppendUint32(p, x.Flags)
		}
		p = s.word(p, x.Align)
	}
	b = put(b, s.phoff, p)
	if s.shoff != 0 {
		h := make([]byte, ssize)
		for _, x := range s.sections {
			h = o.AppendUint32(h, x.Name)
			h = o.AppendUint32(h, x.Type)
			for _, v := range []uint64{x.Flags, x.Addr, x.Off, x.Size} {
				h = s.word(h, v)
			}
			h = o.AppendUint32(h, x.Link)
			h = o.AppendUint32(h, x.Info)
			h = s.word(h, x.Align)
			h = s.word(h, x.Entsize)
		}
		b = put(b, s.shoff, h)
	}
	for off, data := range s.body {
		b = put(b, off, data)
	}
	return b
}

// put writes data at offset off of b, which grows as needed.
func put(b []byte, off uint64, data []byte) []byte {
	if n := int(off) + len(data); n > len(b) {
		b = append(b, make([]byte, n-len(b))...)
	}
	copy(b[off:], data)
	return b
}

// note builds one note.
func note(o binary.ByteOrder, align int, name string, typ uint32, desc []byte) []byte {
	a := o.(appender)
	pad := func(b []byte) []byte {
		for len(b)%align != 0 {
			b = append(b, 0)
		}
		return b
	}
	b := a.AppendUint32(nil, uint32(len(name)))
	b = a.AppendUint32(b, uint32(len(desc)))
	b = a.AppendUint32(b, typ)
	b = pad(append(b, name...))
	return pad(append(b, desc...))
}

// dyn builds a dynamic section from pairs of tag and value, with DT_NULL at its end.
func dyn(c Class, o binary.ByteOrder, pairs ...uint64) []byte {
	s := synth{class: c, order: o}
	var b []byte
	for _, v := range append(pairs, 0, 0) {
		b = s.word(b, v)
	}
	return b
}

// kinds are all kinds of images.
var kinds = []struct {
	name  string
	class Class
	order binary.ByteOrder
}{
	{"64 little", Class64, binary.LittleEndian},
	{"64 big", Class64, binary.BigEndian},
	{"32 little", Class32, binary.LittleEndian},
	{"32 big", Class32, binary.BigEndian},
}
