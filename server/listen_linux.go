package server

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minidump/internal/unixsocket"
)

// Listener is a socket that clients connect to.
type Listener struct{ socket *unixsocket.Listener }

// Listen makes a socket of type SOCK_SEQPACKET at path, with mode 0600. The mode may be changed before Serve. A path that
// begins with @ is a name in the abstract namespace of Linux, which has no permissions: Options.Allow alone keeps others
// out. A socket that a server has left that is gone is replaced.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("server: listen at %s: %w", path, err)
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

// ListenFile takes a socket of type SOCK_SEQPACKET that listens already, such as one that a service manager has passed.
// Close closes f and leaves the socket's file where it is.
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
		return nil, fmt.Errorf("server: listen at %s: %w", f.Name(), err)
	}
	if f, err = pollable(f); err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	return &Listener{&unixsocket.Listener{File: f}}, nil
}

// Close ends Serve, and removes the socket that Listen made.
func (l *Listener) Close() error { return l.socket.Close() }
