//go:build linux

package linux

import (
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// A markedMemory lists the mappings whose flags matter to a dump.
type markedMemory struct {
	ranges arena.Table[procfs.FlaggedRange]
	reader procfs.SmapsReader
	known  bool
}

// maxMarked is the maximum number of such mappings.
const maxMarked = 1 << 16

func (k *markedMemory) reserve() error { return k.ranges.Reserve(maxMarked * 24) }

// list returns the mappings that were found.
func (k *markedMemory) list() []procfs.FlaggedRange { return k.ranges.All() }

// findMarked reads the flags of all mappings below end. The kernel walks all page tables for that, so it must not be
// called during the stop.
func (p *Reader) findMarked(s *snapshot.Snapshot, end uint64) {
	k := &p.marked
	k.known = false
	k.ranges.Clear()
	for room := 256; ; room *= 4 {
		k.ranges.Clear()
		if k.reader.Out = k.ranges.Extend(room); k.reader.Out == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, 0)
			return
		}
		k.reader.Want = procfs.VMDontDump | procfs.VMIO | procfs.VMPFNMap | procfs.VMUserfault
		if p.forCopy {
			k.reader.Want |= procfs.VMDontCopy | procfs.VMWipeOnFork
		}
		errno := p.dir.ReadVMFlags(p.scratch.bytes, end, &k.reader)
		k.ranges.N = k.reader.N
		if errno != 0 {
			s.Soft(snapshot.OpVMFlags, int32(errno), 0, 0)
			return
		}
		if !k.reader.More || room >= maxMarked {
			k.known = true
			return
		}
	}
}

// findHidden determines, before the stop, which memory must not be in a dump. A dump of stacks alone includes no such memory.
func (p *Reader) findHidden(s *snapshot.Snapshot) {
	p.marked.known = false
	p.marked.ranges.Clear()
	if s.Want.Mode != snapshot.ModeStack {
		p.findMarked(s, ^uint64(0))
	}
}

// hide marks the mappings found by findHidden. If there were more than fit in the list, the unknown ones are hidden too.
func (p *Reader) hide(s *snapshot.Snapshot) {
	k := &p.marked
	if !k.known {
		return
	}
	flags := procfs.VMIO | procfs.VMPFNMap
	if !s.Want.DontDump {
		flags |= procfs.VMDontDump
	}
	for i := range s.Mappings.All() {
		m := s.Mappings.At(i)
		m.Hidden = procfs.FlagsIn(k.list(), m.Start, m.End)&flags != 0 || k.reader.More && m.Start >= k.reader.Until
	}
}

// recordGaps records, when the process runs again, which of the gaps are more than memory that was never used: pages
// that a userfaultfd or a file server has not delivered. Determining that takes long in a large process. A gap of one
// page within a stack, which every thread of glibc has, is therefore checked only if the flags are known for another
// reason, or if the process has a userfaultfd open.
func (p *Reader) recordGaps(s *snapshot.Snapshot) {
	gaps := s.Gaps.All()
	if len(gaps) == 0 {
		return
	}
	if !p.marked.known {
		if !s.Gaps.Odd && !p.program.userfault {
			return
		}
		end := uint64(0)
		for i := range gaps {
			end = max(end, gaps[i].Hi)
		}
		p.findMarked(s, end)
	}
	for i := range gaps {
		g := &gaps[i]
		mp := p.mem.mapping(g.Lo)
		if mp == nil || mp.Start > g.Lo {
			continue
		}
		server := p.mem.backingOf(mp) == backingServer
		if server || procfs.FlagsIn(p.marked.list(), g.Lo, g.Hi)&procfs.VMUserfault != 0 {
			if e := s.Soft(snapshot.OpAbsent, 0, 0, g.Lo); e != nil && server {
				e.Text = mp.Name
			}
		}
	}
}
