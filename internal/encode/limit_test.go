package encode

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"minidump/internal/snapshot"
)

// If there are more soft errors than anyone reads, the list is cut, not omitted.
func TestSoftErrorsWithoutEnd(t *testing.T) {
	var s snapshot.Snapshot
	var f File
	s.Want.Mode = snapshot.ModeStack
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if err := f.Init(&s, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	text := s.Bytes.Put(bytes.Repeat([]byte{'x'}, 4000))
	for range 50000 {
		if e := s.Soft(snapshot.OpModuleID, 0, 0, 0); e != nil {
			e.Text = text
		}
	}
	f.renderSoftErrors()
	b := s.Bytes.Get(f.json)
	if len(b) < maxSoftText/16 || len(b) > maxSoftText || !json.Valid(b) {
		t.Errorf("%d bytes of text: %.300q", len(b), b)
	}
}

// The largest ranges are shortened first, and the remaining ranges stay sorted by address.
func TestDropStreamed(t *testing.T) {
	var s snapshot.Snapshot
	var f File
	s.Want.Mode = snapshot.ModeFull
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if err := f.Init(&s, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	s.Target.PageSize = 4096
	for i, pages := range []uint64{1, 5, 2, 5, 3} {
		*s.Full.Add() = snapshot.MemoryRange{Start: 0x100000 * uint64(i), Size: pages << 12}
	}
	s.Full.At(3).Keep = true
	if !dropStreamed(&f, 6<<12-100) {
		t.Error("nothing is dropped")
	}
	for i, pages := range []uint64{1, 0, 2, 5, 2} {
		if r := s.Full.At(i); r.Start != 0x100000*uint64(i) || r.Size != pages<<12 {
			t.Errorf("range %d: %+v, want %d pages", i, *r, pages)
		}
	}
	s.Full.Clear()
	const many = 60000
	for i := range uint64(many) {
		*s.Full.Add() = snapshot.MemoryRange{Start: i << 13, Size: 4096}
		*s.Memory.Add() = snapshot.MemoryRange{Start: i<<13 + 256, Size: 256}
	}
	start := time.Now()
	if !dropStreamed(&f, many<<11) {
		t.Error("nothing is dropped")
	}
	keepStacks(&s)
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("%d ranges took %v", many, d)
	}
	if s.Full.N != many {
		t.Errorf("%d ranges", s.Full.N)
	}
}

// TestKeepStacks shortens the ranges of mode full before, in and after stacks: each stack must be there once as a whole, and no byte twice.
func TestKeepStacks(t *testing.T) {
	const lo, hi = 0x3000, 0x5000 // a stack
	for _, full := range [][][2]uint64{
		{{0x1000, 0x9000}},
		{{lo, hi}},
		{{0x1000, 0x2000}},
		{{0x1000, 0x3000}, {0x7000, 0x8000}},
		{{0x1000, 0x3020}},
		{{0x1000, 0x4000}, {0x4000, 0x6000}},
		{{0x4000, 0x4800}, {0x4800, 0x6000}},
		{{0x3000, 0x4000}},
		{},
	} {
		var s snapshot.Snapshot
		if err := s.Reserve(); err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		*s.Memory.Add() = snapshot.MemoryRange{Start: lo, Size: hi - lo}
		for _, r := range full {
			*s.Full.Add() = snapshot.MemoryRange{Start: r[0], Size: r[1] - r[0]}
		}
		for range 2 { // the second run starts over
			keepStacks(&s)
			held := map[uint64]int{}
			whole := false
			for _, r := range s.Full.All() {
				if r.Size == 0 {
					t.Errorf("%#x: an empty range at %#x", full, r.Start)
				}
				for a := r.Start; a < r.End(); a += 16 {
					held[a]++
				}
				whole = whole || r.Start <= lo && hi <= r.End()
			}
			if !whole {
				t.Errorf("%#x: the stack is in no range of %+v", full, s.Full.All())
			}
			for _, r := range append([][2]uint64{{lo, hi}}, full...) {
				for a := r[0]; a < r[1]; a += 16 {
					if held[a] != 1 {
						t.Fatalf("%#x: %#x is held %d times", full, a, held[a])
					}
				}
			}
		}
	}
}
