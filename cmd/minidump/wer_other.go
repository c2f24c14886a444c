//go:build !windows

package main

import (
	"fmt"
	"runtime"

	"minidump"
)

func (f *werFlags) install(string) error {
	return fmt.Errorf("only Windows has Windows Error Reporting: %w (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}

func (f *werFlags) uninstall(path string) error { return f.install(path) }
