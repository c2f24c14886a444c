package minidump

import (
	"errors"
	"io"
	"io/fs"
	"time"

	"minidump/internal/errtext"

	"minidump/internal/corefile"
	"minidump/internal/encode"
	"minidump/internal/snapshot"
)

// OpenCoreFile is OpenCore for an open file, such as an *os.File, on any operating system. Close closes the file.
// OpenCoreFile closes it if it returns an error.
func OpenCoreFile(file interface {
	io.ReaderAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
}, o Options) (*Writer, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errtext.Wrap(corefile.ErrNotCore, file.Name(), " is not a regular file")
	}
	if err != nil {
		file.Close()
		return nil, errtext.Wrap(err, "minidump")
	}
	w, err := openCore(file.Name(), file, info.Size(), o)
	if err != nil {
		file.Close()
		return nil, err
	}
	return w, nil
}

// OpenCore prepares dumps of an ELF core file of Linux, of size bytes, either word size, either byte order and any
// architecture that package context knows. r must be readable until the Writer is closed; only small parts of it are
// read at a time.
//
// The dump lacks what a core file does not contain: facts about the machine, open files, names of threads other than
// the main one, and memory that the process's coredump_filter excludes, which is most code and constants. Soft errors
// report what is missing from a damaged file. An error wraps ErrNotCore, ErrNoThread, ErrCompressed or ErrUnsupported.
func OpenCore(r io.ReaderAt, size int64, o Options) (*Writer, error) {
	return openCore("core file", struct{ io.ReaderAt }{r}, size, o)
}

// openCore returns a Writer for a core file. If r is an io.Closer, the Writer closes it; after an error the caller
// must close it.
func openCore(name string, r io.ReaderAt, size int64, o Options) (*Writer, error) {
	c, err := corefile.New(name, r, size)
	if err != nil {
		return nil, err
	}
	w, err := newCoreWriter(c, o)
	if closer, ok := r.(io.Closer); ok && err == nil {
		c.CloseWith(closer)
	}
	return w, err
}

// newCoreWriter returns the Writer for c. It closes c if it returns an error.
func newCoreWriter(c *corefile.Source, o Options) (*Writer, error) {
	w := new(Writer)
	if err := w.init(&o, make([]byte, encode.BufferSize)); err != nil {
		c.Close()
		return nil, err
	}
	w.src = c
	w.SetCrash(o.Crash)
	return w, nil
}

// OpenCorePipe prepares the dump of a process whose core the kernel writes into r: the standard input of the program in
// /proc/sys/kernel/core_pattern, or the coredump socket (core(5)).
//
// pid, if not 0, is the id of that process in this process's pid namespace (%P). The process and its stopped threads
// stay as they are until r is closed, so memory is read from the process itself, and only the registers, which come
// first, from r. Options.Thread may then be the id of the crashed thread (%I). r must not be closed before Dump has
// returned. Then close it without reading the rest: the kernel stops writing.
//
// If the process cannot be read, or pid is 0, the dump is made from the core alone, as by OpenCore. In ModeStack the
// parts that the dump needs are collected while the core is read, which requires little memory; in the other modes the
// core is written to a temporary file in the folder spool ("" is the system's folder for temporary files). OpenCorePipe
// then returns after it has read all of r.
//
// The kernel reads memory of the process before it writes the first byte. If that hangs on a page that a file server or
// a userfaultfd never delivers, the dump of the process pid is made without registers after 5 seconds; r is then still
// being read when OpenCorePipe returns. If r ends early, the dump is made without registers too.
func OpenCorePipe(r io.Reader, pid int, spool string, o Options) (*Writer, error) {
	p, err := openPipe(r, pid)
	if err != nil {
		if pid == 0 {
			return nil, err
		}
		w, why := openDumping(nil, pid, &o)
		if why != nil {
			return nil, err
		}
		return w, nil
	}
	var why error
	if pid != 0 {
		var w *Writer
		if w, why = openDumping(&p.Notes, pid, &o); why == nil {
			return w, nil
		}
		// Thread ids in the core are those of the process's own pid namespace. The notes say which thread crashed.
		o.Thread = 0
	}
	var want snapshot.Want
	o.want(&want)
	c, err := p.Source(&want, spool)
	if err != nil {
		return nil, err
	}
	if why != nil {
		c.LacksProcess(why)
	}
	return newCoreWriter(c, o)
}

// notesTime is how long to wait for the notes of a core.
const notesTime = 5 * time.Second

var errNoNotes = errors.New("minidump: core from a pipe: timed out waiting for its notes")

// openPipe is corefile.OpenPipe, except that it waits at most notesTime if pid is not 0: that process can be read
// instead.
func openPipe(r io.Reader, pid int) (*corefile.Pipe, error) {
	if pid == 0 {
		return corefile.OpenPipe(r)
	}
	done := make(chan struct{})
	var p *corefile.Pipe
	var err error
	go func() {
		p, err = corefile.OpenPipe(r)
		close(done)
	}()
	timer := time.NewTimer(notesTime)
	defer timer.Stop()
	select {
	case <-done:
		return p, err
	case <-timer.C:
		return nil, errNoNotes
	}
}
