package server

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Serve serves clients of minidumper and of Client that connect to l, until Shutdown, closes l and returns nil. It returns
// an error if l is closed otherwise.
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
		default: // out of memory, for example
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

// answer handles a message.
func (s *Server) answer(c *conn, kind uint32, body []byte) error {
	switch {
	case kind == kindPing:
		return c.send(appendMessage(nil, kindPong, nil))
	case kind == kindCrash:
		_ = s.place(func() error { return s.dump(c, body) })
		// The client waits for the answer whether there is a dump or not.
		return c.send(appendMessage(nil, kindCrashAck, nil))
	case kind >= kindUser && s.opts.OnMessage != nil:
		s.opts.OnMessage(c.peer, kind-kindUser, body)
	}
	return nil
}
