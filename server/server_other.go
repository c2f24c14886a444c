//go:build !linux

package server

import (
	"context"
	"fmt"
	"os"
)

// Server writes dumps for clients. On this system there is none.
type Server struct{}

// Listener is a socket that clients connect to. On this system there is none.
type Listener struct{}

// Client is a connection to a Server. On this system there is none.
type Client struct{}

func unsupported() error { return fmt.Errorf("server: on this system: %w", ErrUnsupported) }

// New makes a server. On this system it returns an error that wraps ErrUnsupported.
func New(Options) (*Server, error) { return nil, unsupported() }

// Listen makes a socket. On this system it returns an error that wraps ErrUnsupported.
func Listen(string) (*Listener, error) { return nil, unsupported() }

// ListenFile takes a socket. On this system it returns an error that wraps ErrUnsupported.
func ListenFile(*os.File) (*Listener, error) { return nil, unsupported() }

// Dial connects to a server. On this system it returns an error that wraps ErrUnsupported.
func Dial(string) (*Client, error) { return nil, unsupported() }

// Close returns an error that wraps ErrUnsupported.
func (*Listener) Close() error { return unsupported() }

// Serve returns an error that wraps ErrUnsupported.
func (*Server) Serve(*Listener) error { return unsupported() }

// ServeBreakpad returns an error that wraps ErrUnsupported.
func (*Server) ServeBreakpad(*os.File) error { return unsupported() }

// ServeCrashpad returns an error that wraps ErrUnsupported.
func (*Server) ServeCrashpad(*os.File, bool) error { return unsupported() }

// DumpCrashpad returns an error that wraps ErrUnsupported.
func (*Server) DumpCrashpad(int, uint64, uint64) error { return unsupported() }

// Shutdown returns an error that wraps ErrUnsupported.
func (*Server) Shutdown(context.Context) error { return unsupported() }

// Ping returns an error that wraps ErrUnsupported.
func (*Client) Ping() error { return unsupported() }

// Send returns an error that wraps ErrUnsupported.
func (*Client) Send(uint32, []byte) error { return unsupported() }

// RequestDump returns an error that wraps ErrUnsupported.
func (*Client) RequestDump(context.Context, []byte) error { return unsupported() }

// Close returns an error that wraps ErrUnsupported.
func (*Client) Close() error { return unsupported() }
