//go:build !linux

package newfile

import (
	"os"
	"path/filepath"
)

type file struct{ *os.File }

func split(path string) (dir, name string) {
	if dir, name = filepath.Split(path); dir == "" {
		dir = "."
	}
	return dir, name
}

func join(dir, name string) string      { return filepath.Join(dir, name) }
func tempDir() string                   { return os.TempDir() }
func rename(from, to string) error      { return os.Rename(from, to) }
func remove(path string) error          { return os.Remove(path) }
func (f *File) openUnnamed(string) bool { return false }
func (f *File) link() error             { panic("newfile: a file without a name") }

func (f *File) createTemp() (err error) {
	dir, name := split(f.path)
	if f.File, err = os.CreateTemp(dir, "."+name+".*.tmp"); err == nil { // O_EXCL, mode 0600
		f.temp = f.File.Name()
	}
	return err
}
