//go:build !linux

package minidump

import "fmt"

// openDumping is for Linux, the only system that writes cores into pipes.
func openDumping(*core, int, Options) (*Writer, error) {
	return nil, fmt.Errorf("a process on this system: %w", ErrUnsupported)
}
