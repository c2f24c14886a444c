//go:build unix

package snapshot

import (
	"math/rand/v2"
	"testing"
)

// TestPlaceGoroutines adds random stacks to random ranges: the result must be sorted and without overlaps, each byte must be
// the one of its address, and the other ranges must not change.
func TestPlaceGoroutines(t *testing.T) {
	const space = 400
	var s Snapshot
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	content := make([]byte, space)
	for i := range content {
		content[i] = byte(i)
	}
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		s.Begin(0)
		*s.Mappings.Add() = Mapping{Start: 0, End: space - 50, Perm: PermRead | PermWrite}
		*s.Mappings.Add() = Mapping{Start: space - 50, End: space, Perm: PermRead | PermWrite, Hidden: true}
		var other [space]bool
		for at := rnd.Uint64N(40); at < space; {
			n := min(1+rnd.Uint64N(30), space-at)
			*s.Memory.Add() = MemoryRange{Start: at, Size: n, Kind: MemoryIndirect, Data: s.Bytes.Put(content[at : at+n])}
			for i := range n {
				other[at+i] = true
			}
			at += n + 1 + rnd.Uint64N(90)
		}
		for range rnd.IntN(12) {
			at := rnd.Uint64N(space)
			n := min(rnd.Uint64N(60), space-at)
			s.AddGoroutine(at, content[at:at+n])
		}
		s.PlaceGoroutines()
		end := uint64(0)
		var left int
		for _, r := range s.Memory.All() {
			b := s.Bytes.Get(r.Data)
			if r.Start < end || uint64(len(b)) != r.Size || r.Size == 0 || string(b) != string(content[r.Start:r.End()]) {
				t.Fatalf("seed %d: range %+v after %d has %v", seed, r, end, b)
			}
			if end = r.End(); r.Kind != MemoryGoroutine {
				left += int(r.Size)
			} else if end > space-50 {
				t.Fatalf("seed %d: %+v is hidden", seed, r)
			}
		}
		for _, is := range other {
			if is {
				left--
			}
		}
		if left != 0 {
			t.Fatalf("seed %d: %d bytes of other ranges", seed, left)
		}
	}
}
