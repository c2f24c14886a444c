package newfile

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// file is an open file.
type file struct {
	fd   int
	name string // of the file, or of the folder that it is in
}

func (f *file) fail(op string, err error) error {
	if err != nil {
		err = &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return err
}

// again calls f until it is not interrupted by a signal.
func again(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// all repeats a call that the system may do only partly, until all of p is done.
func (f *file) all(op string, p []byte, piece func(p []byte, done int) (int, error)) (n int, err error) {
	for n < len(p) {
		k, err := again(func() (int, error) { return piece(p[n:], n) })
		if n += k; err != nil {
			return n, f.fail(op, err)
		}
		if k == 0 {
			return n, io.EOF
		}
	}
	return n, nil
}

// Write writes all of p.
func (f *file) Write(p []byte) (int, error) {
	return f.all("write", p, func(p []byte, _ int) (int, error) { return unix.Write(f.fd, p) })
}

// WriteAt writes all of p at off.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	return f.all("write", p, func(p []byte, done int) (int, error) { return unix.Pwrite(f.fd, p, off+int64(done)) })
}

// ReadAt reads all of p from off on; io.EOF means that the file ends before that.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	return f.all("read", p, func(p []byte, done int) (int, error) { return unix.Pread(f.fd, p, off+int64(done)) })
}

// Truncate sets the size of the file.
func (f *file) Truncate(size int64) error {
	_, err := again(func() (int, error) { return 0, unix.Ftruncate(f.fd, size) })
	return f.fail("truncate", err)
}

// Chmod sets the permissions of the file.
func (f *file) Chmod(mode fs.FileMode) error {
	_, err := again(func() (int, error) { return 0, unix.Fchmod(f.fd, uint32(mode.Perm())) })
	return f.fail("chmod", err)
}

// Sync returns when the written bytes are on the disk.
func (f *file) Sync() error {
	_, err := again(func() (int, error) { return 0, unix.Fsync(f.fd) })
	return f.fail("sync", err)
}

// Close closes the file; if it is already closed the error is fs.ErrClosed.
func (f *file) Close() error {
	if f.fd < 0 {
		return f.fail("close", fs.ErrClosed)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	if err == unix.EINTR { // the descriptor is closed
		err = nil
	}
	return f.fail("close", err)
}

// Fd returns the descriptor, which Close closes.
func (f *file) Fd() int { return f.fd }

func split(name string) (dir, base string) {
	if dir, base = path.Split(name); dir == "" {
		dir = "."
	}
	return dir, base
}

func join(dir, name string) string { return path.Join(dir, name) }

func tempDir() string {
	if dir, ok := syscall.Getenv("TMPDIR"); ok && dir != "" {
		return dir
	}
	return "/tmp"
}

func (d *folder) remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }

func (d *folder) rename(from, to string) error {
	if err := unix.Renameat(d.fd, from, d.fd, to); err != nil {
		return &fs.PathError{Op: "rename", Path: join(d.name, to), Err: err}
	}
	return nil
}

// openUnnamed opens a file without a name in the folder (O_TMPFILE of open(2), Linux 3.11). It returns false if that is not
// possible, as on NFS.
func (f *File) openUnnamed() bool {
	fd, err := f.dir.open(".", unix.O_TMPFILE|unix.O_RDWR)
	f.file = file{fd, f.dir.name}
	return err == nil
}

func (d *folder) open(name string, flags int) (int, error) {
	return again(func() (int, error) { return unix.Openat(d.fd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600) })
}

// tries is how many names of temporary files are tried.
const tries = 10

func (f *File) createTemp() error {
	var err error
	for range tries {
		name := f.beside()
		fd, e := f.dir.open(name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR)
		if e == nil {
			f.file, f.temp = file{fd, join(f.dir.name, name)}, name
			return nil
		}
		if err = (&fs.PathError{Op: "open", Path: join(f.dir.name, name), Err: e}); e != unix.EEXIST {
			break
		}
	}
	return err
}

// link gives the unnamed file its name. If another file already has that name it links a temporary name, because no
// call links a file in place of another.
func (f *File) link() error {
	self := "/proc/self/fd/" + strconv.Itoa(f.fd)
	link := func(name string) error {
		return unix.Linkat(unix.AT_FDCWD, self, f.dir.fd, name, unix.AT_SYMLINK_FOLLOW)
	}
	err := link(f.base)
	for try := 0; errors.Is(err, unix.EEXIST) && try < tries; try++ {
		temp := f.beside()
		if err = link(temp); err == nil {
			f.temp = temp
		}
	}
	if err != nil {
		return f.copy()
	}
	return nil
}

// copy copies the unnamed file to a temporary file, if a missing /proc or a security module prevents linking it.
func (f *File) copy() error {
	from := f.file
	if err := f.createTemp(); err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(&f.file, io.NewSectionReader(&from, 0, 1<<63-1)); err != nil {
		return err
	}
	return f.Sync()
}
