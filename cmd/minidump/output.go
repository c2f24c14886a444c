package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"minidump/internal/newfile"
)

// output is where a dump is written to. A regular file is written completely or not at all, also if a signal ends the
// command. Standard output, pipes and devices are written to directly (but see openOutput).
type output struct {
	path         string // as the user gave it
	replaceLinks bool
	written      atomic.Uint64
	file         outputFile
	err          error  // of the first write that failed
	begins       func() // called before the first write; nil: no function

	mu   sync.Mutex    // held while the new file is created and named, so that a signal finds a complete state
	made *newfile.File // file, if that is a new one

	signals  chan os.Signal
	progress chan struct{} // closed to end the progress display
	shown    sync.WaitGroup
}

// outputFile is a newfile.File or an os.File.
type outputFile interface {
	io.WriteCloser
	Sync() error
}

// openOutput prepares to write to path; "-" is standard output. With replaceLinks a symbolic link or a FIFO there is
// replaced, not followed or opened: in a folder that others can write to, another user may have put it there.
func openOutput(path string, replaceLinks bool) (*output, error) {
	if path == "-" && standardOutputClosed() {
		return nil, errors.New("standard output is closed")
	}
	o := &output{path: path, replaceLinks: replaceLinks, signals: make(chan os.Signal, 1), progress: make(chan struct{})}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup ignores SIGHUP
			signal.Notify(o.signals, s)
		}
	}
	go o.dieCleanly()
	if err := o.open(); err != nil {
		signal.Stop(o.signals)
		close(o.signals)
		return nil, err
	}
	if isTerminal(os.Stderr) {
		o.shown.Add(1)
		go o.showProgress()
	}
	return o, nil
}

func (o *output) open() error {
	if o.path == "-" {
		o.file = os.Stdout
		return nil
	}
	// A link is followed, as by any program that opens its output file, except one that another user may have made.
	place, err := newfile.Find(o.path, !o.replaceLinks)
	if err != nil {
		return fmt.Errorf("write %s: %w", o.path, bare(err))
	}
	switch {
	case place.Mode.IsDir():
		place.Close()
		return fmt.Errorf("write %s: it is a folder", o.path)
	case place.Mode.IsRegular(), o.replaceLinks && place.Mode&(fs.ModeSymlink|fs.ModeNamedPipe|fs.ModeSocket) != 0:
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.made, err = place.Create(); err != nil {
			return fmt.Errorf("create %s: %w", o.path, bare(err))
		}
		o.file = o.made
		return nil
	}
	if o.file, err = place.Open(); err != nil {
		place.Close()
		return fmt.Errorf("write %s: %w", o.path, bare(err))
	}
	return nil
}

// Write writes to the file and counts the bytes.
func (o *output) Write(p []byte) (int, error) {
	if o.begins != nil {
		o.begins()
		o.begins = nil
	}
	n, err := o.file.Write(p)
	o.written.Add(uint64(n))
	if err != nil {
		o.err = fmt.Errorf("write %s: %w", o.path, bare(err))
		return n, o.err
	}
	return n, nil
}

// close ends the output. If err is nil and closing succeeds, the file gets its name, otherwise it is removed. close
// returns err, or the error of closing.
func (o *output) close(err error) error {
	close(o.progress)
	o.shown.Wait()
	if o.err != nil {
		err = o.err // plainer than the library's error about it
	}
	fail := func(e error) {
		if err == nil && e != nil {
			err = fmt.Errorf("write %s: %w", o.path, bare(e))
		}
	}
	switch {
	case o.made != nil:
		if err == nil {
			fail(o.file.Sync())
		}
		o.mu.Lock()
		if err == nil {
			fail(o.made.Commit())
		}
		o.made.Abort()
		o.made = nil
		o.mu.Unlock()
	case o.file != outputFile(os.Stdout):
		fail(o.file.Close())
	}
	signal.Stop(o.signals)
	close(o.signals)
	return err
}

// dieCleanly ends the command at a signal, and removes the unfinished file. The kernel resumes a traced process when its
// tracer ends.
func (o *output) dieCleanly() {
	s, ok := <-o.signals
	if !ok {
		return
	}
	o.abandon()
	status := 1
	if n, ok := s.(syscall.Signal); ok {
		status = 128 + int(n)
	}
	os.Exit(status)
}

// abandon removes the unfinished file. Nothing can be done with the output afterwards.
func (o *output) abandon() {
	o.mu.Lock() // never unlocked
	if o.made != nil {
		o.made.Abort()
	}
}

// showProgress prints on the terminal how much is written. It runs concurrently with the dump, so that a terminal that
// blocks (its reader may be the stopped process itself) does not delay the dump.
func (o *output) showProgress() {
	defer o.shown.Done()
	const clear = "\r\x1b[K"
	const patience = 500 * time.Millisecond
	tick := time.NewTicker(patience)
	defer tick.Stop()
	any := false
	for {
		select {
		case <-o.progress:
			if any {
				fmt.Fprint(os.Stderr, clear)
			}
			return
		case <-tick.C:
			if n := o.written.Load(); n > 0 {
				fmt.Fprintf(os.Stderr, clear+"writing %s: %s", printable(o.path), bytesText(n))
				any = true
			}
		}
	}
}

// isTerminal reports whether f is a terminal, or another character device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// bare returns a system's error without the operation and the path, which would be the path of a temporary file.
func bare(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
