// Package scratch gives tests a folder as testing.T.TempDir does, which can also be removed under Wine 8: it does not know
// the way in which os.RemoveAll removes files on Windows, but the one of os.Remove.
package scratch

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir makes a folder that is removed, with the files in it, when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "minidump-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	return dir
}

func remove(t testing.TB, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			remove(t, path)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Error(err)
	}
}
