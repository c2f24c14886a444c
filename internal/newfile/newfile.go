// Package newfile writes files that appear under their name completely or not at all, and only where the caller meant
// them to, even in folders that others can write to.
//
// On Linux it makes its system calls itself: otherwise each program that dumps would contain package os for this alone
// (see package errtext).
package newfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"unicode/utf8"
)

// ErrForeign is the error for a symbolic link, pipe or device on the path that another user may have put there (Linux).
var ErrForeign = errors.New("another user may have put this link, pipe or device there")

// A Place is a name in a folder. The folder stays the same one even if it is renamed.
type Place struct {
	folder
	Name string      // "": the path ends with a slash, and the place is the folder itself
	Mode fs.FileMode // the type bits of the existing file; 0: a regular file, or nothing
	path string
	perm fs.FileMode // of folders that walk creates; 0: it creates none
}

// Create is the function Create for the place. The File then owns the place.
func (p *Place) Create() (*File, error) {
	return begin(p.folder, p.Name)
}

// File is a new file, open for writing, that does not have its name yet. Until Commit it has no name at all if the system
// supports that: then nothing is left of it if the program is killed. Elsewhere it is a temporary file in the same folder.
//
// It has the methods Write, WriteAt, ReadAt, Truncate, Chmod and Sync of an os.File, with the same errors.
type File struct {
	file
	dir  folder
	base string // its final name in dir
	temp string // its current name in dir; "": none
}

// Create creates a file that Commit will name path. Only its owner may read and write it. Errors are those of os.CreateTemp.
//
// The folder is opened once, and links on the path to it are followed only if nobody except the owner of this process and
// root can have made them (Linux); otherwise the error is ErrForeign. An existing file at path is replaced, not followed.
func Create(path string) (*File, error) {
	dir, base := split(path)
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return begin(d, base)
}

// begin creates a file in d, which the File then owns.
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

// Temp creates a temporary file in the folder dir; "" is the system's folder for such files. It has no name, or,
// on systems that cannot remove an open file, a name until Abort. Commit must not be called.
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

// Commit closes the file and names it, replacing an existing file of that name. To have the bytes on the disk
// before that, call Sync. After an error the existing file is unchanged, and Abort must be called.
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

// Abort closes the file and removes it. After Commit it does nothing.
func (f *File) Abort() {
	f.Close() // first: Windows can't remove an open file
	if f.temp != "" {
		_ = f.dir.remove(f.temp)
		f.temp = ""
	}
	f.dir.close()
}

// nameMost is the maximum length of a file name in bytes: NAME_MAX of Linux. Other systems allow 255 characters.
const nameMost = 255

// beside returns the name of a temporary file: the file's name, preceded by a dot so that `ls` does not show it, and a
// number that another file is unlikely to have. A long name is cut.
func (f *File) beside() string {
	end := "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	return "." + Cut(f.base, nameMost-1-len(end)) + end
}

// Cut returns the longest prefix of name that has at most n bytes and does not end within a character.
func Cut(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}
