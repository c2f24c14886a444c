//go:build unix && !linux

package symbol

import "syscall"

// nonblock is the flag that makes opening a pipe not wait for a writer.
const nonblock = syscall.O_NONBLOCK
