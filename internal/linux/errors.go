//go:build linux

package linux

import (
	"errors"

	"golang.org/x/sys/unix"

	"minidump/internal/snapshot"
)

// systemError returns err, for errors.Is also as ErrNoProcess or ErrPermission if it means that.
func systemError(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT):
		return snapshot.AlsoError(snapshot.ErrNoProcess, err)
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return snapshot.AlsoError(snapshot.ErrPermission, err)
	}
	return err
}
