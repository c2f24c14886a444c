//go:build windows || darwin

package server

import (
	"errors"
	"io"
	"os"
)

// attend calls the hooks of a connection, and converse between them.
func (s *Server) attend(c *conn) {
	defer s.dismiss(c)
	if s.opts.OnConnect != nil {
		s.opts.OnConnect(c.peer)
	}
	if err := s.converse(c); err != nil {
		s.report(c.peer, err)
	}
	if s.opts.OnDisconnect != nil {
		s.opts.OnDisconnect(c.peer)
	}
}

// converse answers the messages of a connection until it ends. A bad message ends the connection, because it is not known where
// the next message begins.
func (s *Server) converse(c *conn) error {
	for {
		kind, body, err := s.receive(c)
		switch {
		case err == nil:
			err = s.answer(c, kind, body)
		case err == io.EOF, s.isClosing() && errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		}
		if err != nil {
			return err
		}
	}
}
