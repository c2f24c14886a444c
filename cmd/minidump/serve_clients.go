//go:build linux || windows || darwin

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"minidump"
	"minidump/server"
)

// clientService reports what a server for crash clients does.
type clientService struct {
	*writerFlags
	mu    sync.Mutex     // for messages
	named sync.WaitGroup // running reports, which look up names
}

func (s *clientService) options() server.Options {
	return server.Options{Dir: s.output, Dump: s.writerFlags.options, OnDump: s.dumped, OnError: s.failed,
		OnStuck: s.stuck, DumpTimeout: hangTimeForTest}
}

func (s *clientService) dumped(d server.Dump) {
	if d.Err != nil {
		s.failed(d.Peer, d.Err)
		return
	}
	soft := d.Result.SoftErrors()
	if err := s.incomplete(&d.Result, soft); err != nil {
		s.failed(d.Peer, err)
	}
	s.named.Go(func() { s.report(&d, soft) }) // the client need not wait for the look-up of names
}

// report prints what was written.
func (s *clientService) report(d *server.Dump, soft []minidump.SoftError) {
	frames := s.backtrace(d.Path, d.Peer.PID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json {
		_ = reportJSON(os.Stdout, d.Path, &d.Result, soft, frames) // its reader may be gone
		return
	}
	reportText(os.Stderr, d.Path, &d.Result, soft)
	reportFrames(os.Stderr, frames)
}

func (s *clientService) failed(p server.Peer, err error) {
	text := oneLine(strings.TrimPrefix(err.Error(), "minidump: "))
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(os.Stderr, "minidump: process %d: %s\n", p.PID, text)
}

// stuck ends the server, so that a client whose dump hangs continues. The service manager must start the server
// again.
func (s *clientService) stuck(p server.Peer) {
	endHanging("the dump of process %d hangs: the server exits so that the process can continue", p.PID)
}

// untilSignal shuts v down at SIGINT and SIGTERM, after the dumps in progress are complete, or after 10 seconds. The
// caller must call finished after v has stopped serving: it waits until a shutdown by signal is complete.
func untilSignal(v *server.Server) (finished func()) {
	signal.Ignore(syscall.SIGPIPE) // the reader of the messages may be gone
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, ok := <-signals; !ok {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = v.Shutdown(ctx)
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// newService returns the server for crash clients.
func (f *serveFlags) newService() (*server.Server, *clientService, error) {
	s := &clientService{writerFlags: &f.writerFlags}
	o := s.options()
	o.Keep, o.KeepFree = f.keep.Count, f.keep.Free
	if f.clients.anyUser {
		o.Allow = func(server.Peer) bool { return true }
	}
	v, err := server.New(o)
	return v, s, err
}

// serveClients serves clients that connect to path: minidumper's, and on Linux Breakpad's.
func (f *serveFlags) serveClients(path string) error {
	v, s, err := f.newService()
	if err != nil {
		return err
	}
	listener, err := f.clientListener(path)
	if err != nil {
		return err
	}
	defer s.named.Wait()
	defer untilSignal(v)()
	fmt.Fprintf(os.Stderr, "listening on %s\n", printable(path))
	return v.Serve(listener)
}
