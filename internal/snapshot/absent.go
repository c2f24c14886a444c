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
const ManyRanges = 32

// splitAbsent splits each added range into its present parts. Stacks stay whole, see fillStack.
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
		if r.Kind == MemoryCrashStack || r.Kind == memoryStack {
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

// fillStack continues reading a stack after an absent page. Such a page has never been used, as in the middle of a
// large array: it is zeros, and the memory above it is wanted. Absent memory at the end is cut off. fillStack reports
// whether everything that is present was read.
func (s *Snapshot) fillStack(mem Memory, r *MemoryRange) bool {
	got := uint64(r.Data.Len)
	whole := arena.Span{Off: r.Data.Off, Len: uint32(r.Size)}
	for got < r.Size {
		at := r.Start + got
		from, _, ok := mem.There(at, r.End(), r.End())
		if !ok {
			s.Gaps.add(at, r.End(), true)
			r.Size = got
			break
		}
		if from == at {
			break // it is present, but can't be read
		}
		s.Gaps.add(at, from, false)
		if s.Want.Mode == ModeFull {
			if p := s.Full.Add(); p != nil {
				*p = MemoryRange{Start: at, Size: from - at, Gap: true}
			}
		}
		b := s.Bytes.Get(whole)[got:]
		clear(b[:from-at])
		n := mem.Read(from, b[from-at:])
		got += from - at + uint64(n)
		if n == 0 {
			break
		}
	}
	r.Data.Len = uint32(got)
	return got >= r.Size
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
