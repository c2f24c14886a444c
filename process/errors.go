package process

import (
	"errors"

	"minidump/internal/snapshot"
)

// Errors of this package, for errors.Is. The first three are also those of package minidump. If the system reported an error,
// it is wrapped too.
var (
	// ErrNoProcess: the process does not exist or has ended.
	ErrNoProcess = snapshot.ErrNoProcess
	// ErrPermission: the caller may not read the process.
	ErrPermission = snapshot.ErrPermission
	// ErrUnsupported: this system, or a process of this kind, can't be read.
	ErrUnsupported = snapshot.ErrUnsupported

	// ErrUnreadable: there is no memory at an address, or it can't be read.
	ErrUnreadable = errors.New("memory can't be read")
	// ErrTooLong: a text has no NUL within the bytes that the caller allows.
	ErrTooLong = errors.New("the text has no NUL within the limit")

	// ErrNoModule: no module has that name.
	ErrNoModule = errors.New("no such module")
	// ErrNoSection: a module has no section of that name, or its section headers can't be read.
	ErrNoSection = errors.New("no such section")
	// ErrNoNote: a module has no such ELF note.
	ErrNoNote = errors.New("no such note")
	// ErrNoBuildID: nothing in a module identifies its build.
	ErrNoBuildID = errors.New("no build id")
	// ErrNoSoName: a module has no SONAME.
	ErrNoSoName = errors.New("no SONAME")
	// ErrClosed: the process has been closed.
	ErrClosed = errors.New("process is closed")
)

// because returns an error that wraps kind, with a reason. The reason is wrapped too if it is an error.
func because(kind error, reason any) error {
	err, ok := reason.(error)
	if !ok {
		return &explained{kind, nil, kind.Error() + ": " + reason.(string)}
	}
	return &explained{kind, err, kind.Error() + ": " + err.Error()}
}

// explained is an error of one of the kinds above with its cause.
type explained struct {
	kind, cause error
	text        string
}

func (e *explained) Error() string { return e.text }

func (e *explained) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}
