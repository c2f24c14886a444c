package minidump

import (
	"io"
	"sync/atomic"
	"time"

	"minidump/context"
	"minidump/internal/errtext"
	"minidump/internal/newfile"

	"minidump/internal/encode"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// Writer dumps one process, any number of times. NewWriter, or OpenCore for a core file, reserves all the memory it
// needs; a dump allocates nothing from the Go heap. A Writer is not safe for concurrent use, except that Dump and Close
// return ErrBusy while a Dump is running.
//
// Until Close a Writer occupies 1.4 GB of address space (1.7 GB with package goroutines), less under RLIMIT_AS and on
// 32-bit machines; only the part that a dump fills uses memory. For a live process it also keeps an OS thread and
// descriptors of two folders in /proc. The garbage collector frees none of that.
type Writer struct {
	src    snapshot.Source
	snap   snapshot.Snapshot
	file   encode.File
	busy   atomic.Bool
	keeper *keeper // nil unless another process makes the dumps
}

// init reserves the memory that a Writer needs for any source. buf is for the encoder, which uses it only while a dump
// is written.
func (w *Writer) init(o *Options, buf []byte) error {
	o.want(&w.snap.Want)
	if err := w.snap.Reserve(); err != nil {
		return err
	}
	if err := w.file.Init(&w.snap, buf); err != nil {
		w.snap.Release()
		return err
	}
	return nil
}

// Close releases the process and the Writer's memory. During a Dump it does nothing and returns ErrBusy.
func (w *Writer) Close() error {
	if !w.busy.CompareAndSwap(false, true) {
		return ErrBusy
	}
	defer w.busy.Store(false)
	if w.src == nil {
		return ErrClosed
	}
	err := w.src.Close()
	w.src = nil
	w.snap.Release()
	w.file.Release()
	return err
}

// SetCrash replaces Options.Crash for the next dumps; nil means no crash. It may allocate.
func (w *Writer) SetCrash(c *context.Crash) {
	if w.src != nil {
		c = snapshot.Refine(c, w.src.Memory())
	}
	w.snap.Want.Crash = c
	if w.keeper != nil {
		w.keeper.o.Crash = c
	}
}

// SetAnnotations replaces Options.Annotations for the next dumps. It may allocate.
func (w *Writer) SetAnnotations(a []Annotation) {
	w.snap.Want.Annotations = annotations(a)
	w.file.MakeRoom()
	if w.keeper != nil {
		w.keeper.o.Annotations = a
	}
}

// ReadMemory copies memory of the process at addr into p, and returns how many bytes could be read before the first
// unreadable one. It does not stop the process. It may be called until Close, except during a Dump.
func (w *Writer) ReadMemory(addr uint64, p []byte) int {
	if w.src == nil {
		return 0
	}
	return w.src.Memory().Read(addr, p)
}

// Process returns the id of the process, and the name of its main thread, at most 15 bytes, or "" if that is not known.
// It allocates.
func (w *Writer) Process() (pid int, name string) {
	if w.src == nil {
		return 0, ""
	}
	return w.src.Process()
}

// IsGo reports whether the process runs a program built by Go. It reads the program headers in memory, to which the
// auxiliary vector points. For a core file that lacks this memory it returns false. It must not be called during a
// Dump.
func (w *Writer) IsGo() bool { return w.src != nil && w.src.IsGo(&w.snap) }

// Dump writes a dump of the process to dst, which need not support seeking. The process runs again afterwards.
//
// Pieces that could not be read are left out and recorded in Result. An error means that there is no usable dump: the
// process has ended or may not be read, dst failed, or the limit is too small. Some bytes may have reached dst by
// then.
//
// On Linux a system call in which a thread of the process waits continues after the stop, except that a few return
// EINTR although no handler ran, as after SIGSTOP and SIGCONT or under any debugger: epoll_wait, semop, semtimedop,
// sigtimedwait, sigwaitinfo, and calls on a socket with a timeout of SO_RCVTIMEO or SO_SNDTIMEO (signal(7),
// "Interruption of system calls and library functions by stop signals").
func (w *Writer) Dump(dst io.Writer) (r Result, err error) {
	if !w.busy.CompareAndSwap(false, true) {
		return Result{}, ErrBusy
	}
	defer w.busy.Store(false)
	switch {
	case w.src == nil:
		err = ErrClosed
	case w.keeper != nil:
		err = w.keeper.dump(w, dst, &r)
	default:
		err = w.dumpHere(dst, &r)
	}
	return r, err
}

// dumpHere makes a dump in this process, and describes it in r. r is a pointer because a result would be on the stack
// several times.
func (w *Writer) dumpHere(dst io.Writer, r *Result) error {
	start := time.Now()
	s := &w.snap
	s.Begin(uint32(start.Unix()))
	err := w.src.Capture(s)
	if err == nil {
		w.src.Complete(s)
		images.Identify(s, w.src)
		s.CleanMemory()
		err = w.file.Write(dst, w.src.Memory())
	}
	if late := w.src.Release(s); late != nil && err == nil {
		err = errtext.Wrap(late, "minidump: dump of pid ", s.Proc.PID)
	}
	if err == nil {
		w.describe(r, time.Since(start))
	}
	return err
}

// DumpFile writes a dump to path: completely or not at all. It writes to a new file that only its owner can read, syncs
// it to disk, and names it last. Until then the file has no name, or a temporary one in the same folder if the system
// does not support files without a name (Linux does, on most file systems).
func (w *Writer) DumpFile(path string) (Result, error) {
	f, err := newfile.Create(path)
	if err != nil {
		return Result{}, errtext.Wrap(err, "minidump: create ", path)
	}
	defer f.Abort()
	res, err := w.Dump(f)
	if err != nil {
		return Result{}, err
	}
	if err = f.Sync(); err == nil {
		err = f.Commit()
	}
	if err != nil {
		return Result{}, errtext.Wrap(err, "minidump: write ", path)
	}
	return res, nil
}
