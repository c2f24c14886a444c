//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"minidump"
)

func (f *serveFlags) serve(string) error {
	return fmt.Errorf("only the kernel of Linux sends cores: %w (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}
