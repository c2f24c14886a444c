//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"

	"minidump"
)

func logTo(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0600)
	if err == nil {
		os.Stderr = f
	}
	return err
}

func toKernelLog(error) {}

func endInTime(minidump.Mode) func() { return func() {} }

func (c *coreFlags) installPattern() error {
	return fmt.Errorf("core_pattern is a setting of Linux: %w (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}

func (c *coreFlags) uninstallPattern() error { return c.installPattern() }
