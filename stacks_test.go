//go:build unix

package minidump

import "testing"

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
		s.cutStack(s.threads.at(i), 0x400, 0x400)
	}
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
