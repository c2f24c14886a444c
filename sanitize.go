package minidump

// The values that take the place of what must not leave the process, as Breakpad and its descendants write them.
const (
	defaced64 = 0x0defaced0defaced
	defaced32 = 0x0defaced
)

// smallInteger is the largest magnitude of a word that is kept because it can't be a secret worth having.
const smallInteger = 4096

// sanitize replaces the words of all captured stacks that are neither small integers, nor point into the thread's own
// stack, nor into executable memory. With all set it does so for every other captured range too, but for code.
//
// filter is execFilter's: it answers for most words without a search.
func (s *snapshot) sanitize(filter *[256]byte, all bool) {
	ths := s.threads.all()
	for i := range ths {
		t := &ths[i]
		if t.stackHi <= t.stackLo {
			continue
		}
		b := s.captured(t.stackLo, t.stackHi)
		w := uint64(s.target.wordSize())
		// What lies below SP is dead; what SP does not align to a word can't be judged.
		dead := min(uint64(len(b)), (max(t.sp, t.stackLo)+w-1)&^(w-1)-t.stackLo)
		clear(b[:dead])
		var own mapping
		if m := s.find(t.sp); m != nil {
			own = *m
		}
		s.deface(b[dead:], filter, own)
	}
	if !all {
		return
	}
	for _, r := range s.memory.all() {
		if r.kind == memoryCode || r.kind == memoryStack || r.kind == memoryCrashStack {
			continue
		}
		s.defaceRange(s.bytes.bytes(r.data), r.start, filter)
	}
}

// defaceRange is deface for memory at any address: the parts of words at both ends are cleared.
func (s *snapshot) defaceRange(b []byte, addr uint64, filter *[256]byte) {
	w := uint64(s.target.wordSize())
	head := min((w-addr%w)%w, uint64(len(b)))
	clear(b[:head])
	s.deface(b[head:], filter, mapping{})
}

// execFilter has a bit set for each value of the address bits 21 to 31 that some executable mapping has.
func (s *snapshot) execFilter() (filter [256]byte) {
	for _, m := range s.mappings.all() {
		if m.perm&permExec == 0 {
			continue
		}
		first, last := m.start>>21, (m.end-1)>>21
		for b := first; b <= last && b < first+2048; b++ {
			filter[b>>3&255] |= 1 << (b & 7)
		}
	}
	return filter
}

// deface replaces the words of b, which starts at a word's address, that point to neither own nor code.
func (s *snapshot) deface(b []byte, filter *[256]byte, own mapping) {
	w := s.target.wordSize()
	var hit mapping
	for ; len(b) >= w; b = b[w:] {
		v := s.target.word(b)
		signed := int64(v)
		if w == 4 {
			signed = int64(int32(v))
		}
		switch {
		case -smallInteger <= signed && signed <= smallInteger:
			continue
		case own.start <= v && v < own.end, hit.start <= v && v < hit.end:
			continue
		}
		if bit := v >> 21; filter[bit>>3&255]&(1<<(bit&7)) != 0 {
			if m := s.find(v); m != nil && m.perm&permExec != 0 {
				hit = *m
				continue
			}
		}
		if w == 4 {
			s.target.order.PutUint32(b, defaced32)
		} else {
			s.target.order.PutUint64(b, defaced64)
		}
	}
	clear(b)
}
