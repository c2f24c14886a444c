//go:build !linux && !windows && !darwin

package server

import "context"

// Server writes dumps for clients. It does not exist on this system.
type Server struct{}

// Listener is a socket that clients connect to. It does not exist on this system.
type Listener struct{}

// Client is a connection to a Server. It does not exist on this system.
type Client struct{}

// New returns an error that wraps ErrUnsupported.
func New(Options) (*Server, error) { return nil, unsupported() }

// Listen returns an error that wraps ErrUnsupported.
func Listen(string) (*Listener, error) { return nil, unsupported() }

// Dial returns an error that wraps ErrUnsupported.
func Dial(string) (*Client, error) { return nil, unsupported() }

// Close returns an error that wraps ErrUnsupported.
func (*Listener) Close() error { return unsupported() }

// Serve returns an error that wraps ErrUnsupported.
func (*Server) Serve(*Listener) error { return unsupported() }

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
