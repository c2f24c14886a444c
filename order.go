package minidump

import "container/heap"

// A rangeOrder sorts memory ranges where they are. slices.SortFunc would do, but is ten times as much code, more than all else
// that is done with ranges.
type rangeOrder struct {
	ranges []memoryRange
	n      int  // those in the heap, the last one in order first
	bySize bool // the largest first; else by address
}

// sort sorts ranges by address.
func (o *rangeOrder) sort(ranges []memoryRange) { o.do(ranges, false) }

// sortBySize puts the largest ranges first, and those of one size in order of address.
func (o *rangeOrder) sortBySize(ranges []memoryRange) { o.do(ranges, true) }

func (o *rangeOrder) do(ranges []memoryRange, bySize bool) {
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

func (o *rangeOrder) before(i, j int) bool {
	a, b := &o.ranges[i], &o.ranges[j]
	if o.bySize && a.size != b.size {
		return a.size > b.size
	}
	return a.start < b.start
}

// The methods of heap.Interface.
func (o *rangeOrder) Len() int           { return o.n }
func (o *rangeOrder) Less(i, j int) bool { return o.before(j, i) }
func (o *rangeOrder) Swap(i, j int)      { o.ranges[i], o.ranges[j] = o.ranges[j], o.ranges[i] }
func (o *rangeOrder) Push(any)           { panic("minidump: ranges are not added to an order") }
func (o *rangeOrder) Pop() any           { panic("minidump: ranges are not taken from an order") }
