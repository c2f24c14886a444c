//go:build !linux && !windows && !darwin

package server

import "context"

// Server writes dumps for clients. On this system there is none.
type Server struct{}

// Listener is a socket that clients connect to. On this system there is none.
type Listener struct{}

// Client is a connection to a Server. On this system there is none.
type Client struct{}

// New makes a server. On this system it returns an error that wraps ErrUnsupported.
func New(Options) (*Server, error) { return nil, unsupported() }

// Listen makes a socket. On this system it returns an error that wraps ErrUnsupported.
func Listen(string) (*Listener, error) { return nil, unsupported() }

// Dial connects to a server. On this system it returns an error that wraps ErrUnsupported.
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
