package newfile

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// unnamed opens a file in dir that has no name (O_TMPFILE of open(2), Linux 3.11); nil where it can't, as on NFS.
func unnamed(dir string) *os.File {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), dir)
}

// link gives the unnamed file its name. Where another file has that already it gives it a temporary one, as there is no
// call that names a file in place of another.
func (f *File) link() error {
	self := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	link := func(path string) error {
		return unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	}
	err := link(f.path)
	for try := 0; errors.Is(err, unix.EEXIST) && try < 10; try++ {
		dir, name := filepath.Split(f.path)
		temp := dir + "." + name + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
		if err = link(temp); err == nil {
			f.temp = temp
		}
	}
	if err != nil {
		return f.copy()
	}
	return nil
}

// copy makes a temporary file of the unnamed one, which a system without /proc, or a security module, keeps from being
// given a name.
func (f *File) copy() error {
	from := f.File
	defer from.Close()
	if err := f.createTemp(); err != nil {
		f.File = from
		return err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(f.File, from); err != nil {
		return err
	}
	return f.Sync()
}
