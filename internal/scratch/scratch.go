// Package scratch provides folders for tests, like testing.T.TempDir, that can also be removed under Wine 8: Wine 8 does
// not support the way in which os.RemoveAll removes files on Windows, but supports that of os.Remove.
package scratch

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir creates a folder that is removed, with the files in it, when the test ends.
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
