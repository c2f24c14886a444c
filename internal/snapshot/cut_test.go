//go:build unix

package snapshot

import (
	"math/rand/v2"
	"testing"

	"minidump/internal/victims"
)

// TestOverlappingStacks shortens two stacks that overlap: neither may lose what it keeps.
func TestOverlappingStacks(t *testing.T) {
	var s Snapshot
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	b := make([]byte, 0x2800)
	for i := range b {
		b[i] = byte(i >> 8)
	}
	*s.Memory.Add() = MemoryRange{Start: 0x1000, Size: 0x2800, Kind: memoryStack, Data: s.Bytes.Put(b)}
	*s.Threads.Add() = Thread{TID: 1, StackLo: 0x1000, StackHi: 0x3000}
	*s.Threads.Add() = Thread{TID: 2, StackLo: 0x1800, StackHi: 0x3800}
	for i := range 2 {
		s.Threads.At(i).StackKeep = 0x400
	}
	s.CutStacks()
	if s.Memory.N != 2 {
		t.Fatalf("ranges %+v", s.Memory.All())
	}
	for i, start := range []uint64{0x1000, 0x1800} {
		th := s.Threads.At(i)
		got := s.captured(th.StackLo, th.StackHi)
		if r := s.Memory.At(i); r.Start != start || r.Size != 0x400 || len(got) != 0x400 || got[0] != byte((start-0x1000)>>8) {
			t.Errorf("range %+v, stack %#x-%#x of %d bytes", *r, th.StackLo, th.StackHi, len(got))
		}
	}
}

// TestCutStacks cuts stacks at random, and compares the result with a map of bytes.
func TestCutStacks(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	const space = 200
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var s Snapshot
		if err := s.Reserve(); err != nil {
			t.Fatal(err)
		}
		var want [space]bool
		for at := uint64(0); at < space-30; {
			at += 1 + rnd.Uint64N(10)
			b := make([]byte, 1+rnd.IntN(20))
			for i := range b {
				b[i], want[at+uint64(i)] = byte(at)+byte(i), true
			}
			*s.Memory.Add() = MemoryRange{Start: at, Size: uint64(len(b)), Data: s.Bytes.Put(b)}
			at += uint64(len(b))
		}
		before := want
		var cut, kept [space]bool
		for range rnd.IntN(8) {
			th := Thread{StackLo: rnd.Uint64N(space - 60), StackKeep: rnd.Uint64N(40)}
			th.StackHi = th.StackLo + rnd.Uint64N(60)
			for a := th.StackLo; a < th.StackHi; a++ {
				cut[a] = true
				kept[a] = kept[a] || a-th.StackLo < th.StackKeep
			}
			*s.Threads.Add() = th
		}
		for a := range want {
			want[a] = want[a] && (!cut[a] || kept[a])
		}
		s.CutStacks()
		var got [space]bool
		end := uint64(0)
		for _, r := range s.Memory.All() {
			if r.Start < end || r.Size == 0 {
				t.Fatalf("seed %d: %+v", seed, s.Memory.All())
			}
			end = r.End()
			for i, c := range s.Bytes.Get(r.Data) {
				got[r.Start+uint64(i)] = c == byte(r.Start)+byte(i)
			}
		}
		if got != want {
			t.Fatalf("seed %d: of %v\n%v is left, not\n%v", seed, before, got, want)
		}
		s.Release()
	}
}
