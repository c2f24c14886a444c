//go:build linux

package linux

import (
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// keptMemory is memory that a copy of the process lacks, because the process has excluded it from all copies (MADV_DONTFORK) or
// the kernel wipes it in copies (MADV_WIPEONFORK). It is read while the process is stopped.
type keptMemory struct {
	ranges arena.Table[keptRange]
}

type keptRange struct {
	lo, hi uint64
	bytes  arena.Span
}

// maxKept bounds the bytes that are read, which takes some milliseconds. The number of mappings bounds the number of ranges.
const maxKept = 16 << 20

// take reads the memory that the copy will lack. Memory beyond maxKept is recorded as missing.
func (k *keptMemory) take(l *Source, s *snapshot.Snapshot) {
	k.ranges.Clear()
	left, recorded := uint64(maxKept), false
	for _, f := range l.marked.list() {
		if f.Flags&(procfs.VMDontCopy|procfs.VMWipeOnFork) == 0 || f.Flags&(procfs.VMIO|procfs.VMPFNMap) != 0 ||
			f.Flags&procfs.VMDontDump != 0 && !s.Want.DontDump {
			continue
		}
		for at := f.Start; at < f.End; {
			from, to, how := l.mem.next(at, f.End)
			if how == wayNone {
				break
			}
			size := min(to-from, left)
			span, b := s.Bytes.Alloc(int(size))
			r := k.add(b)
			if r == nil {
				if !recorded {
					recorded = s.Soft(snapshot.OpCopyLacks, 0, 0, from) != nil
				}
				break
			}
			n := l.mem.Read(from, b)
			*r = keptRange{from, from + uint64(n), s.Bytes.Trim(span, n)}
			left -= uint64(n)
			if at = to; n < int(size) {
				at = from + uint64(n) + s.Target.PageSize
			}
		}
	}
}

// add adds a range for b; nil if there is no space.
func (k *keptMemory) add(b []byte) *keptRange {
	if len(b) == 0 {
		return nil
	}
	return k.ranges.Add()
}

// from returns the first part of [lo, hi) that is kept; [hi, hi) if there is none.
func (k *keptMemory) from(lo, hi uint64) (from, to uint64) {
	list := k.ranges.All()
	i := arena.Search(list, lo, func(r *keptRange) uint64 { return r.hi })
	if i == len(list) || list[i].lo >= hi {
		return hi, hi
	}
	return max(lo, list[i].lo), min(hi, list[i].hi)
}

// read copies kept memory at addr to p, and returns how many bytes it has copied.
func (k *keptMemory) read(s *snapshot.Snapshot, addr uint64, p []byte) int {
	list := k.ranges.All()
	i := arena.Search(list, addr, func(r *keptRange) uint64 { return r.hi })
	if i == len(list) || list[i].lo > addr {
		return 0
	}
	return copy(p, s.Bytes.Get(list[i].bytes)[addr-list[i].lo:])
}
