package darwin

import (
	_ "unsafe" // for go:linkname

	"minidump/internal/snapshot"
)

// callCapture puts the registers of itself into r and calls captureOwn(l, s). Its frame stays until that returns, so a
// walk of the stack from those registers works.
func callCapture(r *registers, l *Source, s *snapshot.Snapshot)

// procPin keeps the goroutine on its thread and the thread on its P, without preemption, until procUnpin. Package
// runtime keeps both for programs that use them by go:linkname.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
