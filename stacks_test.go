//go:build unix

package minidump

import (
	"math/rand/v2"
	"testing"
)

// TestOverlappingStacks shortens two stacks that overlap: neither loses what it keeps.
func TestOverlappingStacks(t *testing.T) {
	var s snapshot
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.release()
	b := make([]byte, 0x2800)
	for i := range b {
		b[i] = byte(i >> 8)
	}
	*s.memory.add() = memoryRange{start: 0x1000, size: 0x2800, kind: memoryStack, data: s.bytes.put(b)}
	*s.threads.add() = thread{tid: 1, stackLo: 0x1000, stackHi: 0x3000}
	*s.threads.add() = thread{tid: 2, stackLo: 0x1800, stackHi: 0x3800}
	for i := range 2 {
		s.threads.at(i).stackKeep = 0x400
	}
	s.cutStacks()
	if s.memory.n != 2 {
		t.Fatalf("ranges %+v", s.memory.all())
	}
	for i, start := range []uint64{0x1000, 0x1800} {
		th := s.threads.at(i)
		got := s.captured(th.stackLo, th.stackHi)
		if r := s.memory.at(i); r.start != start || r.size != 0x400 || len(got) != 0x400 || got[0] != byte((start-0x1000)>>8) {
			t.Errorf("range %+v, stack %#x-%#x of %d bytes", *r, th.stackLo, th.stackHi, len(got))
		}
	}
}

// TestCutStacks cuts stacks at random, and holds the result against a map of bytes.
func TestCutStacks(t *testing.T) {
	const space = 200
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var s snapshot
		if err := s.reserve(); err != nil {
			t.Fatal(err)
		}
		var want [space]bool
		for at := uint64(0); at < space-30; {
			at += 1 + rnd.Uint64N(10)
			b := make([]byte, 1+rnd.IntN(20))
			for i := range b {
				b[i], want[at+uint64(i)] = byte(at)+byte(i), true
			}
			*s.memory.add() = memoryRange{start: at, size: uint64(len(b)), data: s.bytes.put(b)}
			at += uint64(len(b))
		}
		before := want
		var cut, kept [space]bool
		for range rnd.IntN(8) {
			th := thread{stackLo: rnd.Uint64N(space - 60), stackKeep: rnd.Uint64N(40)}
			th.stackHi = th.stackLo + rnd.Uint64N(60)
			for a := th.stackLo; a < th.stackHi; a++ {
				cut[a] = true
				kept[a] = kept[a] || a-th.stackLo < th.stackKeep
			}
			*s.threads.add() = th
		}
		for a := range want {
			want[a] = want[a] && (!cut[a] || kept[a])
		}
		s.cutStacks()
		var got [space]bool
		end := uint64(0)
		for _, r := range s.memory.all() {
			if r.start < end || r.size == 0 {
				t.Fatalf("seed %d: %+v", seed, s.memory.all())
			}
			end = r.end()
			for i, c := range s.bytes.bytes(r.data) {
				got[r.start+uint64(i)] = c == byte(r.start)+byte(i)
			}
		}
		if got != want {
			t.Fatalf("seed %d: of %v\n%v is left, not\n%v", seed, before, got, want)
		}
		s.release()
	}
}

// TestKeepStacks shortens what mode full would write to before, into and behind stacks: each stack is there once as a
// whole, and no byte twice.
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
		var s snapshot
		if err := s.reserve(); err != nil {
			t.Fatal(err)
		}
		defer s.release()
		*s.memory.add() = memoryRange{start: lo, size: hi - lo}
		for _, r := range full {
			*s.full.add() = memoryRange{start: r[0], size: r[1] - r[0]}
		}
		for range 2 { // it starts over
			s.keepStacks()
			held := map[uint64]int{}
			whole := false
			for _, r := range s.full.all() {
				if r.size == 0 {
					t.Errorf("%#x: an empty range at %#x", full, r.start)
				}
				for a := r.start; a < r.end(); a += 16 {
					held[a]++
				}
				whole = whole || r.start <= lo && hi <= r.end()
			}
			if !whole {
				t.Errorf("%#x: the stack is in no range of %+v", full, s.full.all())
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
