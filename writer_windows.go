package minidump

import (
	"io"
	"os"

	"minidump/context"
	"minidump/internal/errtext"
	"minidump/internal/windows"
)

// NewWriter prepares dumps of the live process pid, which may be the calling one. It allocates all memory that the dumps need.
// It does not suspend the process yet.
//
// The caller must be allowed to read the process: it must run as the same user, or have the privilege to debug programs, which
// NewWriter enables if necessary. The error wraps ErrPermission if the caller is not allowed to, and ErrUnsupported if the
// process is built for another processor: a 64-bit program can also dump 32-bit ones, but not the other way around.
//
// A process is suspended as a whole. If this program is killed meanwhile, Windows 11 resumes the process; older versions leave
// it suspended. In the calling process, all threads except the calling one are suspended; in ModeFull memory is read after
// they have been resumed.
//
// Options.StopTimeout has no effect on Windows: a thread is suspended at once.
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
	if err := w.init(&o, buf); err != nil {
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

// A CrashContext describes the crash of a Windows process by the arguments of its exception handler. Addresses are those of
// that process.
type CrashContext struct {
	ExceptionPointers uint64 // address of EXCEPTION_POINTERS in the process; 0: unknown
	ExceptionCode     uint32 // used if there is no exception record; 0: STATUS_NONCONTINUABLE_EXCEPTION
	ProcessID         int
	ThreadID          int // the thread that crashed
}

// statusNoncontinuable is STATUS_NONCONTINUABLE_EXCEPTION (ntstatus.h).
const statusNoncontinuable = windows.STATUS_NONCONTINUABLE_EXCEPTION

// ReadCrash reads the exception to which c points from the memory of the process, for SetCrash. Without exception pointers
// the crash has only the code, and the dump has the registers of the thread at the time of the dump. If the pointers lead to
// no exception, ReadCrash returns the same crash and an error.
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

// DumpSelf writes a dump of the calling process to dst. All threads except the calling one are suspended for a moment. The
// dump shows the calling thread inside DumpSelf, unless o.Crash has its registers.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	w, err := NewWriter(os.Getpid(), o)
	if err != nil {
		return Result{}, err
	}
	res, err := w.Dump(dst)
	return res, alsoClose(w, &res, err)
}

// DumpSelfFile is DumpSelf with the dump written to path, completely or not at all, as by Writer.DumpFile.
func DumpSelfFile(path string, o Options) (Result, error) {
	w, err := NewWriter(os.Getpid(), o)
	if err != nil {
		return Result{}, err
	}
	res, err := w.DumpFile(path)
	return res, alsoClose(w, &res, err)
}

// alsoClose closes the Writer of a dump of this process. The soft errors of the result stay available.
func alsoClose(w *Writer, res *Result, err error) error {
	if err == nil {
		res.list, res.w = softErrors(&w.snap), nil
	}
	w.Close()
	return err
}
