package snapshot

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"minidump/internal/arena"
)

func TestRangeOrder(t *testing.T) {
	var o RangeOrder
	byAddress := func(a, b MemoryRange) int { return cmp.Compare(a.Start, b.Start) }
	bySize := func(a, b MemoryRange) int { return cmp.Or(cmp.Compare(b.Size, a.Size), byAddress(a, b)) }
	for n := range 200 {
		ranges := make([]MemoryRange, n)
		for i := range ranges {
			ranges[i] = MemoryRange{Start: uint64(i), Size: rand.Uint64N(8), Data: arena.Span{Off: uint32(i)}}
		}
		rand.Shuffle(n, func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
		want := slices.Clone(ranges)
		slices.SortFunc(want, byAddress)
		if o.Sort(ranges); !slices.Equal(ranges, want) {
			t.Fatalf("by address: %+v, want %+v", ranges, want)
		}
		slices.SortFunc(want, bySize)
		if o.SortBySize(ranges); !slices.Equal(ranges, want) {
			t.Fatalf("by size: %+v, want %+v", ranges, want)
		}
		if o.SortBySize(ranges); !slices.Equal(ranges, want) {
			t.Fatal("what is sorted is changed")
		}
	}
}
