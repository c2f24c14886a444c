// Package deadline limits the time of a dump whose system calls may hang: in a read that a server or a userfaultfd never
// answers, or in a write to a pipe that nobody reads. Only the end of this process interrupts such a call. The kernel
// then resumes the dumped process, because its tracer has ended.
package deadline

import "time"

// How long a dump may take before run and serve end, unless another limit was given.
const (
	Dump     = time.Minute
	FullDump = 30 * time.Minute
)

// OfDump returns the limit of a dump: asked, unless it is 0.
func OfDump(asked time.Duration, full bool) time.Duration {
	switch {
	case asked != 0:
		return asked
	case full:
		return FullDump
	}
	return Dump
}
