package minidump

import (
	"minidump/context"
	"minidump/internal/darwin"
	"minidump/mach"
)

// NewWriter prepares dumps of the live process pid. It reserves all the memory that they need. It does not suspend the
// process.
//
// The caller must be permitted to get the task port of the process: it must be root or the owner of the process, and
// have the entitlement com.apple.security.cs.debugger unless the process has get-task-allow. Otherwise the error wraps
// ErrPermission.
func NewWriter(pid int, o Options) (*Writer, error) {
	return newTaskWriter(o, func(l *darwin.Source) ([]byte, error) { return l.Init(pid) })
}

// NewTaskWriter prepares dumps of a task whose port the caller has, such as from an exception message. The caller still
// owns the port, which must be valid until Close.
func NewTaskWriter(task mach.Port, o Options) (*Writer, error) {
	return newTaskWriter(o, func(l *darwin.Source) ([]byte, error) { return l.InitTask(task, false) })
}

// newTaskWriter returns a Writer for the task that open opens. Writer and source are one allocation.
func newTaskWriter(o Options, open func(*darwin.Source) ([]byte, error)) (*Writer, error) {
	both := new(struct {
		w Writer
		l darwin.Source
	})
	w, l := &both.w, &both.l
	buf, err := open(l)
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
	w.SetCrash(o.Crash)
	return w, nil
}

// TaskCrash converts a Mach exception, with the codes of its message, for Options.Crash. thread is the id of the thread
// that raised it.
func TaskCrash(thread uint64, kind mach.ExceptionType, codes ...uint64) *context.Crash {
	return darwin.Crash(darwin.Arch, thread, kind, codes)
}
