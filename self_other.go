//go:build !linux && !windows && !darwin

package minidump

import (
	"io"

	"minidump/internal/errtext"
)

// DumpSelf writes a dump of the calling process to dst. On this system it returns an error that wraps ErrUnsupported.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	return Result{}, errtext.Wrap(ErrUnsupported, "minidump: a dump of the calling process on this system")
}

// DumpSelfFile writes a dump of the calling process to path. On this system it returns an error that wraps
// ErrUnsupported.
func DumpSelfFile(path string, o Options) (Result, error) {
	return Result{}, errtext.Wrap(ErrUnsupported, "minidump: a dump of the calling process on this system")
}
