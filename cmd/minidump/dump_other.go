//go:build !linux && !darwin && !windows

package main

import (
	"fmt"
	"runtime"

	"minidump"
)

func newWriter(int, minidump.Options) (*minidump.Writer, error) {
	return nil, fmt.Errorf("dump of a live process is %w yet (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}
