//go:build !linux

package minidump

import (
	"minidump/internal/errtext"

	"minidump/internal/corefile"
	"minidump/internal/snapshot"
)

// openDumping always fails: only Linux writes cores into pipes.
func openDumping(*corefile.Notes, int, *Options) (*Writer, error) {
	return nil, errtext.Wrap(snapshot.ErrUnsupported, "a process on this system")
}
