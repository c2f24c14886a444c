package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sharedFolder returns a folder that everybody can write to, and one that only root can access.
func sharedFolder(t *testing.T) (open, closed string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make files of other users")
	}
	dir := socketFolder(t)
	open, closed = filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for path, mode := range map[string]fs.FileMode{open: 0o777, closed: 0o700} {
		os.Mkdir(path, mode)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o755)
	return open, closed
}

func theirLink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
}

// asKernel runs core as the kernel does, with a pid that no process has.
func asKernel(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := command(t, "/", append([]string{"core", "--pid=2147483646"}, append(args, "-")...)...)
	return runWith(t, cmd, io.MultiReader(strings.NewReader(string(streamCore()))))
}

// TestCoreSharedFolder checks that another user's links and folders can't redirect a dump, whatever they put at its
// name.
func TestCoreSharedFolder(t *testing.T) {
	open, closed := sharedFolder(t)
	path := open + "/app-7.dmp"
	theirFolder := open + "/app-8.dmp"
	if err := os.Mkdir(theirFolder, 0o777); err != nil {
		t.Fatal(err)
	}
	theirLink(t, closed, path)               // a link to a folder
	theirLink(t, closed, open+"/dumps")      // a link in the path
	theirLink(t, closed+"/x", open+"/9.dmp") // a link to a missing file
	theirLink(t, closed+"/log", open+"/log")
	asKernel(t, "-o", path).want(t, 0, "wrote "+path)
	asKernel(t, "-o", open+"/9.dmp").want(t, 0, "wrote "+open+"/9.dmp")
	for _, name := range []string{path, open + "/9.dmp"} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	asKernel(t, "-o", theirFolder).want(t, 1, "it is a folder")
	asKernel(t, "-o", open+"/dumps/").want(t, 1, "another user may have put this link, pipe or device there")
	asKernel(t, "--mode=full", "-o", open+"/dumps/x").want(t, 1, "another user may have put this link")
	if o := asKernel(t, "--log="+open+"/log", "-o", open+"/10.dmp"); o.status == 0 || !strings.Contains(o.err, "another user") {
		t.Errorf("%+v", o)
	}
	// A user who types the name of such a link gets an error, too.
	core := filepath.Join(closed, "core")
	if err := os.WriteFile(core, streamCore(), 0o600); err != nil {
		t.Fatal(err)
	}
	theirLink(t, core, open+"/11.dmp")
	run(t, open, "core", "-o", "11.dmp", core).want(t, 1, "another user may have put this link")
	if left := files(t, closed); !slices.Equal(left, []string{"core"}) {
		t.Errorf("files %q in a folder of root's", left)
	}
	if left := files(t, theirFolder); len(left) != 0 {
		t.Errorf("files %q in a folder of another user's", left)
	}
}

// TestCoreSafeNames checks the file names that %e makes from names of processes.
func TestCoreSafeNames(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		".bashrc-12.dmp":                     "_bashrc-12.dmp",
		"-rf-12.dmp":                         "_rf-12.dmp",
		"a;$(id) b-12.dmp":                   "a___id__b-12.dmp",
		"x\u202epmd.cod-12.dmp":              "x_pmd.cod-12.dmp",
		"!usr!bin!app-12.dmp":                "_usr_bin_app-12.dmp",
		strings.Repeat("n", 255) + "-12.dmp": strings.Repeat("n", 248) + "-12.dmp",
	} {
		o := asKernel(t, "-o", dir+"/"+name)
		if got := files(t, dir); o.status != 0 || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, %+v", name, got, o)
		}
		os.Remove(dir + "/" + want)
	}
	// Also if the dump replaces an older one.
	long := dir + "/" + strings.Repeat("n", 255)
	for range 2 {
		asKernel(t, "-o", long).want(t, 0, "wrote")
	}
}

// TestCoreKeep makes many dumps in a folder in which another user has files whose names and times make them seem
// newer.
func TestCoreKeep(t *testing.T) {
	open, _ := sharedFolder(t)
	for i := range 5 {
		name := open + "/theirs-" + strconv.Itoa(i+1) + ".dmp"
		os.WriteFile(name, nil, 0o666)
		later := time.Now().AddDate(1, 0, 0)
		os.Chtimes(name, later, later)
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 {
		asKernel(t, "--keep=3", "-o", open+"/app-"+strconv.Itoa(i+1)+".dmp").want(t, 0, "wrote")
	}
	got := files(t, open)
	if len(got) != 8 || !slices.Equal(got[:3], []string{"app-6.dmp", "app-7.dmp", "app-8.dmp"}) {
		t.Errorf("%q", got)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(open, &st); err != nil {
		t.Fatal(err)
	}
	more := strconv.FormatUint(st.Bavail*uint64(st.Bsize)+1<<40, 10)
	asKernel(t, "--keep-free="+more, "-o", open+"/app-9.dmp").want(t, 1, "not enough free space for a dump")
	if _, err := os.Stat(open + "/app-9.dmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// Dumps with such names could not be counted.
	f := coreFlags{}
	f.output, f.keep.Count = open+"/%h-%t", 3
	if _, _, err := f.pattern("/usr/bin/minidump"); err == nil || !strings.Contains(err.Error(), "--keep") {
		t.Error(err)
	}
}
