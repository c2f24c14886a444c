package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var order = binary.NativeEndian

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
	c, err := newConn(f)
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
	c, err := newConn(f)
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
