//go:build unix

package process

import (
	"os"
	"strings"
	"syscall"
)

// replace replaces this process with a program, given as a command line.
func replace(command string) {
	args := strings.Fields(command)
	syscall.Exec(args[0], args, os.Environ())
}
