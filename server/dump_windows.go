package server

import (
	"fmt"
	"time"

	"minidump"
	"minidump/context"
	"minidump/internal/deadline"
)

// dump dumps the process at the other end of c, and reports that. request is a DumpRequest, or empty if there was no crash.
// The caller has a place.
func (s *Server) dump(c *conn, request []byte) error {
	d := Dump{Peer: c.peer, Protocol: Minidumper}
	if s.opts.OnStuck != nil {
		limit := deadline.OfDump(s.opts.DumpTimeout, s.opts.Dump.Mode == minidump.ModeFull)
		defer time.AfterFunc(limit, func() { s.opts.OnStuck(c.peer) }).Stop()
	}
	w, err := s.open(c, request, &d)
	if err == nil {
		defer w.Close() // after OnDump, which may ask for soft errors
		d.Path, d.Result, err = s.write(w, &d)
	}
	if d.Err = err; err != nil {
		d.Path = ""
	}
	if s.opts.OnDump != nil {
		s.opts.OnDump(d)
	}
	return err
}

// open prepares the dump of a client, after all checks that it may have one.
func (s *Server) open(c *conn, request []byte, d *Dump) (*minidump.Writer, error) {
	pid := c.peer.PID
	if !s.opts.Allow(c.peer) {
		return nil, fmt.Errorf("%w: process %d of user %s", ErrRefused, pid, c.peer.SID)
	}
	if c.dumps++; c.dumps > s.opts.perProcess() {
		return nil, fmt.Errorf("%w: process %d had %d dumps on this connection", ErrFull, pid, s.opts.perProcess())
	}
	if c.ended() {
		return nil, fmt.Errorf("process %d has gone before it was dumped", pid)
	}
	var asked minidump.CrashContext
	crashed := len(request) > 0
	if crashed {
		var err error
		if asked, err = parseDumpRequest(request); err != nil {
			s.report(c.peer, fmt.Errorf("crash of process %d: %w", pid, err)) // it is dumped with what is known
			crashed = false
		} else if asked.ProcessID != pid {
			return nil, fmt.Errorf("%w: process %d asks for a dump of process %d", ErrRefused, pid, asked.ProcessID)
		}
	}
	opts := s.opts.Dump
	opts.Thread, opts.Crash = 0, nil
	w, err := minidump.NewWriter(pid, opts)
	if err != nil {
		return nil, err
	}
	if crashed {
		d.Crash = s.crash(c, w, asked)
		w.SetCrash(d.Crash)
	}
	return w, nil
}

// crash reads the exception of a client out of its memory.
func (s *Server) crash(c *conn, w *minidump.Writer, asked minidump.CrashContext) *context.Crash {
	crash, err := w.ReadCrash(asked)
	if err != nil { // the dump then has the code, and the registers of the thread
		s.report(c.peer, fmt.Errorf("crash of process %d: %w", c.peer.PID, err))
	}
	return crash
}
