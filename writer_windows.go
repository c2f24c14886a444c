package minidump

import (
	"io"
	"os"

	"minidump/context"
	"minidump/internal/errtext"
	"minidump/internal/windows"
)

// NewWriter prepares dumps of the live process pid, which may be this one. All memory that they need is taken here. The
// process is not suspended yet.
//
// The caller must be allowed to read the process: be its user, or have the privilege to debug programs, which is
// enabled if necessary. The error wraps ErrPermission if it may not, and ErrUnsupported for a process of
// another processor: a 64-bit program can dump 32-bit ones too, but not the other way around.
//
// A process is suspended as a whole. If this program is killed in that moment, Windows 11 lets the process go on; older
// ones leave it suspended. Of the own process all threads but the calling one are suspended; in ModeFull memory is read
// after they run again.
//
// Options.StopTimeout has no meaning on Windows: a thread is suspended at once.
func NewWriter(pid int, o Options) (*Writer, error) {
	both := new(struct {
		w Writer
		l windows.Source
	})
	w, l := &both.w, &both.l
	buf, err := l.Init(pid)
	if err != nil {
		return nil, err
	}
	if err := w.init(o, buf); err != nil {
		l.Close()
		return nil, err
	}
	w.src = l
	if err := l.FirstLook(&w.snap); err != nil {
		w.Close()
		return nil, err
	}
	w.snap.Want.Crash = o.Crash
	return w, nil
}

// A CrashContext says why a process of Windows crashed, in the terms of that process: what an exception handler is
// called with.
type CrashContext struct {
	ExceptionPointers uint64 // address of EXCEPTION_POINTERS in the process; 0: not known
	ExceptionCode     uint32 // takes the place of a record that is not there; 0: STATUS_NONCONTINUABLE_EXCEPTION
	ProcessID         int
	ThreadID          int // the thread that crashed
}

// statusNoncontinuable is STATUS_NONCONTINUABLE_EXCEPTION (ntstatus.h).
const statusNoncontinuable = windows.STATUS_NONCONTINUABLE_EXCEPTION

// ReadCrash reads the exception that c points to out of the memory of the process, for SetCrash. Without exception
// pointers the crash has the code only, and the dump the registers that the thread has then. If the pointers lead to no
// exception the same is returned, together with an error.
func (w *Writer) ReadCrash(c CrashContext) (*context.Crash, error) {
	if w.src == nil {
		return nil, ErrClosed
	}
	code := c.ExceptionCode
	if code == 0 {
		code = statusNoncontinuable
	}
	out := &context.Crash{Arch: w.snap.Target.Arch, PID: int32(c.ProcessID), TID: int32(c.ThreadID), Signo: int32(code)}
	if c.ExceptionPointers == 0 {
		return out, nil
	}
	err := windows.ReadException(w.src.Memory(), w.snap.Target.Arch, c.ExceptionPointers, uint32(c.ProcessID), uint32(c.ThreadID), code,
		make([]byte, windows.ExceptionScratch), out)
	if err != nil {
		return out, errtext.Wrap(err, "minidump: read the exception of thread ", c.ThreadID)
	}
	return out, nil
}

// DumpSelf writes a dump of this process to dst. All threads but the calling one are suspended for a moment; that one is
// shown inside DumpSelf, unless o.Crash has its registers.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	w, err := NewWriter(os.Getpid(), o)
	if err != nil {
		return Result{}, err
	}
	res, err := w.Dump(dst)
	return res, alsoClose(w, &res, err)
}

// DumpSelfFile is DumpSelf into a file, which appears under its name whole or not at all.
func DumpSelfFile(path string, o Options) (Result, error) {
	w, err := NewWriter(os.Getpid(), o)
	if err != nil {
		return Result{}, err
	}
	res, err := w.DumpFile(path)
	return res, alsoClose(w, &res, err)
}

// alsoClose closes the Writer of a dump of this process. What the result says stays.
func alsoClose(w *Writer, res *Result, err error) error {
	if err == nil {
		res.list, res.w = softErrors(&w.snap), nil
	}
	w.Close()
	return err
}
