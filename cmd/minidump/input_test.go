package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"minidump/internal/scratch"
	"minidump/stream"
)

// TestShowInputs shows the same dump as a file, as a file on standard input and as a pipe on standard input, each
// also compressed.
func TestShowInputs(t *testing.T) {
	dir := scratch.Dir(t)
	dump := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		text(stream.LinuxMaps, strings.Repeat("some maps\n", 300_000)))
	for name, content := range map[string][]byte{"a.dmp": dump, "a.dmp.gz": zipped(t, dump), "prefixed": append([]byte("12345"), dump...)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, o outcome) {
		t.Helper()
		o.want(t, 0, "")
		if strings.Count(o.out, "some maps\n") != 300_000 {
			t.Errorf("%s: %d bytes", what, len(o.out))
		}
	}
	for _, name := range []string{"a.dmp", "a.dmp.gz"} {
		check(name, run(t, dir, "show", "--stream", "maps", name))
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		check(name+" as standard input", runWith(t, command(t, dir, "show", "--stream", "maps", "-"), file))
		file.Seek(0, io.SeekStart)
		check(name+" through a pipe", runWith(t, command(t, dir, "show", "--stream", "maps", "-"), io.MultiReader(file)))
		file.Close()
	}
	file, err := os.Open(filepath.Join(dir, "prefixed"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Seek(5, io.SeekStart)
	check("rest of a file", runWith(t, command(t, dir, "show", "--stream", "maps", "-"), file))
}

func TestShowCompressed(t *testing.T) {
	dir := scratch.Dir(t)
	cut := zipped(t, bytes.Repeat([]byte("MDMP\x93\xa7\x00\x00"), 1000))
	for name, c := range map[string]struct{ content, message string }{
		"zstd":  {"\x28\xb5\x2f\xfd rest", "compressed with zstd, which is not supported: decompress it with 'zstd -d' first"},
		"xz":    {"\xfd7zXZ\x00 rest", "compressed with xz"},
		"lz4":   {"\x04\x22\x4d\x18 rest", "compressed with lz4"},
		"bzip2": {"BZh9 rest", "compressed with bzip2"},
		"zip":   {"PK\x03\x04 rest", "compressed with zip"},
		"gzip":  {"\x1f\x8b rest", "gzip: "},
		"cut":   {string(cut[:len(cut)-12]), "gzip: unexpected EOF"},
		"text":  {string(zipped(t, []byte("hello"))), "header: 32 bytes"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c.content), 0600); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "show", name).want(t, 1, "minidump: "+name+": "+c.message)
		runWith(t, command(t, dir, "show", "-"), strings.NewReader(c.content)).want(t, 1, "minidump: standard input: "+c.message)
	}
}

// TestChunks checks that a dump from a pipe is in memory only once.
func TestChunks(t *testing.T) {
	const size = 64<<20 + 5
	var c chunks
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := c.read(&repeated{size}, 0, size); err != nil || c.size != size {
		t.Fatalf("%d bytes, %v", c.size, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size+2*chunkSize {
		t.Errorf("%d bytes allocated for %d", used, size)
	}
	if err := new(chunks).read(&repeated{size}, 0, size-1); err != errTooLarge {
		t.Errorf("%v", err)
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("no error before the start")
	}
	for _, at := range []int64{0, chunkSize - 3, size - 7, size - 6, size, size + 1} {
		n, err := c.ReadAt(make([]byte, 7), at)
		if want := int(max(0, min(7, size-at))); n != want || (err == nil) != (want == 7) {
			t.Errorf("at %d: %d bytes, %v", at, n, err)
		}
	}
}

// TestShowJSONIsUTF8 checks that the JSON of a dump is UTF-8, whatever its writer put into the soft errors.
func TestShowJSONIsUTF8(t *testing.T) {
	b := handmade(t, binary.LittleEndian, text(stream.MozSoftErrors, "[{\"A\": \"\xff\xfe \xe2\x82\"}]"),
		text(stream.LinuxCmdLine, "\xff\x00"), text(stream.CommentStreamA, "\xfe"))
	j, err := json.Marshal(read(t, b))
	if err != nil || !utf8.Valid(j) {
		t.Errorf("%v, %q", err, j)
	}
	if !strings.Contains(string(j), `"soft_errors":[{"A":"`+"\ufffd \ufffd"+`"}]`) {
		t.Errorf("%s", j)
	}
}

// TestPrintStreamTerminal checks that a text stream can't move the cursor of a terminal, and that it is printed
// unchanged elsewhere.
func TestPrintStreamTerminal(t *testing.T) {
	const raw = "a\tb\x1b[2J\r\n\x00c\xff\n\nd"
	b := handmade(t, binary.LittleEndian, text(stream.LinuxMaps, raw))
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for terminal, want := range map[bool]string{false: raw, true: "a\tb\\x1b[2J\\r\n\\x00c\\xff\n\nd"} {
		var out strings.Builder
		if err := printStream(&out, f, "maps", terminal); err != nil || out.String() != want {
			t.Errorf("terminal %v: %q, %v, want %q", terminal, out.String(), err, want)
		}
	}
}

// TestUsageErrorEscapes checks that an error about a command line does not print its control characters.
func TestUsageErrorEscapes(t *testing.T) {
	o := run(t, scratch.Dir(t), "show", "--\x1b[2Jx\n=y")
	o.want(t, 2, `unknown flag --\x1b[2Jx`)
	if strings.ContainsAny(o.err, "\x1b") || strings.Count(o.err, "\n") != 2 {
		t.Errorf("%q", o.err)
	}
}
