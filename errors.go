package minidump

import (
	"errors"
	"strconv"
)

// Errors that a dump can end with, for errors.Is. A system's error, where there is one, is wrapped beside them.
var (
	ErrNoProcess   = errors.New("no such process")
	ErrPermission  = errors.New("permission denied")
	ErrLimit       = errors.New("size limit is too small")
	ErrTooLarge    = errors.New("dump does not fit the format: more than 4 GiB before the memory")
	ErrBusy        = errors.New("a dump by this Writer is under way")
	ErrClosed      = errors.New("writer is closed")
	ErrUnsupported = errors.New("not supported on this system")
	ErrSelf        = errors.New("a process can't dump itself")
)

// systemError is an error of the system that is also one of this package's for errors.Is. Its text is the system's alone.
type systemError struct{ kind, err error }

func (e *systemError) Error() string   { return e.err.Error() }
func (e *systemError) Unwrap() []error { return []error{e.kind, e.err} }

// attemptError says what was attempted, on which process (0: none), and why it failed. The live writer makes its errors
// without package fmt, which with what it brings along is a good part of the memory of a small dumper.
type attemptError struct {
	what string
	pid  int32
	err  error
	more string
}

func (e *attemptError) Error() string {
	t := "minidump: " + e.what
	if e.pid != 0 {
		t += " of pid " + strconv.Itoa(int(e.pid))
	}
	return t + ": " + e.err.Error() + e.more
}

func (e *attemptError) Unwrap() error { return e.err }

// processError says what is wrong with a process.
type processError struct {
	pid  int32
	what string // such as "has ended"
	err  error
}

func (e *processError) Error() string {
	t := "minidump: pid " + strconv.Itoa(int(e.pid))
	if e.what != "" {
		t += " " + e.what
	}
	return t + ": " + e.err.Error()
}

func (e *processError) Unwrap() error { return e.err }
