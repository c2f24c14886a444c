//go:build linux

package linux

import (
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// readMapsEarly reads and parses the memory map before the stop: for a process with many libraries the kernel takes
// milliseconds to write it, by far the longest part of a stop. In mode full, which copies every mapping, it does
// nothing unless the process is copied.
func (l *Source) readMapsEarly(s *snapshot.Snapshot) {
	l.early = procfs.Statm{}
	if s.Want.Mode == snapshot.ModeFull && !l.forCopy || !l.attaches() {
		return
	}
	early, known := l.readStatm(), s.Errors.N
	if l.readMaps(s) == 0 && s.Errors.N == known {
		l.early = early
		l.mem.learnBackings()
	}
	s.Errors.N = known // failures here are not recorded: the read is repeated during the stop, which records them
}

// mapsHold reports, during the stop, whether the map that was read before is still valid: the size of the process is
// the same, and SP and PC of every thread are in known mappings. If it is not, mapsHold removes the map.
func (l *Source) mapsHold(s *snapshot.Snapshot) bool {
	if l.early.Size != 0 {
		now := l.readStatm()
		hold := now.Size == l.early.Size && now.Data == l.early.Data
		for i := 0; hold && i < s.Threads.N; i++ {
			t := s.Threads.At(i)
			hold = !t.HasSP || s.Find(t.SP) != nil && s.Find(t.PC) != nil
		}
		if hold {
			return true
		}
	}
	s.Mappings.Clear()
	s.Raw[snapshot.RawMaps] = arena.Span{}
	return false
}
