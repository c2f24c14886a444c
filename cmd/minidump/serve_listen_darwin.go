package main

import (
	"fmt"
	"os"
	"time"

	"minidump/server"
)

// clientListener returns a new socket with the Mach service of its name.
func (f *serveFlags) clientListener(path string) (*server.Listener, error) {
	listener, err := server.Listen(path)
	if err == nil && f.clients.anyUser {
		if err = os.Chmod(path, 0o666); err != nil {
			listener.Close()
		}
	}
	return listener, err
}

// hangTimeForTest is used by tests on Linux only.
const hangTimeForTest time.Duration = 0

// endHanging ends the command with a message.
func endHanging(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "minidump: "+format+"\n", args...)
	os.Exit(1)
}
