package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"minidump/mach"
)

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
			return fmt.Errorf("%w: process %d states its pid as %x", ErrProtocol, c.peer.PID, body)
		}
		return c.send([]byte{helloAnswer})
	case kind >= kindUser && s.opts.OnMessage != nil:
		s.opts.OnMessage(c.peer, kind-kindUser, body)
	}
	return nil
}

// helloAnswer is the byte that answers a client's first message.
const helloAnswer = 1
