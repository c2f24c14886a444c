// Package deadline watches over a dump whose system calls may hang: in a read of what some server or a userfaultfd never
// delivers, or in the write to a pipe that nobody reads. Nothing can take such a call back but the end of this process,
// after which the kernel lets the dumped one go on, as its tracer has ended.
package deadline

import "time"

// How long a dump may take before run and serve end, where nothing else was asked for.
const (
	Dump     = time.Minute
	FullDump = 30 * time.Minute
)

// OfDump returns the limit of a dump: asked, unless that is 0.
func OfDump(asked time.Duration, full bool) time.Duration {
	switch {
	case asked != 0:
		return asked
	case full:
		return FullDump
	}
	return Dump
}
