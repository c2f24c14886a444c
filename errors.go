package minidump

import (
	"errors"

	"minidump/internal/corefile"
	"minidump/internal/encode"
	"minidump/internal/snapshot"
)

// Errors of NewWriter and of dumps, for errors.Is. If the system reported an error, it is wrapped too.
var (
	ErrNoProcess   = snapshot.ErrNoProcess
	ErrPermission  = snapshot.ErrPermission
	ErrLimit       = encode.ErrLimit
	ErrTooLarge    = encode.ErrTooLarge
	ErrBusy        = errors.New("a dump by this Writer is under way")
	ErrClosed      = errors.New("writer is closed")
	ErrUnsupported = snapshot.ErrUnsupported
	ErrPause       = snapshot.ErrPause    // see Options.MaxPause
	ErrSnapshot    = snapshot.ErrSnapshot // see Options.Snapshot
	ErrSelf        = errors.New("a process can't stop itself: use DumpSelf")
)

// Errors of OpenCore, OpenCoreFile and OpenCorePipe, for errors.Is.
var (
	ErrNotCore    = corefile.ErrNotCore
	ErrNoThread   = corefile.ErrNoThread // the notes have no valid thread
	ErrCompressed = corefile.ErrCompressed
)
