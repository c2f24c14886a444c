package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var order = binary.NativeEndian

// Server writes dumps for clients. Its methods may be called from any goroutine.
type Server struct {
	opts   Options
	places chan struct{} // one for each dump in progress

	closer  closer
	running sync.WaitGroup // connections
	closing chan struct{}  // closed by Shutdown

	mu        sync.Mutex
	closed    bool
	listeners map[*Listener]bool
	conns     map[*conn]bool
	users     map[uint32]int  // connections of Serve by user
	processes map[int]int     // and by process
	names     map[string]bool // names of the dumps in progress
}

// New returns a server. It does nothing before one of its Serve methods is called.
func New(o Options) (*Server, error) {
	info, err := os.Stat(o.Dir)
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
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
	var most unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &most); err == nil {
		s.opts.Connections = int(min(uint64(o.connections()), max(most.Cur/2, 8)))
	}
	return s, nil
}

// Serve serves clients of minidumper, of Breakpad and of Client that connect to l, until Shutdown, closes l and returns
// nil. It returns an error if l is closed otherwise.
func (s *Server) Serve(l *Listener) error {
	defer l.Close()
	if !s.add(func() { s.listeners[l] = true }) {
		return ErrClosed
	}
	defer s.remove(func() { delete(s.listeners, l) })
	for {
		f, err := l.socket.Accept()
		switch {
		case err == nil:
			s.accepted(f)
		case s.isClosing():
			return nil
		case errors.Is(err, os.ErrClosed):
			return fmt.Errorf("server: accept: %w", err)
		default: // out of descriptors, perhaps
			s.report(Peer{}, fmt.Errorf("accept: %w", err))
			s.pause(100 * time.Millisecond)
		}
	}
}

// accepted serves a connection on a goroutine, or refuses it.
func (s *Server) accepted(f *os.File) {
	c, err := newConn(f, &s.closer)
	if err == nil {
		err = c.identify()
	}
	if err == nil {
		err = s.admit(c)
	}
	if err != nil {
		peer := Peer{}
		if c != nil {
			peer = c.peer
		}
		f.Close()
		s.report(peer, fmt.Errorf("connection: %w", err))
		return
	}
	go func() {
		defer s.dismiss(c)
		if s.opts.OnConnect != nil {
			s.opts.OnConnect(c.peer)
		}
		if err := s.converse(c, false, s.answer); err != nil {
			s.report(c.peer, err)
		}
		if s.opts.OnDisconnect != nil {
			s.opts.OnDisconnect(c.peer)
		}
	}()
}

// identify sets the peer of a connection.
func (c *conn) identify() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner == nil {
			c.peer = Peer{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid}
		}
	})
	return errors.Join(err, inner)
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

// dismiss closes a connection of Serve.
func (s *Server) dismiss(c *conn) {
	c.file.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	release(s.users, c.peer.UID)
	release(s.processes, c.peer.PID)
	s.running.Done()
}

// converse receives packets until the connection ends, and handles each. A bad packet ends the connection, unless several
// processes share it: the others are still served.
func (s *Server) converse(c *conn, shared bool, handle func(*conn, *packet) error) error {
	for {
		p, err := c.receive()
		switch {
		case err == nil:
		case err == io.EOF, s.isClosing() && errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case shared && errors.Is(err, ErrProtocol):
			s.report(Peer{}, err)
			continue
		default:
			return err
		}
		sender := p.sender
		err = handle(c, p)
		switch {
		case err == nil:
		case shared:
			s.report(sender, err)
		default:
			return err
		}
	}
}

// own serves one end of a socket pair, and closes it.
func (s *Server) own(f *os.File, shared bool, handle func(*conn, *packet) error) error {
	f, err := pollable(f)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := newConn(f, &s.closer)
	if err != nil {
		return err
	}
	if !s.add(func() { s.conns[c] = true; s.running.Add(1) }) {
		return ErrClosed
	}
	defer s.remove(func() { delete(s.conns, c); s.running.Done() })
	return s.converse(c, shared, handle)
}

// pollable replaces f with a file on which the Go runtime can wait without blocking a thread.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var inner error
	err = raw.Control(func(old uintptr) {
		if fd, inner = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3); inner == nil {
			inner = unix.SetNonblock(fd, true)
		}
	})
	if err = errors.Join(err, inner); err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// wake ends a waiting receive and all later ones.
func (c *conn) wake() { _ = c.file.SetReadDeadline(time.Unix(1, 0)) }
