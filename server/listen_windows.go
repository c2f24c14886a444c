package server

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/windows"
)

// Listener is a named pipe or a Unix domain socket to which clients connect.
type Listener struct{ acceptor }

// acceptor waits for clients.
type acceptor interface {
	// accept returns the next connection and the id of the process that made it. The error wraps os.ErrClosed after Close, and
	// errGone if it concerns only one client.
	accept() (l link, pid uint32, err error)
	Close() error
}

// errGone is returned for a client that disconnected before it could be identified.
var errGone = errors.New("a client has gone")

// pipePrefix begins the names of named pipes.
const pipePrefix = `\\.\pipe\`

// Listen creates the named pipe path if path begins with \\.\pipe\, otherwise a Unix domain socket, to which clients of
// minidumper connect. The pipe must not exist yet. Windows has such sockets since Windows 10 1803; Wine 8 has none. A socket
// that remains of a server that has ended is replaced.
//
// The pipe admits processes of the server's own user, of administrators and of the system. Who can connect to the socket
// depends on the permissions of its folder.
func Listen(path string) (*Listener, error) { return listen(path, "") }

// ListenAnyUser is Listen for all users of this machine: the pipe admits all of them, and only Options.Allow can refuse a process.
func ListenAnyUser(path string) (*Listener, error) {
	const authenticatedUsers = "(A;;GRGW;;;AU)"
	return listen(path, authenticatedUsers)
}

// listen is Listen for a pipe that also admits those in more, which is in the language of security descriptors (SDDL).
func listen(path, more string) (_ *Listener, err error) {
	var a acceptor
	if isPipe(path) {
		a, err = listenPipe(path, more)
	} else {
		a, err = listenUnix(path)
	}
	if err != nil {
		return nil, fmt.Errorf("server: listen on %s: %w", path, err)
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
	// The system, administrators, and the own user. The list is protected, so nothing is inherited.
	return windows.SecurityDescriptorFromString("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;" + own + ")" + more)
}
