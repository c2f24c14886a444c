package newfile

import (
	"os"
	"path/filepath"
	"testing"

	"minidump/internal/scratch"
)

// A file has no name where the system supports that.
func TestUnnamed(t *testing.T) {
	dir := scratch.Dir(t)
	d, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	probe := File{dir: d}
	if !probe.openUnnamed() {
		t.Skip("this file system has no O_TMPFILE")
	}
	probe.Abort()
	f := create(t, filepath.Join(dir, "x"), "text")
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("files %q before Commit", n)
	}
	f.Abort()
}

// A file that can't be linked is copied.
func TestCopy(t *testing.T) {
	dir := scratch.Dir(t)
	f := create(t, filepath.Join(dir, "x"), "text")
	if f.temp != "" {
		t.Skip("this file system has no O_TMPFILE")
	}
	if err := f.copy(); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("files %q", n)
	}
}

// Otherwise it is a temporary file.
func TestTemporary(t *testing.T) {
	dir := scratch.Dir(t)
	d, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{dir: d, base: "x"}
	if err := f.createTemp(); err != nil {
		t.Fatal(err)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("files %q", n)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := names(t, dir); len(n) != 1 || n[0] != "x" {
		t.Errorf("files %q", n)
	}
}
