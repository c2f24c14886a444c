package minidump

import "testing"

// TestWantWithoutSpace sees to it that what is not read for want of space is told, once a batch.
func TestWantWithoutSpace(t *testing.T) {
	var s snapshot
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.release()
	var r requests
	if err := r.reserve(arenaUnit); err != nil {
		t.Fatal(err)
	}
	defer r.release()
	for range 2 {
		r.clear()
		if sp := r.want(&s, 0x1000, 64); sp.len != 64 || s.errors.n != 0 {
			t.Fatalf("%d bytes, %d errors", sp.len, s.errors.n)
		}
	}
	s.bytes.size = s.bytes.used
	for batch := 1; batch <= 2; batch++ {
		r.clear()
		for range 3 {
			if sp := r.want(&s, 0x2000, 64); sp.len != 0 {
				t.Errorf("%d bytes", sp.len)
			}
		}
		if r.n != 0 || s.errors.n != batch || s.errors.at(batch-1).op != opTruncated || s.errors.at(batch-1).addr != 0x2000 {
			t.Errorf("batch %d: %d requests, %d errors", batch, r.n, s.errors.n)
		}
	}
}
