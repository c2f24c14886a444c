package snapshot

import "minidump/internal/arena"

// Gaps are parts of wanted memory that are not present. Most were never used, which is not an error; the source
// determines which of them are missing for another reason when the process runs again.
type Gaps struct {
	ranges [16]Range // the first ones
	n      int
	Odd    bool // one of them is where memory is usually in use, unlike a page within a stack
}

// All returns the gaps that are known.
func (g *Gaps) All() []Range { return g.ranges[:g.n] }

// add records a gap, if there is space.
func (g *Gaps) add(lo, hi uint64, odd bool) {
	if g.Odd = g.Odd || odd; g.n < len(g.ranges) {
		g.ranges[g.n] = Range{lo, hi}
		g.n++
	}
}

// ManyRanges is the number of ranges from which it pays to check the pages between them too, in one call.
const ManyRanges = 16

// splitAbsent splits each added range into its present parts. Stacks stay whole, see readStacks.
func (s *Snapshot) splitAbsent(mem Memory) {
	n := s.Memory.N
	if n == 0 {
		return
	}
	ahead := uint64(0)
	if n >= ManyRanges {
		ahead = s.Memory.At(n - 1).End()
	}
	for i := range n {
		r := *s.Memory.At(i)
		if r.isStack() {
			continue
		}
		first := true // s.Memory.At(i) still stands for r
		recorded := r.Kind != MemoryApp
		for at, end := r.Start, r.End(); at < end; {
			from, to, ok := mem.There(at, end, ahead)
			if !ok {
				from, to = end, end
			}
			if from > at {
				s.Gaps.add(at, from, true)
				if !recorded {
					recorded = true
					s.Soft(OpAppMemory, 0, 0, at)
				}
			}
			switch {
			case first:
				first = false
				p := s.Memory.At(i)
				p.Start, p.Size = from, to-from
			case to > from:
				s.addMemory(from, to, r.Kind)
			}
			at = to
		}
	}
	dropSizeless(&s.Memory)
	s.join(&s.Memory)
}

// join sorts the ranges of a table, and merges adjacent ranges of the same kind.
func (s *Snapshot) join(t *arena.Table[MemoryRange]) {
	r := t.All()
	s.Order.Sort(r)
	n := 0
	for i := range r {
		if n > 0 && r[i].Start == r[n-1].End() && r[i].Kind == r[n-1].Kind {
			r[n-1].Size += r[i].Size
			r[n-1].Gap = r[n-1].Gap || r[i].Gap
			continue
		}
		r[n] = r[i]
		n++
	}
	t.N = n
}

// dropSizeless drops the ranges of a table that are empty.
func dropSizeless(t *arena.Table[MemoryRange]) {
	r := t.All()
	n := 0
	for i := range r {
		if r[i].Size > 0 {
			r[n] = r[i]
			n++
		}
	}
	t.N = n
}

// readStacks serves the requests of s.Batch, and reads stacks to their ends: an absent page of a stack has never been used, as
// in the middle of a large array or below SP. It is zeros, and the memory above it is wanted. Absent memory at the end is cut
// off. If inDump is set, the gaps are part of the dump, and are recorded.
func (s *Snapshot) readStacks(mem Memory, inDump bool) {
	reqs := s.Batch.All()
	for mem.ReadV(reqs); s.skipAbsent(mem, inDump); {
		rest := s.rest.All()
		mem.ReadV(rest)
		for i := range rest {
			p := &rest[i]
			q := &reqs[p.of]
			q.Got = int(p.Addr-q.Addr) + p.Got
			q.ended = p.Got == 0
		}
	}
	s.Batch.finish()
}

// skipAbsent clears the absent pages where stacks of s.Batch could not be read on, and sets s.rest to what is above them. It
// reports whether there is any.
func (s *Snapshot) skipAbsent(mem Memory, inDump bool) bool {
	reqs := s.Batch.All()
	s.rest.Clear()
	short, ahead := 0, uint64(0)
	for i := range reqs {
		if q := &reqs[i]; q.goesOn() {
			short++
			ahead = q.Addr + uint64(len(q.Dst))
		}
	}
	if short < ManyRanges {
		ahead = 0
	}
	for i := range reqs {
		q := &reqs[i]
		if !q.goesOn() {
			continue
		}
		at, end := q.Addr+uint64(q.Got), q.Addr+uint64(len(q.Dst))
		from, _, ok := mem.There(at, end, ahead)
		if !ok {
			q.ended, q.absent = true, true
			from = end
		}
		if inDump {
			s.addGap(at, from, q.absent)
		}
		var p *ReadRequest
		if ok && from > at { // otherwise it is present, but can't be read
			clear(q.Dst[q.Got : from-q.Addr])
			if q.Got == 0 {
				q.unused = from - at
			} else {
				q.holes = true
			}
			p = s.rest.Add()
		}
		if p == nil {
			q.ended = true
			continue
		}
		*p = ReadRequest{Addr: from, Dst: q.Dst[from-q.Addr:], of: int32(i)}
	}
	return s.rest.N > 0
}

// goesOn reports whether the request is for a stack that has not been read to its end.
func (r *ReadRequest) goesOn() bool { return r.stack && !r.ended && r.Got < len(r.Dst) }

// addGap records the absent part [lo, hi) of a stack in the dump. atEnd: it is cut off.
func (s *Snapshot) addGap(lo, hi uint64, atEnd bool) {
	if lo == hi {
		return
	}
	s.Gaps.add(lo, hi, atEnd)
	if s.Want.Mode != ModeFull || atEnd {
		return
	}
	if p := s.Full.Add(); p != nil {
		*p = MemoryRange{Start: lo, Size: hi - lo, Gap: true}
	}
}

// readStack reads a part of one stack as readStacks does.
func readStack(mem Memory, addr uint64, p []byte) (n int) {
	for {
		n += mem.Read(addr+uint64(n), p[n:])
		if n == len(p) {
			return n
		}
		at := addr + uint64(n)
		from, _, ok := mem.There(at, addr+uint64(len(p)), 0)
		if !ok || from == at {
			return n
		}
		clear(p[n : from-addr])
		n = int(from - addr)
	}
}

// leaveOut removes [lo, hi) from all ranges that were added but not captured yet.
func (s *Snapshot) leaveOut(t *arena.Table[MemoryRange], lo, hi uint64) {
	if lo >= hi {
		return
	}
	for i, n := 0, t.N; i < n; i++ {
		r := t.At(i)
		end := r.End()
		if end <= lo || r.Start >= hi {
			continue
		}
		tail := *r
		r.Size = max(lo, r.Start) - r.Start
		if end > hi {
			tail.Start, tail.Size = hi, end-hi
			if r.Size == 0 {
				*r = tail
			} else if p := t.Add(); p != nil {
				*p = tail
			} else {
				s.Soft(OpTruncated, 0, 0, hi)
			}
		}
	}
	dropSizeless(t)
	s.Order.Sort(t.All())
}

// omit removes the memory that must not leave the process from all ranges.
func (s *Snapshot) omit() {
	for _, r := range s.Proc.Omitted {
		s.leaveOut(&s.Memory, r.Lo, r.Hi)
		s.leaveOut(&s.Full, r.Lo, r.Hi)
	}
}
