package snapshot

import "minidump/context"

// GuardSearch is how far above SP, in bytes, the stack's mapping is searched for if SP is in a guard page or in
// no mapping, as after a stack overflow. Breakpad and its descendants use the same number.
const GuardSearch = 1 << 20

// GuardMappings is how many inaccessible mappings that search skips. A stack has one or two guard mappings.
const GuardMappings = 16

// stackBounds returns the bounds of the stack that sp points into, without any limit. ok is false if there is no
// readable memory at sp or within GuardSearch above it.
func (s *Snapshot) stackBounds(sp uint64) (lo, hi uint64, ok bool) {
	maps := s.Mappings.All()
	page := s.Target.PageSize
	i := s.firstAbove(sp)
	limit := sp&^(page-1) + GuardSearch
	if limit < sp {
		limit = ^uint64(0)
	}
	for last := min(len(maps), i+GuardMappings); i < last && maps[i].Start <= limit; i++ {
		m := &maps[i]
		if m.Perm&(PermRead|PermWrite) == 0 || m.Kind == MapSpecial || m.Hidden {
			continue
		}
		if m.Start > sp {
			return m.Start, m.End, true
		}
		return max(StackStart(s.Target.Arch, sp), m.Start), m.End, true
	}
	return 0, 0, false
}

// StackStart returns where the used part of a stack starts: one red zone below sp, and aligned to 16 so that stacks
// are adjacent in the arena.
func StackStart(a context.Arch, sp uint64) uint64 { return (sp - min(sp, a.RedZone())) &^ 15 }

// chooseStacks sets the part of each thread's stack that is included in the dump.
func (s *Snapshot) chooseStacks() {
	ths := s.Threads.All()
	for i := range ths {
		t := &ths[i]
		if !t.HasSP {
			continue
		}
		t.addGoStack()
		if s.interrupted.handler != 0 && t.TID == s.Proc.Blamed {
			t.AddStack(s.interrupted.handler)
		}
		var ok bool
		if t.StackLo, t.StackHi, ok = s.usedStack(t, t.SP); !ok {
			s.Soft(OpStackUnmapped, 0, t.TID, t.SP)
		}
		for k := range t.Other {
			if o := &t.Other[k]; o.SP != 0 {
				o.Lo, o.Hi, _ = s.usedStack(t, o.SP)
			}
		}
	}
}

// stackOf is stackBounds, limited to the bounds that the Go runtime records for a stack of t.
func (s *Snapshot) stackOf(t *Thread, sp uint64) (lo, hi uint64, ok bool) {
	lo, hi, ok = s.stackBounds(sp)
	for i := range t.Go {
		if g := &t.Go[i]; ok && g.Lo <= sp && sp < g.Hi && g.Hi <= hi {
			return max(lo, g.Lo), g.Hi, true
		}
	}
	return lo, hi, ok
}

// addGoStack adds the goroutine's stack to the thread's stacks unless it is already one of them: the thread is on the
// system stack or the signal stack of the Go runtime on behalf of the goroutine.
func (t *Thread) addGoStack() {
	if t.GoSP == 0 {
		return
	}
	for i := range t.Go {
		g := &t.Go[i]
		if t.GoSP < g.Lo || t.GoSP >= g.Hi {
			continue
		}
		known := g.Lo <= t.SP && t.SP <= t.GoSP
		for k := range t.Other {
			sp := t.Other[k].SP
			known = known || g.Lo <= sp && sp <= t.GoSP
		}
		if known {
			return
		}
	}
	t.AddStack(t.GoSP)
}

// usedStack is stackOf, limited to the size that the caller set.
func (s *Snapshot) usedStack(t *Thread, sp uint64) (lo, hi uint64, ok bool) {
	if lo, hi, ok = s.stackOf(t, sp); !ok {
		return 0, 0, false
	}
	limit := s.Want.StackLimitOf(t.TID == s.Proc.Blamed)
	if hi-lo > limit {
		hi = lo + limit
	}
	if hi <= sp && lo <= sp { // a limit smaller than the red zone
		hi = min(sp+uint64(s.Target.WordSize()), hi+limit)
	}
	return lo, hi, true
}

// SortStacks returns the stacks of the threads, sorted by address. Left is what CutStacks would keep of each. The list
// is valid until the next call.
func (s *Snapshot) SortStacks() []MemoryRange {
	s.stacks.Clear()
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		s.listStack(t.StackLo, t.StackHi, t.StackKeep)
		for k := range t.Other {
			s.listStack(t.Other[k].Lo, t.Other[k].Hi, t.StackKeep)
		}
	}
	s.Order.Sort(s.stacks.All())
	return s.stacks.All()
}

func (s *Snapshot) listStack(lo, hi, keep uint64) {
	if lo == hi {
		return
	}
	if r := s.stacks.Add(); r != nil {
		*r = MemoryRange{Start: lo, Size: hi - lo, Left: min(hi-lo, keep)}
	}
}

// CutStacks shortens each stack to its StackKeep bytes nearest to SP. Bytes that another thread keeps are kept: stacks
// overlap if their bounds are not known, for example stacks of goroutines in one mapping of the heap.
func (s *Snapshot) CutStacks() {
	stacks := s.SortStacks()
	ranges, k := s.Memory.N, 0
	var end, kept uint64 // the ends of the stacks so far, and of their kept parts
	for i := range stacks {
		r := &stacks[i]
		next := ^uint64(0)
		if i+1 < len(stacks) {
			next = stacks[i+1].Start
		}
		end, kept = max(end, r.End()), max(kept, r.Start+r.Left)
		k = s.cut(max(r.Start, kept), min(end, next), k, ranges)
	}
	s.DropEmpty()
	s.Order.Sort(s.Memory.All())
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		if t.StackHi = t.StackLo + min(t.StackKeep, t.StackHi-t.StackLo); t.StackHi == t.StackLo {
			t.StackLo, t.StackHi = 0, 0
		}
		for k := range t.Other {
			o := &t.Other[k]
			o.Hi = o.Lo + min(t.StackKeep, o.Hi-o.Lo)
		}
	}
}

// cut removes [lo, hi) from the captured ranges k to n-1, and returns the index of the first that extends beyond hi. If
// a range extends beyond both ends, its part before lo is added as a new range after the others.
func (s *Snapshot) cut(lo, hi uint64, k, n int) int {
	for ; lo < hi && k < n; k++ {
		r := s.Memory.At(k)
		if r.End() <= lo {
			continue
		}
		if r.Start >= hi {
			break
		}
		if r.Start < lo {
			if head := s.Memory.Add(); head != nil {
				*head = *r
				head.Size = lo - r.Start
				head.Data.Len = uint32(head.Size)
			}
		}
		gone := min(hi, r.End()) - r.Start
		r.Start, r.Size = r.Start+gone, r.Size-gone
		r.Data.Off, r.Data.Len = r.Data.Off+uint32(gone), uint32(r.Size)
		if r.Size > 0 {
			break
		}
	}
	return k
}

// dropUnreferenced removes the stacks of threads that do not refer to the principal mapping: PC is not in it, and no
// aligned word of the stack points into it.
func (s *Snapshot) dropUnreferenced(address uint64) {
	p := s.principal(address)
	ths := s.Threads.All()
	for i := range ths {
		t := &ths[i]
		t.StackKeep = ^uint64(0)
		if t.StackHi == 0 {
			continue
		}
		if p.End > 0 && (p.Start <= t.PC && t.PC < p.End || s.references(t, p)) {
			continue
		}
		if t.TID == s.Proc.Blamed {
			s.Soft(OpPrincipal, 0, 0, 0)
		}
		t.StackKeep = 0
	}
	s.CutStacks()
}

// principal returns the bounds of the module or mapping that contains address; both are 0 if there is none.
func (s *Snapshot) principal(address uint64) Mapping {
	for _, m := range s.Modules.All() {
		if m.Base <= address && address < m.End {
			return Mapping{Start: m.Base, End: m.End}
		}
	}
	if m := s.Find(address); m != nil {
		return *m
	}
	return Mapping{}
}

// references reports whether an aligned word of the captured stack of t points into m.
func (s *Snapshot) references(t *Thread, m Mapping) bool {
	w := uint64(s.Target.WordSize())
	for k := range t.Other {
		if o := &t.Other[k]; s.pointsInto(s.captured((o.SP+w-1)&^(w-1), o.Hi), m) {
			return true
		}
	}
	return s.pointsInto(s.captured((t.SP+w-1)&^(w-1), t.StackHi), m)
}

// pointsInto reports whether a word of b points into m.
func (s *Snapshot) pointsInto(b []byte, m Mapping) bool {
	w := uint64(s.Target.WordSize())
	for ; uint64(len(b)) >= w; b = b[w:] {
		if v := s.Target.Word(b); m.Start <= v && v < m.End {
			return true
		}
	}
	return false
}
