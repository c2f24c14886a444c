package minidump

import (
	"minidump/internal/errtext"

	"golang.org/x/sys/unix"

	"minidump/internal/corefile"
	"minidump/internal/linux"
)

// NewWriter prepares dumps of the live process pid. It reserves all the memory that they need. It does not stop the
// process. pid may be the id of any thread of the process: the dumps are then about that thread, unless Options.Thread
// names another.
//
// The process may be a child of this one. But while it is stopped, a wait for it in this program (exec.Cmd.Wait,
// os.Process.Wait) returns at once, as if it had ended: Linux reports the stops of a traced child to every wait of the
// tracing program. A program that dumps its own children should wait for them only after the dump, or run the command
// minidump instead.
func NewWriter(pid int, o Options) (*Writer, error) {
	w, l, err := newLive(pid, &o)
	if err != nil {
		return nil, err
	}
	l.TraceByOwnThread()
	if o.Snapshot != SnapshotNever && o.Mode != ModeStack {
		w.keeper = &keeper{o: o, pid: pid, source: l}
	}
	return w, nil
}

// NewTracedWriter prepares dumps of the live process pid, which the calling OS thread already traces (PTRACE_SEIZE). Package
// minidump/run uses it. Differences from NewWriter:
//
//   - Dump must be called on that OS thread, with its goroutine locked to it (runtime.LockOSThread): it makes all ptrace
//     requests itself.
//   - Threads are stopped and resumed by Hold and LetRun of package ptrace: a thread that is already in a stop, because of a
//     signal or because it is about to end, is dumped as it is and stays stopped. No thread is detached: a thread that was
//     not traced before is traced afterwards. If a thread did not stop in time, the tracer gets its stop after the dump.
//   - In every mode the process is stopped until the dump is written, and Result.Pause includes that: a process that is about
//     to die must exist until then.
//   - The calling program gets a SIGCHLD for each stop, unless it has set SA_NOCLDSTOP.
func NewTracedWriter(pid int, o Options) (*Writer, error) {
	w, l, err := newLive(pid, &o)
	if err != nil {
		return nil, err
	}
	l.TraceByCaller()
	return w, nil
}

// newLive returns a Writer for a live process; the caller must still set the OS thread that traces it. Writer and
// source are one allocation, because the Go runtime touches two pages for each size of object.
func newLive(pid int, o *Options) (*Writer, *linux.Source, error) {
	if pid == unix.Getpid() {
		return nil, nil, errtext.Wrap(ErrSelf, "minidump: pid ", pid)
	}
	return openLive(pid, o)
}

// openLive is newLive, except that pid may be this process; a child must then make the dumps (DumpSelf).
func openLive(pid int, o *Options) (*Writer, *linux.Source, error) {
	both := new(struct {
		w Writer
		l linux.Source
	})
	w, l := &both.w, &both.l
	buf, err := l.Init(pid)
	if err != nil {
		return nil, nil, err
	}
	if err := w.init(o, buf); err != nil {
		l.Close()
		return nil, nil, err
	}
	w.src = l
	if err := l.FirstLook(&w.snap); err != nil {
		w.Close()
		return nil, nil, err
	}
	if w.snap.Want.Thread == 0 {
		w.snap.Want.Thread = l.Named()
	}
	w.SetCrash(o.Crash)
	return w, l, nil
}

// openDumping returns a Writer for the process pid, which is dumping core, with the notes of that core. The Writer owns
// the notes. If the process cannot be read, openDumping returns an error and the caller still owns the notes.
func openDumping(notes *corefile.Notes, pid int, o *Options) (*Writer, error) {
	d, buf, err := linux.OpenDumping(notes, pid)
	if err != nil {
		return nil, err
	}
	w := new(Writer)
	if err := w.init(o, buf); err != nil {
		d.Abandon()
		return nil, err
	}
	if err := d.Begin(&w.snap, o.Thread); err != nil {
		d.Abandon()
		w.snap.Release()
		w.file.Release()
		return nil, err
	}
	w.src = d
	w.SetCrash(o.Crash)
	return w, nil
}
