package symbol

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openRegular opens a regular file for reading. Any other file is not opened at all, because opening a device can have
// effects and opening a pipe can block: O_PATH finds the file, and the same file is opened only then (open(2)).
func openRegular(path string) (*os.File, error) {
	f, err := regular(os.OpenFile(path, unix.O_PATH, 0))
	if err != nil {
		return nil, err
	}
	return reopen(f)
}

// openRegularIn is openRegular in a root, for a path without links.
func openRegularIn(root *os.Root, name string) (*os.File, error) {
	f, err := regular(root.OpenFile(name, unix.O_PATH, 0))
	if err != nil {
		return nil, err
	}
	return reopen(f)
}

// reopen opens for reading the file that f refers to, and closes f. It requires /proc.
func reopen(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return regular(os.NewFile(uintptr(fd), f.Name()), nil)
}
