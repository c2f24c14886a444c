package main

import (
	"fmt"
	"os"
	"strings"

	"minidump/internal/unixsocket"
	"minidump/server"
)

// clientListener returns the service manager's socket, or a new one.
func (f *serveFlags) clientListener(path string) (*server.Listener, error) {
	file, err := unixsocket.Passed(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if file != nil {
		return server.ListenFile(file)
	}
	listener, err := server.Listen(path)
	if err != nil {
		return nil, err
	}
	if f.clients.anyUser && !strings.HasPrefix(path, "@") {
		if err := os.Chmod(path, 0o666); err != nil {
			listener.Close()
			return nil, err
		}
	}
	return listener, nil
}

// serveBreakpad serves Breakpad's clients on the inherited end of a socket pair.
func (f *serveFlags) serveBreakpad(fd int) error {
	v, s, err := f.newService()
	if err != nil {
		return err
	}
	defer s.named.Wait()
	defer untilSignal(v)()
	return v.ServeBreakpad(os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd)))
}
