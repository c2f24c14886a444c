//go:build !linux

package symbol

import (
	"fmt"
	"io/fs"
	"os"
)

// openRegular opens a regular file for reading. It checks the type before opening, so that no device or pipe is opened,
// and again afterwards, because the file may have been replaced meanwhile.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err := check(path, info, err); err != nil {
		return nil, err
	}
	return regular(os.OpenFile(path, os.O_RDONLY|nonblock, 0))
}

// openRegularIn is openRegular in a root, for a path without links.
func openRegularIn(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err := check(name, info, err); err != nil {
		return nil, err
	}
	return regular(root.OpenFile(name, os.O_RDONLY|nonblock, 0))
}

func check(path string, info fs.FileInfo, err error) error {
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open %s: %w", path, errIrregular)
	}
	return err
}
