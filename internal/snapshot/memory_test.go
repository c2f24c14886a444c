package snapshot

import (
	"testing"

	"minidump/internal/arena"
)

// TestWantWithoutSpace checks that lack of space is recorded once per batch.
func TestWantWithoutSpace(t *testing.T) {
	var s Snapshot
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	var r Requests
	if err := r.Reserve(arena.Unit); err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var sp arena.Span
	for range 2 {
		r.Clear()
		if r.Want(&s, 0x1000, 64, &sp); sp.Len != 64 || s.Errors.N != 0 {
			t.Fatalf("%d bytes, %d errors", sp.Len, s.Errors.N)
		}
	}
	for n := 64 << 10; n >= 16; n >>= 1 { // until no space of any size is left
		for {
			if _, b := s.Bytes.Alloc(n); b == nil {
				break
			}
		}
	}
	for batch := 1; batch <= 2; batch++ {
		r.Clear()
		for range 3 {
			if r.Want(&s, 0x2000, 64, &sp); sp.Len != 0 {
				t.Errorf("%d bytes", sp.Len)
			}
		}
		if r.N != 0 || s.Errors.N != batch || s.Errors.At(batch-1).Op != OpTruncated || s.Errors.At(batch-1).Addr != 0x2000 {
			t.Errorf("batch %d: %d requests, %d errors", batch, r.N, s.Errors.N)
		}
	}
}
