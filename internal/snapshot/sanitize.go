package snapshot

// The values that replace words that must not leave the process. Breakpad and its descendants write the same values.
const (
	Defaced64 = 0x0defaced0defaced
	Defaced32 = 0x0defaced
)

// smallInteger is the largest magnitude of an integer that is kept: such an integer is too small to be a secret.
const smallInteger = 4096

// CleanMemory removes stacks and replaces words in the captured memory as Want requires. The module list must be complete.
func (s *Snapshot) CleanMemory() {
	if s.Want.SkipUnreferenced {
		s.dropUnreferenced(s.Want.Principal)
	}
	if s.Want.SanitizeStacks || s.Want.SanitizeAll {
		s.fillExecFilter()
		s.sanitize(s.Want.SanitizeAll)
	}
}

// SanitizeStreamed is CleanMemory for b, memory at addr that is written without being captured. CleanMemory must have run.
func (s *Snapshot) SanitizeStreamed(b []byte, addr uint64) {
	m := s.Find(addr)
	if m != nil && m.Perm&PermExec != 0 && m.Perm&PermWrite == 0 {
		return // code
	}
	s.defaceRange(b, addr)
}

// sanitize replaces words of all captured stacks, except small integers and pointers into the thread's own stack or into
// executable memory. With all set it does the same to all other captured ranges, except code.
func (s *Snapshot) sanitize(all bool) {
	ths := s.Threads.All()
	for i := range ths {
		t := &ths[i]
		s.sanitizeStack(t.SP, t.StackLo, t.StackHi)
		for k := range t.Other {
			s.sanitizeStack(t.Other[k].SP, t.Other[k].Lo, t.Other[k].Hi)
		}
	}
	for _, r := range s.Memory.All() {
		if r.Kind == MemoryGoroutine {
			s.deface(s.Bytes.Get(r.Data), Mapping{Start: r.Start, End: r.End()})
		}
	}
	if !all {
		return
	}
	for _, r := range s.Memory.All() {
		if r.Kind == memoryCode || r.Kind == memoryStack || r.Kind == MemoryCrashStack || r.Kind == MemoryGoroutine {
			continue
		}
		s.defaceRange(s.Bytes.Get(r.Data), r.Start)
	}
}

func (s *Snapshot) sanitizeStack(sp, lo, hi uint64) {
	if hi <= lo {
		return
	}
	b := s.captured(lo, hi)
	w := uint64(s.Target.WordSize())
	// Memory below SP is dead. If SP is not aligned, the bytes up to the next word can't be judged.
	dead := min(uint64(len(b)), (max(sp, lo)+w-1)&^(w-1)-lo)
	clear(b[:dead])
	var own Mapping
	if m := s.Find(sp); m != nil {
		own = *m
	}
	s.deface(b[dead:], own)
}

// defaceRange is deface for memory at any address. Parts of words at both ends are cleared.
func (s *Snapshot) defaceRange(b []byte, addr uint64) {
	w := uint64(s.Target.WordSize())
	head := min((w-addr%w)%w, uint64(len(b)))
	clear(b[:head])
	s.deface(b[head:], Mapping{})
}

// fillExecFilter sets a bit for each value of the address bits 21 to 31 that occurs in an executable mapping. For most
// words the filter alone shows, without a search, that they do not point to code.
func (s *Snapshot) fillExecFilter() {
	filter := &s.execFilter
	*filter = [256]byte{}
	for _, m := range s.Mappings.All() {
		if m.Perm&PermExec == 0 {
			continue
		}
		first, last := m.Start>>21, (m.End-1)>>21
		for b := first; b <= last && b < first+2048; b++ {
			filter[b>>3&255] |= 1 << (b & 7)
		}
	}
}

// deface replaces the words of b that are not small integers and point neither into own nor into code. The address of
// b must be aligned to words.
func (s *Snapshot) deface(b []byte, own Mapping) {
	w := s.Target.WordSize()
	filter := &s.execFilter
	var hit Mapping
	for ; len(b) >= w; b = b[w:] {
		v := s.Target.Word(b)
		signed := int64(v)
		if w == 4 {
			signed = int64(int32(v))
		}
		switch {
		case -smallInteger <= signed && signed <= smallInteger:
			continue
		case own.Start <= v && v < own.End, hit.Start <= v && v < hit.End:
			continue
		}
		if bit := v >> 21; filter[bit>>3&255]&(1<<(bit&7)) != 0 {
			if m := s.Find(v); m != nil && m.Perm&PermExec != 0 {
				hit = *m
				continue
			}
		}
		if w == 4 {
			s.Target.Order.PutUint32(b, Defaced32)
		} else {
			s.Target.Order.PutUint64(b, Defaced64)
		}
	}
	clear(b)
}
