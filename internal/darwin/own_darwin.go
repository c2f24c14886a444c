package darwin

import (
	_ "unsafe" // for go:linkname

	"minidump/internal/snapshot"
)

// callCapture stores its own registers in r and calls captureOwn(l, s). Its frame exists until captureOwn returns, so
// a stack walk from those registers works.
func callCapture(r *registers, l *Source, s *snapshot.Snapshot)

// procPin keeps the goroutine on its thread and the thread on its P, without preemption, until procUnpin. Package
// runtime keeps both available to programs that use go:linkname.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// nanotime returns the clock by which the Go runtime measures how long a goroutine waits: that of mach_absolute_time, which all
// processes share.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64
