//go:build !linux

package server

import (
	"fmt"
	"os"
)

func unsupported() error { return fmt.Errorf("server: on this system: %w", ErrUnsupported) }

// ListenFile returns an error that wraps ErrUnsupported.
func ListenFile(*os.File) (*Listener, error) { return nil, unsupported() }

// ServeBreakpad returns an error that wraps ErrUnsupported.
func (*Server) ServeBreakpad(*os.File) error { return unsupported() }

// ServeCrashpad returns an error that wraps ErrUnsupported.
func (*Server) ServeCrashpad(*os.File, bool) error { return unsupported() }

// DumpCrashpad returns an error that wraps ErrUnsupported.
func (*Server) DumpCrashpad(int, uint64, uint64) error { return unsupported() }
