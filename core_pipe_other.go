//go:build !linux

package minidump

import "minidump/internal/errtext"

// openDumping is for Linux, the only system that writes cores into pipes.
func openDumping(*core, int, Options) (*Writer, error) {
	return nil, errtext.Wrap(ErrUnsupported, "a process on this system")
}
