// Package newfile writes files that appear under their name whole, or not at all, and where the caller meant them to,
// also in folders that others can write to.
//
// On Linux it makes its system calls itself: package os would be in each program that dumps for this alone (see package
// errtext).
package newfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"unicode/utf8"
)

// ErrForeign is the error for a symbolic link, pipe or device on the way that another user may have put there (Linux).
var ErrForeign = errors.New("another user may have put this link, pipe or device there")

// A Place is a name in a folder, which stays the same folder if it is renamed.
type Place struct {
	folder
	Name string      // "": the path ends with a slash, and is the folder
	Mode fs.FileMode // the type bits of what is there; 0: a regular file, or nothing
	path string
	perm fs.FileMode // of folders that walk makes; 0: it makes none
}

// Create is the function Create for the place. It takes the place over.
func (p *Place) Create() (*File, error) {
	return begin(p.folder, p.Name)
}

// File is a new file, to be written, that does not have its name yet. Until Commit it has none at all, where the system
// can do that: then nothing is left of it when the program is killed. Elsewhere it is a temporary file beside.
//
// It has the methods Write, WriteAt, ReadAt, Truncate, Chmod and Sync of an os.File, and their errors.
type File struct {
	file
	dir  folder
	base string // its name in dir
	temp string // its name there now; "": it has no name
}

// Create begins a file that Commit will name path. Only its owner may read and write it. Errors are those of
// os.CreateTemp.
//
// The folder is opened once, and links on the way to it are followed only if nobody but the owner of this process and
// root can have made them (Linux); otherwise the error is ErrForeign. What is at path is replaced, not followed.
func Create(path string) (*File, error) {
	dir, base := split(path)
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return begin(d, base)
}

// begin takes d over.
func begin(d folder, base string) (*File, error) {
	f := &File{dir: d, base: base}
	if f.openUnnamed() {
		return f, nil
	}
	if err := f.createTemp(); err != nil {
		f.dir.close()
		return nil, err
	}
	return f, nil
}

// Temp makes a file for a while in the folder dir; "" is the system's folder for such files. It has no name, or on
// systems that remove no open file one until Abort. Commit is not for it.
func Temp(dir string) (*File, error) {
	if dir == "" {
		dir = tempDir()
	}
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	f, err := begin(d, "minidump")
	if err == nil && f.temp != "" && f.dir.remove(f.temp) == nil {
		f.temp = ""
	}
	return f, err
}

// Commit closes the file and names it, replacing a file of that name. To have its bytes on the disk before, call
// Sync. After an error there is nothing under the name that was not there before, and Abort must be called.
func (f *File) Commit() error {
	if f.temp == "" {
		if err := f.link(); err != nil || f.temp == "" {
			f.Close()
			f.dir.close()
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	err := f.dir.rename(f.temp, f.base)
	if err == nil {
		f.temp = ""
		f.dir.close()
	}
	return err
}

// Abort closes the file and leaves nothing of it. After Commit it does nothing.
func (f *File) Abort() {
	f.Close() // first: Windows removes no open file
	if f.temp != "" {
		_ = f.dir.remove(f.temp)
		f.temp = ""
	}
	f.dir.close()
}

// nameMost is the most bytes of a file's name: NAME_MAX of Linux. Other systems have 255 characters.
const nameMost = 255

// beside is the name of a temporary file: that of the file, with a dot before it, so that `ls` does not show it, and a
// number that another one is not likely to have. A long name is cut.
func (f *File) beside() string {
	end := "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	return "." + Cut(f.base, nameMost-1-len(end)) + end
}

// Cut returns the longest start of name that has at most n bytes and ends with a whole character.
func Cut(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}
