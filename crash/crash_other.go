//go:build !linux && !windows && (!darwin || ios)

package crash

import (
	"fmt"

	"minidump"
)

// Start returns an error that wraps ErrUnsupported on this system.
func Start(Options) error { return fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported) }

// SetAnnotation returns an error that wraps ErrUnsupported on this system.
func SetAnnotation(key, value string) error {
	return fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported)
}

// Dump returns an error that wraps ErrUnsupported on this system.
func Dump() (path string, r minidump.Result, err error) {
	return "", r, fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported)
}
