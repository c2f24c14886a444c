package snapshot

import "errors"

// BufferSize is the size in bytes of the buffer that a source provides to the encoder.
const BufferSize = 32 << 10

// A Source captures one process: a live one, or a core file. Its methods are called from one goroutine at a time.
type Source interface {
	// Capture fills s with everything that must be consistent: threads, registers, memory map, memory. It fails only if no
	// useful dump is possible. When it returns, a live process runs again, except in mode full and if the caller traces it.
	Capture(s *Snapshot) error
	// Complete adds what can be read while the process runs again.
	Complete(s *Snapshot)
	// Identify finds the build id of a module if it is not in memory, and the name of a module without one.
	Identify(s *Snapshot, m *Module)
	// Release resumes the process if Capture has not. It may be called more than once. The error is ErrPause if the
	// process was resumed earlier, because the dump took too long.
	Release(s *Snapshot) error
	// Memory returns the process's memory. It is valid until Close.
	Memory() Memory
	// Process returns the id of the process and the name of its main thread, or "" if that is not known. It allocates.
	Process() (pid int, name string)
	// IsGo reports whether the process now runs a program built by Go. It overwrites s.Target and parts of s.Proc.
	IsGo(s *Snapshot) bool
	// Close releases the process and all memory of the source.
	Close() error
}

// Errors of sources, for errors.Is.
var (
	ErrNoProcess   = errors.New("no such process")
	ErrPermission  = errors.New("permission denied")
	ErrUnsupported = errors.New("not supported on this system")
	ErrPause       = errors.New("the process may not stay stopped any longer")
	ErrSnapshot    = errors.New("no snapshot of the process")
)

// bothErrors is a system error that errors.Is also matches with one of the errors above. Its text is that of the system error.
type bothErrors struct{ kind, err error }

func (e *bothErrors) Error() string   { return e.err.Error() }
func (e *bothErrors) Unwrap() []error { return []error{e.kind, e.err} }

// AlsoError returns an error with the text of err that errors.Is matches with both kind and err.
func AlsoError(kind, err error) error { return &bothErrors{kind, err} }
