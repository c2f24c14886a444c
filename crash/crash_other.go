//go:build !linux && !windows && (!darwin || ios)

package crash

import (
	"fmt"

	"minidump"
)

// Start starts the monitor. On this system it returns an error that wraps ErrUnsupported.
func Start(Options) error { return fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported) }

// SetAnnotation sets an annotation of dumps. On this system it returns an error that wraps ErrUnsupported.
func SetAnnotation(key, value string) error {
	return fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported)
}

// Dump writes a dump of the running program. On this system it returns an error that wraps ErrUnsupported.
func Dump() (path string, r minidump.Result, err error) {
	return "", r, fmt.Errorf("crash: a monitor on this system: %w", ErrUnsupported)
}
