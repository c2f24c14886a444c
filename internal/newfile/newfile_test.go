package newfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"minidump/internal/scratch"
)

// names returns the names of the files in dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func create(t *testing.T, path, text string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCommit(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "x")
	for _, text := range []string{"first", "second, in place of the first"} {
		f := create(t, path, text)
		if b, _ := os.ReadFile(path); string(b) == text {
			t.Error("it is there before Commit")
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		f.Abort()
		b, err := os.ReadFile(path)
		if err != nil || string(b) != text {
			t.Errorf("%q, %v", b, err)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if n := names(t, dir); len(n) != 1 {
			t.Errorf("files %q", n)
		}
	}
	t.Chdir(dir)
	if err := create(t, "y", "in the working folder").Commit(); err != nil {
		t.Error(err)
	}
	if n := names(t, dir); len(n) != 2 || n[1] != "y" {
		t.Errorf("files %q", n)
	}
}

func TestAbort(t *testing.T) {
	dir := scratch.Dir(t)
	create(t, filepath.Join(dir, "x"), "text").Abort()
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("files %q", n)
	}
}

// A temporary file can be read and written at any offset, and is gone after Abort.
func TestTemp(t *testing.T) {
	dir := scratch.Dir(t)
	f, err := Temp(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := names(t, dir); len(n) != 0 && runtime.GOOS != "windows" {
		t.Errorf("files %q", n)
	}
	if _, err := f.WriteAt([]byte("text"), 4096); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(1 << 20); err != nil {
		t.Error(err)
	}
	b := make([]byte, 6)
	if n, err := f.ReadAt(b, 4095); n != 6 || err != nil || string(b) != "\x00text\x00" {
		t.Errorf("%d, %v: %q", n, err, b)
	}
	if n, err := f.ReadAt(b, 1<<20-2); n != 2 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	f.Abort()
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("files %q", n)
	}
	if _, err := f.Write(b); err == nil {
		t.Error("it can be written when it is closed")
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if _, err := Temp(filepath.Join(dir, "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	t.Setenv("TMPDIR", dir)
	if f, err = Temp(""); err != nil {
		t.Fatal(err)
	}
	f.Abort()
}

func TestChmod(t *testing.T) {
	path := filepath.Join(scratch.Dir(t), "x")
	f := create(t, path, "text")
	if err := f.Chmod(0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestErrors(t *testing.T) {
	dir := scratch.Dir(t)
	if _, err := Create(filepath.Join(dir, "no", "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := create(t, filepath.Join(dir, "folder"), "text")
	if err := f.Commit(); err == nil {
		t.Error("a file took the place of a folder")
	}
	f.Abort()
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("files %q", n)
	}
}
