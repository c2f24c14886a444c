package server

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minidump/internal/unixsocket"
)

// Listener is a socket that clients connect to.
type Listener struct{ socket *unixsocket.Listener }

// Listen creates a socket of type SOCK_SEQPACKET at path, with mode 0600. The mode may be changed before Serve. A path
// that begins with @ is a name in Linux's abstract namespace, which has no permissions: only Options.Allow excludes other
// users. A socket left by a server that no longer exists is replaced.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("server: listen on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (*Listener, error) {
	if err := unixsocket.RemoveStale(path, unix.SOCK_SEQPACKET); err != nil {
		return nil, err
	}
	l, err := unixsocket.Listen(path, unix.SOCK_SEQPACKET, passCredentials)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

// ListenFile returns a Listener for a listening socket of type SOCK_SEQPACKET, such as one from a service manager.
// Close closes f and does not remove the socket's file.
func ListenFile(f *os.File) (*Listener, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	var inner error
	if err = raw.Control(func(fd uintptr) { inner = passCredentials(int(fd)) }); err == nil {
		err = inner
	}
	if err != nil {
		return nil, fmt.Errorf("server: listen on %s: %w", f.Name(), err)
	}
	if f, err = pollable(f); err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	return &Listener{&unixsocket.Listener{File: f}}, nil
}

// Close ends Serve, and removes the socket that Listen created.
func (l *Listener) Close() error { return l.socket.Close() }
