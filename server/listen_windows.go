package server

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/windows"
)

// Listener is a named pipe, or a socket of the Unix domain, that clients connect to.
type Listener struct{ acceptor }

// acceptor waits for clients.
type acceptor interface {
	// accept returns the next connection and the process that has made it. The error wraps os.ErrClosed after Close, and errGone if
	// it is about one client alone.
	accept() (l link, pid uint32, err error)
	Close() error
}

// errGone is the error of a client that has gone before Windows could say who it is.
var errGone = errors.New("a client has gone")

// pipePrefix begins the names of named pipes.
const pipePrefix = `\\.\pipe\`

// Listen makes the named pipe path if that begins with \\.\pipe\, which must not be there yet, else a socket of the
// Unix domain, which clients of minidumper connect to. Windows 10 has such sockets from version 1803 on, Wine 8 has none.
// A socket that a server has left that is gone is replaced.
//
// The pipe admits processes of the server's own user, of administrators and of the system. Who can connect to the socket
// depends on the folder that it is in.
func Listen(path string) (*Listener, error) { return listen(path, "") }

// ListenAnyUser is Listen for the users of this machine: the pipe admits all of them, Options.Allow alone keeps any of them out.
func ListenAnyUser(path string) (*Listener, error) {
	const authenticatedUsers = "(A;;GRGW;;;AU)"
	return listen(path, authenticatedUsers)
}

// listen has more in the language of security descriptors (SDDL): whom a pipe admits besides.
func listen(path, more string) (_ *Listener, err error) {
	var a acceptor
	if isPipe(path) {
		a, err = listenPipe(path, more)
	} else {
		a, err = listenUnix(path)
	}
	if err != nil {
		return nil, fmt.Errorf("server: listen at %s: %w", path, err)
	}
	return &Listener{a}, nil
}

func isPipe(path string) bool {
	return len(path) > len(pipePrefix) && strings.EqualFold(path[:len(pipePrefix)], pipePrefix)
}

// descriptor returns the security descriptor of a pipe.
func descriptor(more string) (*windows.SECURITY_DESCRIPTOR, error) {
	own, err := userOf(windows.CurrentProcess())
	if err != nil {
		return nil, err
	}
	// Protected, so that nothing is inherited: the system, administrators, and the own user.
	return windows.SecurityDescriptorFromString("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;" + own + ")" + more)
}
