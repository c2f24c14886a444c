// Package newfile writes files that appear under their name whole, or not at all.
package newfile

import (
	"os"
	"path/filepath"
)

// File is a new file, to be written, that does not have its name yet. Until Commit it has none at all, where the system
// can do that: then nothing is left of it when the program is killed. Elsewhere it is a temporary file beside.
type File struct {
	*os.File
	path string
	temp string // "": it has no name
}

// Create begins a file that is to be named path, for its owner to read and write only. Errors are those of os.CreateTemp.
func Create(path string) (*File, error) {
	dir := filepath.Dir(path)
	if f := unnamed(dir); f != nil {
		return &File{File: f, path: path}, nil
	}
	f := &File{path: path}
	if err := f.createTemp(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) createTemp() (err error) {
	dir, name := filepath.Split(f.path)
	if dir == "" {
		dir = "." // CreateTemp would take the system's folder for temporary files
	}
	if f.File, err = os.CreateTemp(dir, "."+name+".*.tmp"); err == nil { // O_EXCL, mode 0600
		f.temp = f.File.Name()
	}
	return err
}

// Commit closes the file and gives it its name, in place of a file that had it. To have its bytes on the disk before, call
// Sync. After an error there is nothing under the name that was not there before, and Abort is to be called.
func (f *File) Commit() error {
	if f.temp == "" {
		if err := f.link(); err != nil || f.temp == "" {
			f.Close()
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	err := os.Rename(f.temp, f.path)
	if err == nil {
		f.temp = ""
	}
	return err
}

// Abort closes the file and leaves nothing of it. After Commit it does nothing.
func (f *File) Abort() {
	f.Close() // first: Windows removes no open file
	if f.temp != "" {
		os.Remove(f.temp)
		f.temp = ""
	}
}
