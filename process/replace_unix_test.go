//go:build unix

package process

import (
	"os"
	"strings"
	"syscall"
)

// replace has this process execute a program with one argument.
func replace(command string) {
	args := strings.Fields(command)
	syscall.Exec(args[0], args, os.Environ())
}
