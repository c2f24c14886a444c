//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// standardOutputClosed reports whether the command was started without a standard output. The Go runtime then opens the
// null device in its place for reading and writing; a shell's >/dev/null opens it only for writing.
func standardOutputClosed() bool {
	flags, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	info, err2 := os.Stdout.Stat()
	return err == nil && err2 == nil && os.SameFile(null, info) && flags&unix.O_ACCMODE == unix.O_RDWR
}

// nonBlocking is the flag with which opening a FIFO does not wait for its writer.
const nonBlocking = unix.O_NONBLOCK
