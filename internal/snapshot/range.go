package snapshot

import (
	"container/heap"

	"minidump/internal/arena"
)

// A RangeOrder sorts memory ranges in place. slices.SortFunc would do the same with ten times as much code, which
// would occupy memory of a small dumper.
type RangeOrder struct {
	ranges []MemoryRange
	n      int  // ranges that are in the heap; its root is the last in sort order
	bySize bool // the largest first; otherwise by address
}

// Sort sorts ranges by address.
func (o *RangeOrder) Sort(ranges []MemoryRange) { o.do(ranges, false) }

// SortBySize sorts ranges by size, the largest first, and ranges of equal size by address.
func (o *RangeOrder) SortBySize(ranges []MemoryRange) { o.do(ranges, true) }

func (o *RangeOrder) do(ranges []MemoryRange, bySize bool) {
	o.ranges, o.n, o.bySize = ranges, len(ranges), bySize
	sorted := true
	for i := 1; i < o.n && sorted; i++ {
		sorted = !o.before(i, i-1)
	}
	if !sorted {
		for heap.Init(o); o.n > 1; heap.Fix(o, 0) {
			o.n--
			o.Swap(0, o.n)
		}
	}
	o.ranges = nil
}

func (o *RangeOrder) before(i, j int) bool {
	a, b := &o.ranges[i], &o.ranges[j]
	if o.bySize && a.Size != b.Size {
		return a.Size > b.Size
	}
	return a.Start < b.Start
}

// Len implements heap.Interface.
func (o *RangeOrder) Len() int { return o.n }

// Less implements heap.Interface.
func (o *RangeOrder) Less(i, j int) bool { return o.before(j, i) }

// Swap implements heap.Interface.
func (o *RangeOrder) Swap(i, j int) { o.ranges[i], o.ranges[j] = o.ranges[j], o.ranges[i] }

// Push implements heap.Interface. Sorting does not call it.
func (o *RangeOrder) Push(any) { panic("minidump: ranges are not added to an order") }

// Pop implements heap.Interface. Sorting does not call it.
func (o *RangeOrder) Pop() any { panic("minidump: ranges are not taken from an order") }

// MemoryRange is a range of memory in the dump: one descriptor.
type MemoryRange struct {
	Start, Size uint64
	Data        arena.Span // the captured bytes
	Kind        MemoryKind
	Left        uint64 // bytes of a stack that CutStacks keeps; in followSignals the index of the thread
	Gap         bool   // mode full: some of its pages are absent, and count as zeros
	Keep        bool   // mode full under a size limit: a stack that shortened ranges no longer cover
}

// End returns the address after the range.
func (m *MemoryRange) End() uint64 { return m.Start + m.Size }

// isStack reports whether the range is, or contains, the stack of a thread.
func (m *MemoryRange) isStack() bool { return m.Kind == MemoryCrashStack || m.Kind == memoryStack }

// MemoryKind is the reason why a range is in the dump. Under a size limit, later kinds are dropped first.
type MemoryKind uint8

// The kinds of memory.
const (
	MemoryCrashStack MemoryKind = iota // the stack of the blamed thread
	memoryCode                         // around its instruction pointer
	memoryStack                        // the stacks of other threads
	MemoryApp                          // Want.AppMemory
	MemoryIndirect                     // referred to by the registers and the stack of the blamed thread
	MemoryGoroutine                    // the stacks of goroutines that no thread runs
)

// RangeOf returns the index of the captured range that contains addr, or -1.
func (s *Snapshot) RangeOf(addr uint64) int {
	r := s.Memory.All()
	i := arena.Search(r, addr, (*MemoryRange).End)
	if i < len(r) && r[i].Start <= addr {
		return i
	}
	return -1
}

// Captured returns the captured bytes from addr on, up to the first that was not captured.
func (s *Snapshot) Captured(addr uint64) []byte { return s.captured(addr, ^uint64(0)) }

// captured returns the captured bytes from lo up to hi, or up to the first that was not captured.
func (s *Snapshot) captured(lo, hi uint64) []byte {
	k := s.RangeOf(lo)
	if k < 0 || hi <= lo {
		return nil
	}
	r := s.Memory.At(k)
	if r.Data.Len == 0 {
		return nil
	}
	b := s.Bytes.Get(r.Data)[lo-r.Start:]
	return b[:min(uint64(len(b)), hi-lo)]
}
