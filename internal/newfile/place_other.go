//go:build !linux

package newfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// folder is a folder, identified by its name.
type folder struct{ name string }

func openFolder(dir string) (folder, error) { return folder{dir}, nil }

func (d *folder) close() {}

// MakeFolder creates the folder dir and its parents, with the permissions perm, as far as they do not exist.
func MakeFolder(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }

// Find finds the place of path. A link there is followed if follow is set.
func Find(path string, follow bool) (*Place, error) {
	p := &Place{path: path}
	p.folder.name, p.Name = split(path)
	var info fs.FileInfo
	var err error
	if follow {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			p.folder.name, p.Name = split(resolved)
		}
		info, err = os.Stat(path)
	} else {
		info, err = os.Lstat(path)
	}
	switch {
	case err == nil:
		p.Mode = info.Mode().Type()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return p, nil
}

// Open opens the existing file for writing. It must not be a regular file.
func (p *Place) Open() (*File, error) {
	f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return &File{file: file{f}}, nil
}

// Close releases the place.
func (p *Place) Close() {}
