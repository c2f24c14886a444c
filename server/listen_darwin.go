package server

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"minidump/mach"
)

// Listener is a socket that clients connect to, and the port to which they send crashes.
type Listener struct {
	socket *net.UnixListener
	path   string
	port   mach.Port // the receive right of the service, whose name is the path

	mu      sync.Mutex
	closed  bool
	serving bool // serveRequests releases the port
}

// Listen creates a socket of type SOCK_STREAM at path, with mode 0600, and a Mach service named path, to which clients send
// crashes, as minidumper's server does. The mode may be changed before Serve. Anybody in the same bootstrap namespace can send
// to the service, but messages from processes that are not connected are refused. A socket left by a server that no longer
// exists is replaced.
//
// launchd permits such a service outside a sandbox. In a sandbox the profile must allow the name.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("server: listen on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (*Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	socket, err := newSocket(path)
	if err != nil {
		return nil, err
	}
	l := &Listener{socket: socket, path: path}
	var kr mach.KernReturn
	if l.port, kr = mach.BootstrapCheckIn(path); kr != mach.KERN_SUCCESS {
		l.Close()
		return nil, fmt.Errorf("bootstrap_check_in: %w", kr)
	}
	return l, nil
}

// newSocket returns a socket that only its owner can connect to.
func newSocket(path string) (*net.UnixListener, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	err = os.Chmod(path, 0o600) // nobody can connect before listen(2)
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	var l net.Listener
	if err == nil {
		l, err = net.FileListener(f)
	}
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// Close ends Serve, and removes the socket that Listen made.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	os.Remove(l.path)
	err := l.socket.Close()
	switch {
	case !l.port.Valid():
	case l.serving:
		l.wake()
	default:
		l.closePort()
	}
	return err
}

// serve reports whether the caller must receive from the port and release it.
func (l *Listener) serve() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.serving || l.closed
	l.serving = true
	return !was
}

func (l *Listener) closePort() { mach.PortModRefs(l.port, mach.MACH_PORT_RIGHT_RECEIVE, -1) }
