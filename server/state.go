//go:build linux || windows || darwin

package server

import (
	"context"
	"time"
)

// Shutdown ends the Serve methods, waits until the dumps in progress are written and answered, and closes all
// connections. It returns the error of ctx if ctx ends first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.wake()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// pause waits for d, or until Shutdown is called.
func (s *Server) pause(d time.Duration) {
	select {
	case <-s.closing:
	case <-time.After(d):
	}
}

// add calls f with the tables locked, unless the server is shut down.
func (s *Server) add(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		f()
	}
	return !s.closed
}

func (s *Server) remove(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *Server) report(p Peer, err error) {
	if s.opts.OnError != nil {
		s.opts.OnError(p, err)
	}
}

// place calls f, which may make a dump, after it has acquired one of the places for dumps.
func (s *Server) place(f func() error) error {
	s.places <- struct{}{}
	defer func() { <-s.places }()
	return f()
}

func (o *Options) atOnce() int      { return orDefault(o.AtOnce, DefaultAtOnce) }
func (o *Options) connections() int { return orDefault(o.Connections, DefaultConnections) }
func (o *Options) perProcess() int  { return orDefault(o.PerProcess, DefaultPerProcess) }

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

func release[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}
