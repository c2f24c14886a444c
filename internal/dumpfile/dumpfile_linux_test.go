package dumpfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/scratch"
)

// TestFree checks that old dumps are deleted to free space, and that a dump is refused if that is not enough.
func TestFree(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a file system")
	}
	dir := scratch.Dir(t)
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("tmpfs: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for i, name := range []string{"a.1.dmp", "b.2.dmp", "c.3.dmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 2<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		at := now.AddDate(0, 0, i)
		os.Chtimes(filepath.Join(dir, name), at, at)
	}
	if err := (Keep{Free: 3 << 20}).Make(dir); err != nil {
		t.Error(err)
	}
	if got := list(t, dir); !slices.Equal(got, []string{"b.2.dmp", "c.3.dmp"}) {
		t.Errorf("left %q", got)
	}
	if err := (Keep{Free: 7 << 20}).Prune(dir, "c.3.dmp"); err != nil { // the newest one stays
		t.Error(err)
	}
	if got := list(t, dir); !slices.Equal(got, []string{"c.3.dmp"}) {
		t.Errorf("left %q", got)
	}
	if err := (Keep{Free: 9 << 20}).Make(dir); !errors.Is(err, ErrFull) {
		t.Errorf("more than there is: %v", err)
	}
}

// TestPruneForeign checks that another user's files in the folder are ignored, whatever their names and times are.
func TestPruneForeign(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	dir := scratch.Dir(t)
	touch(t, dir, "mine.1.dmp", now)
	for _, name := range []string{"a.1.dmp", "b.2.dmp", "c.3.dmp"} {
		touch(t, dir, name, now.AddDate(10, 0, 0))
		if err := os.Chown(filepath.Join(dir, name), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "d.4.dmp")); err != nil {
		t.Fatal(err)
	}
	touch(t, dir, "new.5.dmp", now.AddDate(0, 0, 1))
	if err := (Keep{Count: 2}).Prune(dir, "new.5.dmp"); err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); len(got) != 6 {
		t.Errorf("left %q", got)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o777)
	if err := (Keep{Count: 1}).Prune(link, "new.5.dmp"); err == nil {
		t.Error("a folder was pruned through another user's link")
	}
}
