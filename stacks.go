package minidump

import "minidump/context"

// How far above SP the stack's mapping is looked for when SP lies in a guard page or in no mapping at all, as after a
// stack overflow: the figure that Breakpad and its descendants use.
const guardSearch = 1 << 20

// How many inaccessible mappings are passed over in that search. A stack has one or two guards.
const guardMappings = 16

// Bytes of code on each side of the instruction pointer.
const codeMargin = 128

// Bytes before and after an address that mode indirect takes, as MiniDumpWithIndirectlyReferencedMemory does, and how
// much it takes in all.
const (
	indirectBefore = 256
	indirectAfter  = 768
	indirectMost   = 4 << 20
)

// How much the application's own ranges take in all, so that there is space for the stacks besides.
const appMost = 256 << 20

// stackBounds finds [lo, hi) of the stack that sp points into, without regard to any limit. ok is false when nothing
// readable is at sp or within guardSearch above it.
func (s *snapshot) stackBounds(sp uint64) (lo, hi uint64, ok bool) {
	maps := s.mappings.all()
	page := s.target.pageSize
	i, j := 0, len(maps)
	for i < j { // first mapping that ends above sp
		mid := int(uint(i+j) / 2)
		if maps[mid].end <= sp {
			i = mid + 1
		} else {
			j = mid
		}
	}
	limit := sp&^(page-1) + guardSearch
	if limit < sp {
		limit = ^uint64(0)
	}
	for last := min(len(maps), i+guardMappings); i < last && maps[i].start <= limit; i++ {
		m := &maps[i]
		if m.perm&(permRead|permWrite) == 0 || m.kind == mapSpecial {
			continue
		}
		if m.start > sp {
			return m.start, m.end, true
		}
		return max(stackStart(s.target.arch, sp), m.start), m.end, true
	}
	return 0, 0, false
}

// stackStart is where what is in use of a stack starts: below sp by the red zone, and aligned so that stacks lie behind each
// other in the arena.
func stackStart(a context.Arch, sp uint64) uint64 { return (sp - min(sp, a.RedZone())) &^ 15 }

// chooseStacks decides which part of each thread's stack goes in. goBounds, when not nil, has for each thread the
// bounds of the goroutine stack it runs on (0, 0 where unknown).
func (s *snapshot) chooseStacks(o *Options, goBounds [][2]uint64) {
	ths := s.threads.all()
	for i := range ths {
		t := &ths[i]
		if !t.hasSP {
			continue
		}
		lo, hi, ok := s.stackBounds(t.sp)
		if !ok {
			s.soft(opStackUnmapped, 0, t.tid, t.sp)
			continue
		}
		if i < len(goBounds) {
			if b := goBounds[i]; b[0] <= t.sp && t.sp < b[1] && b[1] <= hi {
				lo, hi = max(lo, b[0]), b[1]
			}
		}
		limit := o.stackLimit(t.tid == s.proc.blamed)
		if hi-lo > limit {
			hi = lo + limit
		}
		if hi <= t.sp && lo <= t.sp { // a limit smaller than the red zone
			hi = min(t.sp+uint64(s.target.wordSize()), hi+limit)
		}
		t.stackLo, t.stackHi = lo, hi
	}
}

// addMemory notes a range to be captured.
func (s *snapshot) addMemory(start, end uint64, kind memoryKind) *memoryRange {
	if start >= end {
		return nil
	}
	m := s.memory.add()
	if m == nil {
		s.soft(opTruncated, 0, 0, start)
		return nil
	}
	*m = memoryRange{start: start, size: end - start, kind: kind}
	return m
}

// addCode notes the code around the blamed thread's instruction pointer.
func (s *snapshot) addCode() {
	t := s.blamedThread()
	if t == nil || !t.hasSP {
		return
	}
	m := s.find(t.pc)
	if m == nil || m.kind == mapSpecial || m.perm&(permRead|permExec) == 0 {
		return
	}
	s.addMemory(max(m.start, t.pc-min(t.pc, codeMargin)), min(m.end, t.pc+codeMargin), memoryCode)
}

// addApp notes a range that the application wants, as far as it is mapped: each gap in it would end the read, and what
// lies behind it, a thread's stack perhaps, would be lost. The first gap is told of.
func (s *snapshot) addApp(m AppMemory, budget *uint64) {
	at, end := m.Address, m.Address+m.Size
	if end < at {
		end = ^uint64(0)
	}
	if s.mappings.n == 0 { // not known: the read will tell
		end = at + min(end-at, *budget)
		*budget -= end - at
		s.addMemory(at, end, memoryApp)
		return
	}
	maps := s.mappings.all()
	told := false
	i, j := 0, len(maps)
	for i < j { // first mapping that ends above at
		mid := int(uint(i+j) / 2)
		if maps[mid].end <= at {
			i = mid + 1
		} else {
			j = mid
		}
	}
	for ; at < end; i++ {
		for i < len(maps) && (maps[i].kind == mapSpecial || maps[i].perm&(permRead|permWrite|permExec) == 0) {
			i++
		}
		next := end
		if i < len(maps) {
			next = min(end, max(at, maps[i].start))
		}
		if next > at {
			if !told {
				s.soft(opAppMemory, 0, 0, at)
				told = true
			}
			at = next
		}
		if i >= len(maps) || at >= end {
			return
		}
		stop := min(end, maps[i].end)
		n := min(stop-at, *budget)
		if n < stop-at {
			s.soft(opTruncated, 0, 0, at+n)
			end = at + n
		}
		*budget -= n
		s.addMemory(at, at+n, memoryApp)
		at += n
	}
}

// readableAt tells whether addr is in a mapping whose memory is worth reading, and gives its bounds.
func (s *snapshot) readableAt(addr uint64) (m *mapping) {
	m = s.find(addr)
	if m == nil || m.perm&permRead == 0 || m.kind == mapSpecial || m.kind == mapVDSO {
		return nil
	}
	return m
}

// addIndirect notes what word points to, when that is writable memory: code and constants are in the module's file.
// The stack of t, the blamed thread, is taken anyway.
func (s *snapshot) addIndirect(t *thread, word uint64, budget *uint64) {
	m := s.readableAt(word)
	if m == nil || m.perm&permWrite == 0 || *budget == 0 || t.stackLo <= word && word < t.stackHi {
		return
	}
	r := s.addMemory(max(m.start, word-min(word, indirectBefore)), min(m.end, word+indirectAfter), memoryIndirect)
	if r != nil {
		*budget -= min(*budget, r.size)
	}
}

// mergeMemory sorts the ranges and makes one of those that overlap or touch, so that no byte is stored twice. A merged
// range has the kind of its most important part. Ranges are not yet captured.
func (s *snapshot) mergeMemory() {
	r := s.memory.all()
	s.order.sort(r)
	n := 0
	for i := range r {
		if n > 0 && r[i].start <= r[n-1].end() {
			p := &r[n-1]
			p.size = max(p.end(), r[i].end()) - p.start
			p.kind = min(p.kind, r[i].kind)
			continue
		}
		r[n] = r[i]
		n++
	}
	s.memory.n = n
}

// captureMemory reads the noted ranges. One that can't be read whole is cut where reading stopped.
func (s *snapshot) captureMemory(mem targetMemory, q *requests) {
	q.clear()
	r := s.memory.all()
	for i := range r {
		if r[i].data.len > 0 {
			continue
		}
		if r[i].size > 1<<30 {
			r[i].size = 1 << 30
			s.soft(opTruncated, 0, 0, r[i].start)
		}
		r[i].data = q.want(s, r[i].start, int(r[i].size))
		if r[i].data.len == 0 {
			s.soft(opTruncated, 0, 0, r[i].start)
		}
	}
	mem.readv(q.all())
	k := 0
	for i := range r {
		if r[i].data.len == 0 || k >= q.n || q.at(k).addr != r[i].start {
			continue
		}
		got := q.at(k).got
		k++
		if uint64(got) < r[i].size {
			s.soft(memoryOps[r[i].kind], 0, 0, r[i].start+uint64(got))
			r[i].size = uint64(got)
			r[i].data.len = uint32(got)
		}
	}
	s.dropEmpty()
}

var memoryOps = [...]softOp{
	memoryCrashStack: opStack, memoryCode: opCode, memoryStack: opStack, memoryApp: opAppMemory,
	memoryIndirect: opMemory,
}

func (s *snapshot) dropEmpty() {
	r := s.memory.all()
	n := 0
	for i := range r {
		if r[i].size > 0 && r[i].data.len > 0 {
			r[n] = r[i]
			n++
		}
	}
	s.memory.n = n
}

// rangeOf returns the captured range that holds addr, or nil. The ranges are sorted.
func (s *snapshot) rangeOf(addr uint64) *memoryRange {
	r := s.memory.all()
	i, j := 0, len(r)
	for i < j {
		mid := int(uint(i+j) / 2)
		if r[mid].end() <= addr {
			i = mid + 1
		} else {
			j = mid
		}
	}
	if i < len(r) && r[i].start <= addr {
		return &r[i]
	}
	return nil
}

// captured returns the captured bytes of [lo, hi) as far as they are there from lo on.
func (s *snapshot) captured(lo, hi uint64) []byte {
	r := s.rangeOf(lo)
	if r == nil || r.data.len == 0 || hi <= lo {
		return nil
	}
	b := s.bytes.bytes(r.data)[lo-r.start:]
	return b[:min(uint64(len(b)), hi-lo)]
}

// sortStacks lists the threads' stacks in order of address, each with what is to be left of it.
func (s *snapshot) sortStacks() []memoryRange {
	s.stacks.clear()
	for i := range s.threads.all() {
		t := s.threads.at(i)
		if size := t.stackHi - t.stackLo; size > 0 {
			if r := s.stacks.add(); r != nil {
				*r = memoryRange{start: t.stackLo, size: size, left: min(size, t.stackKeep)}
			}
		}
	}
	s.order.sort(s.stacks.all())
	return s.stacks.all()
}

// cutStacks leaves of each stack the stackKeep bytes that are nearest to SP. What of a stack another thread keeps stays:
// stacks overlap where their ends are not known, as those of goroutines in one piece of the heap.
func (s *snapshot) cutStacks() {
	stacks := s.sortStacks()
	ranges, k := s.memory.n, 0
	var end, kept uint64 // of the stacks so far, as they were and as they are to be
	for i := range stacks {
		r := &stacks[i]
		next := ^uint64(0)
		if i+1 < len(stacks) {
			next = stacks[i+1].start
		}
		end, kept = max(end, r.end()), max(kept, r.start+r.left)
		k = s.cut(max(r.start, kept), min(end, next), k, ranges)
	}
	s.dropEmpty()
	s.order.sort(s.memory.all())
	for i := range s.threads.all() {
		t := s.threads.at(i)
		if t.stackHi = t.stackLo + min(t.stackKeep, t.stackHi-t.stackLo); t.stackHi == t.stackLo {
			t.stackLo, t.stackHi = 0, 0
		}
	}
}

// cut takes [lo, hi) out of the first n captured ranges, from the kth on, and returns the first that lies behind, at least in
// part. What lies before, of a range that does on both sides, becomes a new one at the end.
func (s *snapshot) cut(lo, hi uint64, k, n int) int {
	for ; lo < hi && k < n; k++ {
		r := s.memory.at(k)
		if r.end() <= lo {
			continue
		}
		if r.start >= hi {
			break
		}
		if r.start < lo {
			if head := s.memory.add(); head != nil {
				*head = *r
				head.size = lo - r.start
				head.data.len = uint32(head.size)
			}
		}
		gone := min(hi, r.end()) - r.start
		r.start, r.size = r.start+gone, r.size-gone
		r.data.off, r.data.len = r.data.off+uint32(gone), uint32(r.size)
		if r.size > 0 {
			break
		}
	}
	return k
}

// dropUnreferenced leaves out the stacks of threads that have nothing to do with the principal mapping: IP is not in
// it, and no aligned word of the stack points into it.
func (s *snapshot) dropUnreferenced(address uint64) {
	p := s.principal(address)
	ths := s.threads.all()
	for i := range ths {
		t := &ths[i]
		t.stackKeep = ^uint64(0)
		if t.stackHi == 0 {
			continue
		}
		if p.end > 0 && (p.start <= t.pc && t.pc < p.end || s.references(t, p)) {
			continue
		}
		if t.tid == s.proc.blamed {
			s.soft(opPrincipal, 0, 0, 0)
		}
		t.stackKeep = 0
	}
	s.cutStacks()
}

// principal returns the module or mapping that holds address; its end is 0 when there is none.
func (s *snapshot) principal(address uint64) mapping {
	for _, m := range s.modules.all() {
		if m.base <= address && address < m.end {
			return mapping{start: m.base, end: m.end}
		}
	}
	if m := s.find(address); m != nil {
		return *m
	}
	return mapping{}
}

func (s *snapshot) references(t *thread, m mapping) bool {
	w := uint64(s.target.wordSize())
	lo := (t.sp + w - 1) &^ (w - 1)
	b := s.captured(lo, t.stackHi)
	for ; uint64(len(b)) >= w; b = b[w:] {
		if v := s.target.word(b); m.start <= v && v < m.end {
			return true
		}
	}
	return false
}

// captureChosen captures all memory of a stopped process that the options ask for, once its threads' stacks have been
// chosen. In mode full only the chosen stacks are captured: the rest is streamed while the dump is written.
func (s *snapshot) captureChosen(w *Writer, mem targetMemory) {
	o := &w.opts
	ths := s.threads.all()
	for i := range ths {
		if t := &ths[i]; t.stackHi > t.stackLo {
			kind := memoryStack
			if t.tid == s.proc.blamed {
				kind = memoryCrashStack
			}
			s.addMemory(t.stackLo, t.stackHi, kind)
		}
	}
	if o.Mode != ModeFull {
		s.addCode()
		if o.Mode == ModeIndirect {
			s.chooseIndirect(w, mem)
		}
		budget := uint64(appMost)
		for _, m := range o.AppMemory {
			s.addApp(m, &budget)
		}
	}
	s.mergeMemory()
	s.captureMemory(mem, &w.batch)
	for i := range ths { // what of a stack could be read
		if t := &ths[i]; t.stackHi > t.stackLo {
			t.stackHi = t.stackLo + uint64(len(s.captured(t.stackLo, t.stackHi)))
		}
	}
}

// chooseIndirect notes the memory that the blamed thread's registers and stack point to.
func (s *snapshot) chooseIndirect(w *Writer, mem targetMemory) {
	t := s.blamedThread()
	if t == nil {
		return
	}
	budget := uint64(indirectMost)
	n := s.pointers(t, w.words[:])
	for _, v := range w.words[:n] {
		s.addIndirect(t, v, &budget)
	}
	if t.stackHi <= t.stackLo {
		return
	}
	sp, b := s.bytes.alloc(int(t.stackHi - t.stackLo))
	if b == nil {
		return
	}
	b = b[:mem.read(t.stackLo, b)]
	word := uint64(s.target.wordSize())
	off := min((word-t.stackLo%word)%word, uint64(len(b)))
	for b = b[off:]; uint64(len(b)) >= word && budget > 0; b = b[word:] {
		s.addIndirect(t, s.target.word(b), &budget)
	}
	s.bytes.trim(sp, 0)
}
