package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump/internal/scratch"
)

// TestOutputNotRenamed checks that a failure of the final rename reports the name that the user gave, and leaves no
// file.
func TestOutputNotRenamed(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "out")
	o, err := openOutput(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "x"), 0700); err != nil {
		t.Fatal(err)
	}
	err = o.close(nil)
	if err == nil || !strings.HasPrefix(err.Error(), "write "+path+": ") || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestOutputLinks checks that a link is followed for a user, and replaced for the kernel, which runs this program as
// root.
func TestOutputLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	for _, replace := range []bool{false, true} {
		dir := scratch.Dir(t)
		victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "out")
		if err := os.WriteFile(victim, []byte("before"), 0600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(victim, path); err != nil {
			t.Fatal(err)
		}
		o, err := openOutput(path, replace)
		if err != nil {
			t.Fatal(err)
		}
		o.Write([]byte("after"))
		if err := o.close(nil); err != nil {
			t.Fatal(err)
		}
		want := "after"
		if replace {
			want = "before"
		}
		if b, err := os.ReadFile(victim); string(b) != want {
			t.Errorf("replace %v: the file that the link names holds %q: %v", replace, b, err)
		}
		if b, err := os.ReadFile(path); string(b) != "after" {
			t.Errorf("replace %v: %q: %v", replace, b, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() != replace {
			t.Errorf("replace %v: %v, %v", replace, info, err)
		}
	}
}
