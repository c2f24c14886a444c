package server

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minidump/context"
)

// answer handles a packet of a connection of Serve. A packet with a descriptor is from a Breakpad client, any other
// packet from a minidumper client.
func (s *Server) answer(c *conn, p *packet) error {
	defer p.close()
	if len(p.fds) > 0 {
		return s.place(func() error { s.breakpad(c, p); return nil })
	}
	kind, body, err := parseMessage(p.data)
	if err != nil {
		return err
	}
	switch {
	case kind == kindPing:
		return c.send(appendMessage(nil, kindPong, nil), nil)
	case kind == kindCrash:
		_ = s.place(func() error { return s.dump(c, minidumperDump(p, body)) })
		// The client waits for the acknowledgement whether there is a dump or not.
		return c.send(appendMessage(nil, kindCrashAck, nil), nil)
	case kind >= kindUser && s.opts.OnMessage != nil:
		s.opts.OnMessage(p.sender, kind-kindUser, body)
	}
	return nil
}

// minidumperDump returns the request for a dump of the sender of p with a crash context.
func minidumperDump(p *packet, body []byte) *request {
	return &request{protocol: Minidumper, sender: p.sender, pidfd: p.pidfd, crash: func() (*context.Crash, error) {
		if len(body) == 0 {
			return nil, nil
		}
		return context.ParseCrashContext(body)
	}}
}

// breakpad dumps the sender of a packet of Breakpad's CrashGenerationClient. Closing p, and with it the descriptor in it,
// is the answer.
func (s *Server) breakpad(c *conn, p *packet) {
	_ = s.dump(c, &request{protocol: Breakpad, sender: p.sender, pidfd: p.pidfd, crash: func() (*context.Crash, error) {
		return context.ParseBreakpadContext(context.Native, order, int32(p.sender.PID), p.data)
	}})
}

// ServeBreakpad serves Breakpad clients on the server's end of the socket pair, of type SOCK_SEQPACKET, that
// CrashGenerationServer::CreateReportChannel makes. Any number of processes may share the other end. ServeBreakpad
// returns nil after the last of them has closed that end, and after Shutdown. It closes f.
func (s *Server) ServeBreakpad(f *os.File) error {
	err := s.own(f, true, func(c *conn, p *packet) error {
		if len(p.fds) == 0 {
			p.close()
			return fmt.Errorf("%w: no descriptor in a packet of %d bytes", ErrProtocol, len(p.data))
		}
		s.apart(c, p, s.breakpad)
		return nil
	})
	if err != nil {
		return fmt.Errorf("server: open Breakpad's socket: %w", err)
	}
	return nil
}

// apart handles a packet of a shared socket on a goroutine, so that no client waits for another client's dump while a
// place is free. It closes the packet.
func (s *Server) apart(c *conn, p *packet, handle func(*conn, *packet)) {
	s.places <- struct{}{}
	s.remove(func() { s.running.Add(1) })
	go func() {
		defer s.running.Done()
		defer p.close()
		handle(c, p)
		<-s.places
	}()
}

// ServeCrashpad serves Crashpad clients on f, which a program started as crashpad_handler has inherited
// (--initial-client-fd). shared means that several processes may have the other end (--shared-client-connection): they
// are answered by a signal. ServeCrashpad returns nil after the last of them has closed that end, and after Shutdown. It
// closes f.
//
// If f is not shared and Yama restricts ptrace, it first asks the client for permission to trace it. It refuses a client
// of another user, which would have to fork a broker.
func (s *Server) ServeCrashpad(f *os.File, shared bool) error {
	err := s.own(f, shared, func(c *conn, p *packet) error {
		r, err := parseCrashpad(p.data)
		switch {
		case err != nil || len(p.fds) > 0:
			p.close()
			return errors.Join(ErrProtocol, err)
		case r.Type == typeCheckCredentials:
			p.close()
			cred := unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
			return c.send(crashpadAnswer(typeCredentials, 0), unix.UnixCredentials(&cred))
		case shared:
			s.apart(c, p, func(c *conn, p *packet) { s.crashpadShared(c, p, r) })
			return nil
		}
		defer p.close()
		return s.crashpadSingle(c, p, r)
	})
	if err != nil {
		return fmt.Errorf("server: open Crashpad's socket: %w", err)
	}
	return nil
}
