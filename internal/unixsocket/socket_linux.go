package unixsocket

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Listener is a socket that clients connect to.
type Listener struct {
	File *os.File // non-blocking: the runtime waits for it
	Path string   // removed by Close; "" if there is no file, or it was created by another program
}

// Listen creates a socket of a type (SOCK_STREAM, SOCK_SEQPACKET) that only its owner can connect to. A path that begins
// with @ is a name in the abstract namespace, which has no permissions. prepare, if it is not nil, sets options of the
// socket before anybody can connect.
func Listen(path string, kind int, prepare func(fd int) error) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l := &Listener{File: os.NewFile(uintptr(fd), path)}
	if !isAbstract(path) {
		l.Path = path
		err = os.Chmod(path, 0o600) // nobody can connect before listen(2)
	}
	if err == nil && prepare != nil {
		err = prepare(fd)
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func isAbstract(path string) bool { return strings.HasPrefix(path, "@") }

// Accept waits for a connection. Reads and writes of the connection also wait, until its deadline. The error is os.ErrClosed after Close.
func (l *Listener) Accept() (*os.File, error) {
	raw, err := l.File.SyscallConn()
	if err != nil {
		return nil, os.ErrClosed
	}
	var conn int
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		conn, _, failed = unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return failed != unix.EAGAIN && failed != unix.EINTR && failed != unix.ECONNABORTED
	})
	if err != nil { // the error is not os.ErrClosed itself
		return nil, os.ErrClosed
	}
	if failed != nil {
		return nil, failed
	}
	return os.NewFile(uintptr(conn), "connection"), nil
}

// Close ends a waiting Accept, and removes the socket that Listen created.
func (l *Listener) Close() error {
	if l.Path != "" {
		os.Remove(l.Path)
	}
	return l.File.Close()
}

// Connect connects to the socket at path. flags are those of socket(2), to which SOCK_CLOEXEC is added.
func Connect(path string, kind, flags int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// RemoveStale removes the socket at path if the server that created it is gone. It returns an error if a server of any
// type is running there, or if path is something else.
func RemoveStale(path string, kind int) error {
	if isAbstract(path) {
		return nil
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s already exists and is not a socket", path)
	}
	fd, err := Connect(path, kind, unix.SOCK_NONBLOCK)
	if err == nil {
		unix.Close(fd)
	}
	switch err {
	case unix.ECONNREFUSED:
		return os.Remove(path)
	case nil, unix.EAGAIN, unix.EPROTOTYPE: // EAGAIN: its queue of connections is full; EPROTOTYPE: it has another type
		return fmt.Errorf("%s is in use by another running server", path)
	}
	return err
}
