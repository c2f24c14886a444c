// Package newfile writes files that appear under their name whole, or not at all.
//
// On Linux it makes its system calls itself: package os would be in each program that dumps for this alone (see package
// errtext).
package newfile

// File is a new file, to be written, that does not have its name yet. Until Commit it has none at all, where the system
// can do that: then nothing is left of it when the program is killed. Elsewhere it is a temporary file beside.
//
// It has the methods Write, WriteAt, ReadAt, Truncate, Chmod and Sync of an os.File, and their errors.
type File struct {
	file
	path string
	temp string // "": it has no name
}

// Create begins a file that is to be named path, for its owner to read and write only. Errors are those of os.CreateTemp.
func Create(path string) (*File, error) {
	f := &File{path: path}
	if dir, _ := split(path); f.openUnnamed(dir) {
		return f, nil
	}
	if err := f.createTemp(); err != nil {
		return nil, err
	}
	return f, nil
}

// Temp makes a file for a while in the folder dir; "" is the system's folder for such files. It has no name, or on systems
// that remove no open file one until Abort. Commit is not for it.
func Temp(dir string) (*File, error) {
	if dir == "" {
		dir = tempDir()
	}
	f := &File{path: join(dir, "minidump")}
	if f.openUnnamed(dir) {
		return f, nil
	}
	if err := f.createTemp(); err != nil {
		return nil, err
	}
	if remove(f.temp) == nil {
		f.temp = ""
	}
	return f, nil
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
	err := rename(f.temp, f.path)
	if err == nil {
		f.temp = ""
	}
	return err
}

// Abort closes the file and leaves nothing of it. After Commit it does nothing.
func (f *File) Abort() {
	f.Close() // first: Windows removes no open file
	if f.temp != "" {
		remove(f.temp)
		f.temp = ""
	}
}
