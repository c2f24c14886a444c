package snapshot

// AddGoroutine adds memory of the stack of a goroutine that no thread runs: b, which was read at addr while the process was stopped. It
// returns how many bytes it added; memory that the process has hidden is not added. PlaceGoroutines must be called after the last one.
func (s *Snapshot) AddGoroutine(addr uint64, b []byte) uint64 {
	m := s.readableAt(addr)
	if m == nil || len(b) == 0 {
		return 0
	}
	b = b[:min(uint64(len(b)), m.End-addr)]
	r := s.Memory.Add()
	if r == nil {
		return 0
	}
	*r = MemoryRange{Start: addr, Size: uint64(len(b)), Data: s.Bytes.Put(b), Kind: MemoryGoroutine}
	if uint64(r.Data.Len) != r.Size {
		s.Memory.N--
		return 0
	}
	return r.Size
}

// PlaceGoroutines sorts the ranges that AddGoroutine added into the table by address. It removes from them what another range
// contains, so that no byte is stored twice: nothing guarantees that a target's stacks do not overlap.
func (s *Snapshot) PlaceGoroutines() {
	r := s.Memory.All()
	s.Order.Sort(r)
	next := ^uint64(0) // where the next range of another kind begins
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].Kind != MemoryGoroutine {
			next = r[i].Start
		} else if r[i].End() > next {
			r[i].cutTo(next)
		}
	}
	end := uint64(0)
	for i := range r {
		if r[i].Kind == MemoryGoroutine && r[i].Start < end {
			n := min(end-r[i].Start, r[i].Size)
			r[i].Start, r[i].Size = r[i].Start+n, r[i].Size-n
			r[i].Data.Off, r[i].Data.Len = r[i].Data.Off+uint32(n), uint32(r[i].Size)
		}
		end = max(end, r[i].End())
	}
	s.DropEmpty()
}

// cutTo ends the range at end.
func (m *MemoryRange) cutTo(end uint64) {
	m.Size = end - min(m.Start, end)
	m.Size = min(m.Size, uint64(m.Data.Len))
	m.Data.Len = uint32(m.Size)
}
