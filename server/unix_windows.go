package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// unixListener is a Unix domain socket of type SOCK_STREAM, the only type that Windows has.
type unixListener struct{ *net.UnixListener }

// listenUnix creates a socket. It replaces a socket at path whose server has ended.
func listenUnix(path string) (unixListener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return unixListener{}, fs.ErrExist
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return unixListener{}, windows.WSAEADDRINUSE
		}
		if err := os.Remove(path); err != nil {
			return unixListener{}, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	return unixListener{l}, err
}

func (l unixListener) accept() (link, uint32, error) {
	c, err := l.AcceptUnix()
	if errors.Is(err, net.ErrClosed) {
		return nil, 0, fmt.Errorf("%w: %w", os.ErrClosed, err)
	}
	if err != nil {
		return nil, 0, err
	}
	pid, err := peerOf(c)
	if err != nil {
		c.Close()
		return nil, 0, fmt.Errorf("%w: identify the client: %w", errGone, err)
	}
	return c, pid, nil
}

// peerOf returns the id of the process at the other end of a socket.
func peerOf(c *net.UnixConn) (pid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	// SIO_AF_UNIX_GETPEERPID is _WSAIOR(IOC_VENDOR, 256) in afunix.h.
	const SIO_AF_UNIX_GETPEERPID = 0x58000100
	var inner error
	err = raw.Control(func(fd uintptr) {
		var n uint32
		inner = windows.WSAIoctl(windows.Handle(fd), SIO_AF_UNIX_GETPEERPID, nil, 0, (*byte)(unsafe.Pointer(&pid)), uint32(unsafe.Sizeof(pid)), &n, nil, 0)
	})
	return pid, errors.Join(err, inner)
}
