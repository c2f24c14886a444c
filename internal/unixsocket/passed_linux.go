package unixsocket

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstPassed is the first descriptor that a service manager passes: SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstPassed = 3

// Passed returns the socket that a service manager created and passed by the protocol of sd_listen_fds(3), or nil if it
// passed none. The socket must listen at path.
func Passed(path string) (*os.File, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	if n := os.Getenv("LISTEN_FDS"); n != "1" {
		return nil, fmt.Errorf("the service manager passed %s sockets, not one", n)
	}
	unix.CloseOnExec(firstPassed)
	listens, err := unix.GetsockoptInt(firstPassed, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listens == 0 {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, fmt.Errorf("the service manager passed something other than a listening socket: %w", err)
	}
	name, err := unix.Getsockname(firstPassed)
	if err != nil {
		return nil, err
	}
	if at, ok := name.(*unix.SockaddrUnix); !ok || at.Name != path {
		return nil, fmt.Errorf("the service manager passed a socket that is not at %s", path)
	}
	if err := unix.SetNonblock(firstPassed, true); err != nil {
		return nil, err
	}
	return os.NewFile(firstPassed, path), nil
}
