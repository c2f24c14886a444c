package dumpfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/newfile"
)

// directory is an open folder.
type directory struct{ file *os.File }

// openDirectory opens dir as newfile.Create does: it follows no link that another user created.
func openDirectory(dir string) (*directory, error) {
	place, err := newfile.Find(dir+"/", true)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	fd, err := unix.Openat(place.Fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &directory{os.NewFile(uintptr(fd), dir)}, nil
}

func (d *directory) close() { d.file.Close() }

func (d *directory) dumps(timed bool) ([]entry, error) {
	names, err := d.file.Readdirnames(-1)
	var list []entry
	for _, name := range names {
		when, ok := parse(name)
		var st unix.Stat_t
		if !ok || when.IsZero() == timed || unix.Fstatat(int(d.file.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil ||
			st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != uint32(unix.Geteuid()) {
			continue
		}
		if when.IsZero() {
			when = time.Unix(st.Mtim.Unix())
		}
		list = append(list, entry{name, when})
	}
	return list, err
}

func (d *directory) remove(name string) error {
	if err := unix.Unlinkat(int(d.file.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.file.Name(), name), Err: err}
	}
	return nil
}

// free returns how many bytes this process can still write to the file system.
func (d *directory) free() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.file.Fd()), &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: d.file.Name(), Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}
