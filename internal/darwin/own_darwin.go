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

// nanotime is the clock by which Go's runtime counts how long a goroutine waits: of mach_absolute_time, which all processes have in
// common.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64
