package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"minidump/server"
)

// clientListener returns a new pipe or socket.
func (f *serveFlags) clientListener(path string) (*server.Listener, error) {
	listen := server.Listen
	if f.clients.anyUser {
		listen = server.ListenAnyUser
	}
	l, err := listen(path)
	if err != nil && !strings.HasPrefix(path, `\\.\pipe\`) {
		err = fmt.Errorf(`%w (a Windows without sockets of this kind has pipes: \\.\pipe\NAME)`, err)
	}
	return l, err
}

// hangTimeForTest is for tests on Linux.
const hangTimeForTest time.Duration = 0

// endHanging ends the command with a message.
func endHanging(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "minidump: "+format+"\n", args...)
	os.Exit(1)
}
