package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"minidump/mach"
)

// Server writes dumps for clients. Its methods may be called from any goroutine.
type Server struct {
	opts   Options
	places chan struct{} // one for each dump in progress

	running sync.WaitGroup // connections, and services
	closing chan struct{}  // closed by Shutdown

	mu        sync.Mutex
	closed    bool
	listeners map[*Listener]bool
	conns     map[*conn]bool
	users     map[uint32]int  // connections by user
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
		return nil, fmt.Errorf("server: folder of the dumps: %w", err)
	}
	s := &Server{opts: o, places: make(chan struct{}, o.atOnce()), closing: make(chan struct{}), listeners: map[*Listener]bool{},
		conns: map[*conn]bool{}, users: map[uint32]int{}, processes: map[int]int{}, names: map[string]bool{}}
	if o.Allow == nil {
		own := uint32(os.Geteuid())
		s.opts.Allow = func(p Peer) bool { return p.UID == own }
	}
	// A client must not use up the descriptors that a dump needs.
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err == nil {
		s.opts.Connections = int(min(uint64(o.connections()), max(most.Cur/2, 8)))
	}
	return s, nil
}

// Serve serves clients of minidumper and of Client that connect to l, until Shutdown, closes l and returns nil. It returns
// an error if l is closed otherwise.
func (s *Server) Serve(l *Listener) error {
	defer l.Close()
	if !s.add(func() { s.listeners[l] = true; s.running.Add(1) }) {
		return ErrClosed
	}
	defer s.remove(func() { delete(s.listeners, l) })
	go func() {
		defer s.running.Done()
		s.serveRequests(l)
	}()
	for {
		c, err := l.socket.AcceptUnix()
		switch {
		case err == nil:
			s.accepted(c)
		case s.isClosing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("server: accept: %w", os.ErrClosed)
		default: // out of descriptors, perhaps
			s.report(Peer{}, fmt.Errorf("accept: %w", err))
			s.pause(100 * time.Millisecond)
		}
	}
}

// accepted serves a connection on a goroutine, or refuses it.
func (s *Server) accepted(f *net.UnixConn) {
	c, err := newConn(f)
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

// admit counts a connection, and returns an error if a limit is reached or the peer may not connect.
func (s *Server) admit(c *conn) error {
	if !s.opts.Allow(c.peer) {
		return ErrRefused
	}
	most, own := s.opts.connections(), uint32(os.Geteuid())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.conns) >= most, c.peer.UID != own && s.users[c.peer.UID] >= max(most/2, 1):
		return fmt.Errorf("%w: %d connections", ErrFull, len(s.conns))
	case s.processes[c.peer.PID] >= maxPerProcess:
		return fmt.Errorf("%w: %d connections of the process", ErrFull, maxPerProcess)
	}
	s.conns[c] = true
	s.users[c.peer.UID]++
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
	release(s.users, c.peer.UID)
	release(s.processes, c.peer.PID)
	s.running.Done()
}

// connected returns the connection of the process that has sent a Mach message; nil if it has none. If a process has
// several connections, its dumps are counted on one of them.
func (s *Server) connected(sender *mach.AuditToken) (found *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.token == *sender && (found == nil || found.dumps < c.dumps) {
			found = c
		}
	}
	return found
}

// answer handles a message. A crash is sent as a Mach message: see [Server.serveRequests]. Here kindCrash is the message with
// which a client states its pid, and is answered by a byte (minidumper, src/ipc/client.rs and server.rs).
func (s *Server) answer(c *conn, kind uint32, body []byte) error {
	switch {
	case kind == kindPing:
		return c.send(appendMessage(nil, kindPong, nil))
	case kind == kindCrash:
		if len(body) != 4 || order.Uint32(body) != uint32(c.peer.PID) {
			return fmt.Errorf("%w: process %d says %x of itself", ErrProtocol, c.peer.PID, body)
		}
		return c.send([]byte{helloAnswer})
	case kind >= kindUser && s.opts.OnMessage != nil:
		s.opts.OnMessage(c.peer, kind-kindUser, body)
	}
	return nil
}

// helloAnswer is the byte that answers a client's first message.
const helloAnswer = 1
