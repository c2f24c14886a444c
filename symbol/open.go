package symbol

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// errIrregular is the error for a file that is not regular: a pipe, a device, a folder.
var errIrregular = errors.New("not a regular file")

// Limits on a path that is resolved inside a root.
const (
	maxLinks = 40 // MAXSYMLINKS of Linux
	maxParts = 256
)

// sysroot is the folder that contains the paths of modules. It is nil for the folder /.
type sysroot struct{ root *os.Root }

func openSysroot(dir string) (sysroot, error) {
	if dir == "" || dir == "/" {
		return sysroot{}, nil
	}
	root, err := os.OpenRoot(dir)
	return sysroot{root}, err
}

func (s sysroot) close() {
	if s.root != nil {
		s.root.Close()
	}
}

// open opens a regular file. No link is followed out of the root.
func (s sysroot) open(path string) (*os.File, error) {
	if strings.IndexByte(path, 0) >= 0 || len(path) > maxText {
		return nil, fmt.Errorf("open %.80q: %w", path, fs.ErrInvalid)
	}
	if s.root == nil {
		return openRegular(path)
	}
	name, err := s.resolve(path)
	if err != nil {
		return nil, err
	}
	return openRegularIn(s.root, name)
}

// resolve follows the links of a path as a process with this root directory would: an absolute link starts at the root, and ".." stays
// there. The result contains no links, unless somebody creates one meanwhile; os.Root does not follow those out of the root either.
func (s sysroot) resolve(path string) (string, error) {
	todo := strings.Split(path, "/")
	var done []string
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, len(done)-1)]
			continue
		}
		name := strings.Join(append(done[:len(done):len(done)], part), "/")
		info, err := s.root.Lstat(name)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = append(done, part)
			continue
		}
		target, err := s.root.Readlink(name)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks || len(todo) > maxParts {
			return "", fmt.Errorf("open %s: too many links", path)
		}
		if strings.HasPrefix(target, "/") {
			done = nil
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if len(done) == 0 {
		return "", fmt.Errorf("open %s: %w", path, errIrregular)
	}
	return strings.Join(done, "/"), nil
}

// regular closes f and returns an error unless f is a regular file.
func regular(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open %s: %w", f.Name(), errIrregular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
