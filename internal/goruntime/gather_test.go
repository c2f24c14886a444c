package goruntime

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"minidump/internal/snapshot"
)

// holed is memory of 256 KiB from 0x10000 on in which some pages are missing. Each byte follows from its address.
type holed struct {
	snapshot.Whole
	missing map[uint64]bool
	reads   int
}

const holedLo, holedHi = 0x10000, 0x50000

func (m *holed) Read(addr uint64, p []byte) (n int) {
	for ; n < len(p); n++ {
		if at := addr + uint64(n); at < holedLo || at >= holedHi || m.missing[at/pageSize] {
			break
		} else {
			p[n] = byte(at*7 + at>>8)
		}
	}
	return n
}

func (m *holed) ReadV(reqs []Request) {
	m.reads += len(reqs)
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// heapSpace is a Space in the Go heap that lives as long as the test.
type heapSpace struct{ kept [][]uint64 }

func (s *heapSpace) Piece(n int) []byte {
	words := make([]uint64, n/8+3)
	s.kept = append(s.kept, words)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

// TestGather reads pieces at random, in all orders and at all distances, overlapping and outside of memory: each must return the
// same as a separate read.
func TestGather(t *testing.T) {
	var g gatherer
	if !g.init(new(heapSpace)) {
		t.Fatal("no memory")
	}
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		m := &holed{missing: map[uint64]bool{}}
		for range rnd.IntN(6) {
			m.missing[rnd.Uint64N(64)+holedLo/pageSize] = true
		}
		q := make([]Request, 1+rnd.IntN(batch))
		for i := range q {
			at := holedLo + rnd.Uint64N(holedHi-holedLo)
			switch rnd.IntN(40) {
			case 0:
				at = rnd.Uint64()
			case 1:
				at = ^uint64(0) - rnd.Uint64N(600)
			}
			q[i] = Request{Addr: at, Dst: make([]byte, 1+rnd.IntN(600))}
		}
		if rnd.IntN(8) == 0 {
			q[0].Dst = make([]byte, 100_000)
		}
		g.read(m, q)
		for i := range q {
			want := make([]byte, len(q[i].Dst))
			if n := m.Read(q[i].Addr, want); q[i].Got != n || string(q[i].Dst[:n]) != string(want[:n]) {
				t.Fatalf("seed %d: %d bytes at %#x, not %d", seed, q[i].Got, q[i].Addr, n)
			}
		}
	}
	// Goroutines next to one another.
	m := new(holed)
	q := make([]Request, 400)
	for i := range q {
		q[i] = Request{Addr: holedLo + uint64(i^1)*480, Dst: make([]byte, 456)}
	}
	if g.read(m, q); m.reads > 4 {
		t.Errorf("%d reads", m.reads)
	}
}
