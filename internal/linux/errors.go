//go:build linux

package linux

import (
	"errors"

	"golang.org/x/sys/unix"

	"minidump/internal/snapshot"
)

// systemError returns err, wrapped so that errors.Is also matches ErrNoProcess or ErrPermission if err means that.
func systemError(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT):
		return snapshot.AlsoError(snapshot.ErrNoProcess, err)
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return snapshot.AlsoError(snapshot.ErrPermission, err)
	}
	return err
}
