package minidump

import (
	"encoding/binary"
	"errors"
	"io"
	"minidump/internal/scratch"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"minidump/internal/corefile/coretest"
)

func TestCoreWrongFiles(t *testing.T) {
	dir := scratch.Dir(t)
	program := coretest.ArchNamed("amd64").ELFHeader(2, 0, 0)
	other := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	binary.LittleEndian.PutUint16(other[18:], 243+1000)
	for _, c := range []struct {
		name, content string
		is            error
		says          string
	}{
		{"empty", "", ErrNotCore, "not an ELF core file"},
		{"text", strings.Repeat("text ", 100), ErrNotCore, ""},
		{"program", string(program), ErrNotCore, ""},
		{"machine", string(other), ErrUnsupported, "machine 1243"},
		{"core.zst", "\x28\xb5\x2f\xfd" + strings.Repeat("x", 99), ErrCompressed, "zstd -d "},
		{"core.lz4", "\x04\x22\x4d\x18" + strings.Repeat("x", 99), ErrCompressed, "lz4 -d "},
		{"core.xz", "\xfd7zXZ\x00" + strings.Repeat("x", 99), ErrCompressed, "xz -d "},
		{"core.gz", "\x1f\x8b" + strings.Repeat("x", 99), ErrCompressed, "gzip -d "},
		{"core.bz2", "BZh91AY" + strings.Repeat("x", 99), ErrCompressed, "bzip2 -d "},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0644); err != nil {
			t.Fatal(err)
		}
		w, err := openCoreFile(path, Options{})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			w.Close()
		}
	}
	if _, err := openCoreFile(dir, Options{}); err == nil {
		t.Error("a folder is no error")
	}
}

func openCoreFile(path string, o Options) (*Writer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return OpenCoreFile(f, o)
}

func TestCoreFile(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "core")
	if err := os.WriteFile(path, coretest.Sample(coretest.ArchNamed("riscv64")).Bytes(), 0600); err != nil {
		t.Fatal(err)
	}
	w, err := openCoreFile(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if pid, name := w.Process(); pid != 100 || name != "sample" {
		t.Errorf("process %d %q", pid, name)
	}
	var sizes [2]uint64
	for i := range sizes {
		r, err := w.DumpFile(filepath.Join(dir, "dmp"))
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = r.Size
	}
	if sizes[0] != sizes[1] || sizes[0] == 0 {
		t.Errorf("two dumps of the same core: %d bytes", sizes)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Dump(io.Discard); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil { // Windows refuses while it is open
		t.Error(err)
	}
}
