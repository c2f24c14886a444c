//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"minidump"
)

func (r *runFlags) watch([]string) error {
	return fmt.Errorf("run is %w yet (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}
