package server

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// Server writes dumps for clients. Its methods may be called from any goroutine.
type Server struct {
	opts   Options
	user   string        // security identifier of the server's own user
	places chan struct{} // one for each dump that is being made

	running sync.WaitGroup // connections
	closing chan struct{}  // closed by Shutdown

	mu        sync.Mutex
	closed    bool
	listeners map[*Listener]bool
	conns     map[*conn]bool
	users     map[string]int  // connections by user
	processes map[int]int     // and by process
	names     map[string]bool // of the dumps that are being made
}

// New makes a server. It does nothing before one of its Serve methods is called.
func New(o Options) (*Server, error) {
	info, err := os.Stat(o.Dir)
	if err == nil && !info.IsDir() {
		err = windows.ERROR_DIRECTORY
	}
	if err != nil {
		return nil, fmt.Errorf("server: folder of the dumps: %w", err)
	}
	s := &Server{opts: o, places: make(chan struct{}, o.atOnce()), closing: make(chan struct{}), listeners: map[*Listener]bool{},
		conns: map[*conn]bool{}, users: map[string]int{}, processes: map[int]int{}, names: map[string]bool{}}
	if s.user, err = userOf(windows.CurrentProcess()); err != nil {
		return nil, fmt.Errorf("server: own user: %w", err)
	}
	if o.Allow == nil {
		s.opts.Allow = func(p Peer) bool { return p.SID == s.user }
	}
	return s, nil
}

// Serve serves clients of minidumper and of Client that connect to l, until Shutdown, and closes l. Then it returns nil. It
// returns an error if l was closed by someone else.
func (s *Server) Serve(l *Listener) error {
	defer l.Close()
	if !s.add(func() { s.listeners[l] = true }) {
		return ErrClosed
	}
	defer s.remove(func() { delete(s.listeners, l) })
	for {
		f, pid, err := l.accept()
		switch {
		case err == nil:
			s.accepted(f, pid)
		case s.isClosing():
			return nil
		case errors.Is(err, errGone):
			s.report(Peer{}, err)
		case errors.Is(err, os.ErrClosed):
			return fmt.Errorf("server: accept: %w", err)
		default: // out of memory, perhaps
			s.report(Peer{}, fmt.Errorf("accept: %w", err))
			s.pause(100 * time.Millisecond)
		}
	}
}

// accepted serves a connection on a goroutine, or refuses it.
func (s *Server) accepted(f link, pid uint32) {
	c, err := newConn(f, pid)
	if err == nil {
		err = s.admit(c)
	}
	if err != nil {
		c.Close()
		s.report(c.peer, fmt.Errorf("connection: %w", err))
		return
	}
	go s.attend(c)
}

// admit counts a connection, unless it is one too many or of someone who may not connect.
func (s *Server) admit(c *conn) error {
	if !s.opts.Allow(c.peer) {
		return ErrRefused
	}
	most := s.opts.connections()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.conns) >= most, c.peer.SID != s.user && s.users[c.peer.SID] >= max(most/2, 1):
		return fmt.Errorf("%w: %d connections", ErrFull, len(s.conns))
	case s.processes[c.peer.PID] >= maxPerProcess:
		return fmt.Errorf("%w: %d connections of the process", ErrFull, maxPerProcess)
	}
	s.conns[c] = true
	s.users[c.peer.SID]++
	s.processes[c.peer.PID]++
	s.running.Add(1)
	return nil
}

// dismiss closes a connection.
func (s *Server) dismiss(c *conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	release(s.users, c.peer.SID)
	release(s.processes, c.peer.PID)
	s.running.Done()
}

// answer handles a message.
func (s *Server) answer(c *conn, kind uint32, body []byte) error {
	switch {
	case kind == kindPing:
		return c.send(appendMessage(nil, kindPong, nil))
	case kind == kindCrash:
		_ = s.place(func() error { return s.dump(c, body) })
		// The client waits for it whether there is a dump or not.
		return c.send(appendMessage(nil, kindCrashAck, nil))
	case kind >= kindUser && s.opts.OnMessage != nil:
		s.opts.OnMessage(c.peer, kind-kindUser, body)
	}
	return nil
}
