package server

import (
	"fmt"
	"time"

	"minidump"
	"minidump/context"
	"minidump/internal/deadline"
)

// dump dumps the process at the other end of c, and calls OnDump. request is a DumpRequest, or empty if there was no crash.
// The caller must have a place.
func (s *Server) dump(c *conn, request []byte) error {
	d := Dump{Peer: c.peer, Protocol: Minidumper}
	if s.opts.OnStuck != nil {
		limit := deadline.OfDump(s.opts.DumpTimeout, s.opts.Dump.Mode == minidump.ModeFull)
		defer time.AfterFunc(limit, func() { s.opts.OnStuck(c.peer) }).Stop()
	}
	w, err := s.open(c, request, &d)
	if err == nil {
		defer w.Close() // after OnDump, which may read soft errors
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

// open checks that a client may have a dump, and prepares it.
func (s *Server) open(c *conn, request []byte, d *Dump) (*minidump.Writer, error) {
	pid := c.peer.PID
	if !s.opts.Allow(c.peer) {
		return nil, fmt.Errorf("%w: process %d of user %s", ErrRefused, pid, c.peer.SID)
	}
	if c.dumps++; c.dumps > s.opts.perProcess() {
		return nil, fmt.Errorf("%w: process %d had %d dumps on this connection", ErrFull, pid, s.opts.perProcess())
	}
	if c.ended() {
		return nil, fmt.Errorf("process %d was gone before it could be dumped", pid)
	}
	var asked minidump.CrashContext
	crashed := len(request) > 0
	if crashed {
		var err error
		if asked, err = parseDumpRequest(request); err != nil {
			s.report(c.peer, fmt.Errorf("crash of process %d: %w", pid, err)) // the dump is made without the crash
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

// crash reads the exception of a client from its memory.
func (s *Server) crash(c *conn, w *minidump.Writer, asked minidump.CrashContext) *context.Crash {
	crash, err := w.ReadCrash(asked)
	if err != nil { // the dump then has the code, and the current registers of the thread
		s.report(c.peer, fmt.Errorf("crash of process %d: %w", c.peer.PID, err))
	}
	return crash
}
