package macho

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"minidump/internal/victims"
)

// kinds are all word sizes and byte orders.
var kinds = []struct {
	name  string
	is64  bool
	order appender
}{
	{"64-bit little-endian", true, binary.LittleEndian},
	{"64-bit big-endian", true, binary.BigEndian},
	{"32-bit little-endian", false, binary.LittleEndian},
	{"32-bit big-endian", false, binary.BigEndian},
}

// appender has the Append methods of both byte orders.
type appender interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// missing skips the test, or fails it in CI, where nothing may be missing.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// buildGo builds a program for darwin that imports nothing and returns its bytes.
func buildGo(t testing.TB, goarch string) []byte {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		missing(t, "no go command: "+err.Error())
	}
	victims.SkipCross(t, "darwin", goarch)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "hello")
	cmd := exec.Command(tool, "build", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=darwin", "GOARCH="+goarch, "GOFLAGS=", "GOWORK=off")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for darwin/%s: %v\n%s", goarch, err, b)
	}
	b, err := os.ReadFile(out)
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

// synth builds a header and load commands of any word size and byte order.
func synth(is64 bool, o appender, cmds ...[]byte) []byte {
	magic, reserved := uint32(MH_MAGIC), 0
	if is64 {
		magic, reserved = MH_MAGIC_64, 4
	}
	all := bytes.Join(cmds, nil)
	var b []byte
	for _, v := range []uint32{magic, CPU_TYPE_ARM64, 0x80000002, MH_DYLIB, uint32(len(cmds)), uint32(len(all)), 0x85} {
		b = o.AppendUint32(b, v)
	}
	return append(append(b, make([]byte, reserved)...), all...)
}

// command builds a load command from 32-bit words and a text, which it pads.
func command(o appender, cmd uint32, words []uint32, text string) []byte {
	for len(text)%8 != 0 {
		text += "\x00"
	}
	b := o.AppendUint32(nil, cmd)
	b = o.AppendUint32(b, uint32(8+4*len(words)+len(text)))
	for _, v := range words {
		b = o.AppendUint32(b, v)
	}
	return append(b, text...)
}

// synthSection is a section of synthSegment.
type synthSection struct {
	name       string
	addr, size uint64
	off        uint32
}

// synthSegment builds a segment command.
func synthSegment(is64 bool, o appender, name string, addr, size, off uint64, sections ...synthSection) []byte {
	word := func(b []byte, v uint64) []byte {
		if is64 {
			return o.AppendUint64(b, v)
		}
		return o.AppendUint32(b, uint32(v))
	}
	padded := func(s string) string { return s + string(make([]byte, 16-len(s))) }
	b := []byte(padded(name))
	for _, v := range []uint64{addr, size, off, size} {
		b = word(b, v)
	}
	for _, v := range []uint32{5, 5, uint32(len(sections)), 0} {
		b = o.AppendUint32(b, v)
	}
	for _, x := range sections {
		b = append(b, padded(x.name)+padded(name)...)
		b = word(word(b, x.addr), x.size)
		for _, v := range []uint32{x.off, 4, 0, 0, 0x80000400, 0, 0} {
			b = o.AppendUint32(b, v)
		}
		if is64 {
			b = append(b, 0, 0, 0, 0)
		}
	}
	cmd := uint32(LC_SEGMENT)
	if is64 {
		cmd = LC_SEGMENT_64
	}
	head := o.AppendUint32(o.AppendUint32(nil, cmd), uint32(8+len(b)))
	return append(head, b...)
}

// scan reads header and load commands from b.
func scan(t *testing.T, b []byte) (*Image, []byte) {
	t.Helper()
	h, ok := ParseHeader(b)
	if !ok {
		t.Fatal("no header")
	}
	cmds := b[h.Size():]
	im := new(Image)
	im.Scan(&h, cmds)
	return im, cmds
}
