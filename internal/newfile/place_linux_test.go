package newfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/scratch"
)

const nobody = 65534

// shared creates a folder that everybody can write to, without the sticky bit, and a folder that only root can write to.
func shared(t *testing.T) (open, closed string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make files of other users")
	}
	dir := scratch.Dir(t)
	open, closed = filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for path, mode := range map[string]fs.FileMode{dir: 0o755, open: 0o777, closed: 0o700} {
		os.Mkdir(path, mode)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return open, closed
}

func linkOf(t *testing.T, uid int, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}

// TestForeignLink checks that another user's link is not followed anywhere in a path, and that one of this user or root is.
func TestForeignLink(t *testing.T) {
	open, closed := shared(t)
	linkOf(t, nobody, closed, filepath.Join(open, "theirs"))
	linkOf(t, 0, closed, filepath.Join(open, "ours"))
	linkOf(t, 0, "../closed", filepath.Join(open, "relative"))
	linkOf(t, nobody, filepath.Join(closed, "file"), filepath.Join(open, "file"))
	linkOf(t, 0, "loop", filepath.Join(open, "loop"))
	for _, path := range []string{"theirs/x", "theirs/", "ours/../open/theirs/x", "relative/../open/theirs/./x"} {
		if _, err := Find(filepath.Join(open, ".")+"/"+path, true); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", path, err)
		}
		if f, err := Create(open + "/" + strings.TrimSuffix(path, "/x") + "/x"); !errors.Is(err, ErrForeign) {
			t.Errorf("create %s: %v, %v", path, f, err)
		}
	}
	if err := MakeFolder(open+"/theirs/made", 0o700); !errors.Is(err, ErrForeign) {
		t.Errorf("a folder there: %v", err)
	}
	if _, err := Create(open + "/loop/x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	if _, err := Find(open+"/file", true); !errors.Is(err, ErrForeign) {
		t.Errorf("the last name: %v", err)
	}
	if n := names(t, closed); len(n) != 0 {
		t.Errorf("made %q", n)
	}
	for i, path := range []string{"ours/a", "relative/b", "../closed/c", "../open/./ours//d"} {
		if err := create(t, open+"/"+path, "text").Commit(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if n := names(t, closed); len(n) != i+1 {
			t.Errorf("%s: %q", path, n)
		}
	}
	// An existing file with the name itself is replaced.
	if err := create(t, open+"/file", "text").Commit(); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(open + "/file"); err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := MakeFolder(open+"/ours/deep/er", 0o700); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(closed + "/deep/er"); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestForeignPipe checks that another user's pipe receives nothing, and that one of this user is opened.
func TestForeignPipe(t *testing.T) {
	open, _ := shared(t)
	for _, uid := range []int{nobody, 0} {
		path := filepath.Join(open, "pipe"+strconv.Itoa(uid))
		if err := unix.Mkfifo(path, 0o666); err != nil {
			t.Fatal(err)
		}
		os.Chown(path, uid, uid)
		reader, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(reader)
		p, err := Find(path, true)
		if err != nil || p.Mode != fs.ModeNamedPipe {
			t.Fatalf("%v, %v", p, err)
		}
		f, err := p.Open()
		if uid == nobody {
			if !errors.Is(err, ErrForeign) {
				t.Errorf("%v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("text"))
		f.Close()
	}
}

// TestFindSpecial checks that standard output is found by its names in /dev and /proc, and likewise a folder that is open as a descriptor.
func TestFindSpecial(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := strconv.Itoa(int(w.Fd()))
	for _, path := range []string{"/proc/self/fd/" + fd, "/dev/fd/" + fd} {
		if _, err := os.Lstat(filepath.Dir(path)); err != nil {
			continue // an emulated machine has no /dev/fd
		}
		p, err := Find(path, true)
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("text"))
		f.Close()
		b := make([]byte, 5)
		if n, err := r.Read(b); string(b[:n]) != "text" {
			t.Errorf("%s: %q, %v", path, b[:n], err)
		}
	}
	dir := scratch.Dir(t)
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := create(t, "/proc/self/fd/"+strconv.Itoa(int(d.Fd()))+"/x", "text").Commit(); err != nil {
		t.Error(err)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("files %q", n)
	}
	if p, err := Find("/dev/null", true); err != nil || p.Mode != fs.ModeDevice {
		t.Errorf("%v, %v", p, err)
	}
}

// TestLinkRace makes another process change a folder into a link and back, thousands of times, while files are
// created in it: no file must be created where the link leads.
func TestLinkRace(t *testing.T) {
	open, closed := shared(t)
	folder, link := filepath.Join(open, "folder"), filepath.Join(open, "link")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	linkOf(t, nobody, closed, link)
	stop, swapped := make(chan bool), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				swapped <- n
				return
			default:
				if unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
					n++
				}
			}
		}
	}()
	const rounds = 3000
	made, refused := 0, 0
	for range rounds {
		f, err := Create(folder + "/x")
		switch {
		case err == nil:
			f.Write([]byte("text"))
			if err := f.Commit(); err != nil {
				t.Error(err)
			}
			f.Abort()
			made++
		case errors.Is(err, ErrForeign), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
			refused++
		default:
			t.Fatal(err)
		}
	}
	close(stop)
	n := <-swapped
	if left := names(t, closed); len(left) != 0 {
		t.Errorf("files %q where the link leads", left)
	}
	if made == 0 || refused == 0 || n < 100 {
		t.Errorf("%d made, %d refused, %d exchanges", made, refused, n)
	}
	t.Logf("%d made, %d refused, %d exchanges", made, refused, n)
}

// TestLongName checks that a file with a name of 255 bytes is created and replaced.
func TestLongName(t *testing.T) {
	for _, name := range []string{strings.Repeat("x", 255), strings.Repeat("Ω", 127) + "x"} {
		dir := scratch.Dir(t)
		for _, text := range []string{"first", "second"} {
			if err := create(t, filepath.Join(dir, name), text).Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != "second" {
			t.Errorf("%q, %v", b, err)
		}
	}
}
