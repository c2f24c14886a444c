package minidump

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRangeOrder(t *testing.T) {
	var o rangeOrder
	byAddress := func(a, b memoryRange) int { return cmp.Compare(a.start, b.start) }
	bySize := func(a, b memoryRange) int { return cmp.Or(cmp.Compare(b.size, a.size), byAddress(a, b)) }
	for n := range 200 {
		ranges := make([]memoryRange, n)
		for i := range ranges {
			ranges[i] = memoryRange{start: uint64(i), size: rand.Uint64N(8), data: span{off: uint32(i)}}
		}
		rand.Shuffle(n, func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
		want := slices.Clone(ranges)
		slices.SortFunc(want, byAddress)
		if o.sort(ranges); !slices.Equal(ranges, want) {
			t.Fatalf("by address: %+v, want %+v", ranges, want)
		}
		slices.SortFunc(want, bySize)
		if o.sortBySize(ranges); !slices.Equal(ranges, want) {
			t.Fatalf("by size: %+v, want %+v", ranges, want)
		}
		if o.sortBySize(ranges); !slices.Equal(ranges, want) {
			t.Fatal("what is sorted is changed")
		}
	}
}
