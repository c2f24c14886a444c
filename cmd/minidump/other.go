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

func (r *runFlags) watch([]string) error {
	return fmt.Errorf("run is %w yet (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}

func (f *serveFlags) serve(string) error {
	return fmt.Errorf("only the Linux kernel sends cores: %w (this is %s)", minidump.ErrUnsupported, runtime.GOOS)
}

func (f *serveFlags) serveBreakpad(int) error { return notServed("Breakpad's clients") }

func (f *crashpadFlags) serve() error { return notServed("Crashpad's clients") }

func notServed(who string) error {
	return fmt.Errorf("%s are %w yet (this is %s)", who, minidump.ErrUnsupported, runtime.GOOS)
}
