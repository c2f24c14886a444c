//go:build linux || windows || darwin

package server

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Server writes dumps for clients. Its methods may be called from any goroutine.
type Server struct {
	opts   Options
	user   userID        // the server's own
	places chan struct{} // one for each dump in progress

	running sync.WaitGroup // connections, and on macOS services
	closing chan struct{}  // closed by Shutdown

	mu        sync.Mutex
	closed    bool
	listeners map[*Listener]bool
	conns     map[*conn]bool
	users     map[userID]int  // connections of Serve by user
	processes map[int]int     // and by process
	names     map[string]bool // names of the dumps in progress
}

// New returns a server. It does nothing before one of its Serve methods is called.
func New(o Options) (*Server, error) {
	info, err := os.Stat(o.Dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, fmt.Errorf("server: folder for the dumps: %w", err)
	}
	s := &Server{opts: o, places: make(chan struct{}, o.atOnce()), closing: make(chan struct{}), listeners: map[*Listener]bool{},
		conns: map[*conn]bool{}, users: map[userID]int{}, processes: map[int]int{}, names: map[string]bool{}}
	if s.user, err = ownUser(); err != nil {
		return nil, fmt.Errorf("server: find the user of this process: %w", err)
	}
	if o.Allow == nil {
		s.opts.Allow = func(p Peer) bool { return p.user() == s.user }
	}
	// A client must not use up the descriptors that a dump needs.
	if most, ok := maxDescriptors(); ok {
		s.opts.Connections = int(min(uint64(o.connections()), max(most/2, 8)))
	}
	return s, nil
}

// admit counts a connection, and returns an error if a limit is reached or the peer may not connect.
func (s *Server) admit(c *conn) error {
	if !s.opts.Allow(c.peer) {
		return ErrRefused
	}
	most, user := s.opts.connections(), c.peer.user()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.conns) >= most, user != s.user && s.users[user] >= max(most/2, 1):
		return fmt.Errorf("%w: %d connections", ErrFull, len(s.conns))
	case s.processes[c.peer.PID] >= maxPerProcess:
		return fmt.Errorf("%w: %d connections from this process", ErrFull, maxPerProcess)
	}
	s.conns[c] = true
	s.users[user]++
	s.processes[c.peer.PID]++
	s.running.Add(1)
	return nil
}

// dismiss closes a connection of Serve.
func (s *Server) dismiss(c *conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	release(s.users, c.peer.user())
	release(s.processes, c.peer.PID)
	s.running.Done()
}
