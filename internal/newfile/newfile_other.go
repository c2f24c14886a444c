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

func join(dir, name string) string { return filepath.Join(dir, name) }
func tempDir() string              { return os.TempDir() }
func (f *File) openUnnamed() bool  { return false }
func (f *File) link() error        { panic("newfile: a file without a name") }

func (d *folder) rename(from, to string) error { return os.Rename(from, join(d.name, to)) }
func (d *folder) remove(path string) error     { return os.Remove(path) }

func (f *File) createTemp() (err error) {
	const random = 30 // maximum number of bytes that CreateTemp and this function add
	name := Cut(f.base, nameMost-random)
	if f.File, err = os.CreateTemp(f.dir.name, "."+name+".*.tmp"); err == nil { // O_EXCL, mode 0600
		f.temp = f.File.Name()
	}
	return err
}
