//go:build linux

package linux

import (
	"minidump/procfs"

	"minidump/internal/snapshot"
)

// chooseFull lists the present memory of every readable mapping, to be streamed. It records where a file is shorter than
// its mapping, and which mappings can't be read at all.
func (p *Reader) chooseFull(s *snapshot.Snapshot) {
	maps := s.Mappings.All()
	for i := range maps {
		m := &maps[i]
		if m.Perm&snapshot.PermRead == 0 || m.Kind == snapshot.MapSpecial || m.Hidden {
			continue
		}
		if !p.addPresent(s, m) {
			s.Soft(snapshot.OpTruncated, 0, 0, m.Start)
		}
	}
}

// addPresent lists the present memory of one mapping; it returns false if there is no space.
func (p *Reader) addPresent(s *snapshot.Snapshot, m *snapshot.Mapping) bool {
	var last *snapshot.MemoryRange
	gap := m.End // the first address that is not present
	for at := m.Start; at < m.End; {
		from, to, how := p.mem.next(at, m.End)
		if from > at || how == wayNone {
			gap = min(gap, at)
		}
		if how == wayNone {
			break
		}
		if at = to; how == wayMemory && last == nil && !p.canRead(from) {
			p.skipped(s, m, m.Start)
			return true
		}
		if last != nil && last.End() == from {
			last.Size += to - from
			continue
		}
		if last = s.Full.Add(); last == nil {
			return false
		}
		*last = snapshot.MemoryRange{Start: from, Size: to - from}
	}
	if gap == m.End {
		return true
	}
	kind := p.mem.backingOf(m)
	switch {
	case kind == backingServer, procfs.FlagsIn(p.marked.list(), m.Start, m.End)&procfs.VMUserfault != 0:
		if e := s.Soft(snapshot.OpAbsent, 0, 0, gap); e != nil {
			e.Text = m.Name
		}
	case kind == backingDisk || kind == backingMemory:
		if p.mem.openMapped(m) {
			if end := p.mem.fileEnd(m); end < m.End {
				p.skipped(s, m, end)
			}
		}
	}
	return true
}

// skipped records that a mapping can't be read from addr on.
func (p *Reader) skipped(s *snapshot.Snapshot, m *snapshot.Mapping, addr uint64) {
	if e := s.Soft(snapshot.OpFull, 0, 0, addr); e != nil {
		e.Text = m.Name
	}
}

func (p *Reader) canRead(addr uint64) bool { return p.mem.Read(addr, p.scratch.bytes[:1]) == 1 }
