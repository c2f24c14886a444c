package snapshot

// CodeMargin is the number of bytes of code on each side of the instruction pointer that are included.
const CodeMargin = 128

// Bytes that mode indirect includes before and after an address, like MiniDumpWithIndirectlyReferencedMemory, and in total.
const (
	indirectBefore = 256
	indirectAfter  = 768
	indirectMost   = 4 << 20
)

// appMost is the maximum size of the application's own ranges together, in bytes, so that space for the stacks remains.
const appMost = 256 << 20

// addMemory adds a range to be captured, unless it is empty. It returns nil for an empty range and if the table is full.
func (s *Snapshot) addMemory(start, end uint64, kind MemoryKind) *MemoryRange {
	if start >= end {
		return nil
	}
	m := s.Memory.Add()
	if m == nil {
		s.Soft(OpTruncated, 0, 0, start)
		return nil
	}
	*m = MemoryRange{Start: start, Size: end - start, Kind: kind}
	return m
}

// addCode adds the code around the blamed thread's instruction pointer.
func (s *Snapshot) addCode() {
	t := s.blamedThread()
	if t == nil || !t.HasSP {
		return
	}
	m := s.Find(t.PC)
	if m == nil || m.Kind == MapSpecial || m.Perm&(PermRead|PermExec) == 0 || m.Hidden {
		return
	}
	s.addMemory(max(m.Start, t.PC-min(t.PC, CodeMargin)), min(m.End, t.PC+CodeMargin), memoryCode)
}

// addApp adds the mapped parts of a range that the application requested. A range must not contain a gap: reading
// would end there, and what follows, perhaps a thread's stack, would be lost. The first gap is recorded.
func (s *Snapshot) addApp(wanted Range, budget *uint64) {
	at, end := wanted.Lo, wanted.Hi
	if s.Mappings.N == 0 { // not known: reading will find the gaps
		end = at + min(end-at, *budget)
		*budget -= end - at
		s.addMemory(at, end, MemoryApp)
		return
	}
	maps := s.Mappings.All()
	recorded := false
	for i := s.firstAbove(at); at < end; i++ {
		for i < len(maps) && (maps[i].Kind == MapSpecial || maps[i].Perm&(PermRead|PermWrite|PermExec) == 0) {
			i++
		}
		next := end
		if i < len(maps) {
			next = min(end, max(at, maps[i].Start))
		}
		if next > at {
			if !recorded {
				s.Soft(OpAppMemory, 0, 0, at)
				recorded = true
			}
			at = next
		}
		if i >= len(maps) || at >= end {
			return
		}
		stop := min(end, maps[i].End)
		n := min(stop-at, *budget)
		if n < stop-at {
			s.Soft(OpTruncated, 0, 0, at+n)
			end = at + n
		}
		*budget -= n
		s.addMemory(at, at+n, MemoryApp)
		at += n
	}
}

// readableAt returns the mapping that contains addr, or nil if there is none or it must not or need not be read.
func (s *Snapshot) readableAt(addr uint64) (m *Mapping) {
	m = s.Find(addr)
	if m == nil || m.Perm&PermRead == 0 || m.Kind == MapSpecial || m.Kind == MapVDSO || m.Hidden {
		return nil
	}
	return m
}

// addIndirect adds the memory that word points to if it is writable: code and constants are in the module's file. The
// stack of t, the blamed thread, is in the dump already.
func (s *Snapshot) addIndirect(t *Thread, word uint64, budget *uint64) {
	m := s.readableAt(word)
	if m == nil || m.Perm&PermWrite == 0 || *budget == 0 || t.StackLo <= word && word < t.StackHi {
		return
	}
	r := s.addMemory(max(m.Start, word-min(word, indirectBefore)), min(m.End, word+indirectAfter), MemoryIndirect)
	if r != nil {
		*budget -= min(*budget, r.Size)
	}
}

// mergeMemory sorts the ranges and merges those that overlap or touch, so that no byte is stored twice. A merged
// range has the kind of its most important part. The ranges must not have been captured.
func (s *Snapshot) mergeMemory() {
	r := s.Memory.All()
	s.Order.Sort(r)
	n := 0
	for i := range r {
		if n > 0 && r[i].Start <= r[n-1].End() {
			p := &r[n-1]
			p.Size = max(p.End(), r[i].End()) - p.Start
			p.Kind = min(p.Kind, r[i].Kind)
			continue
		}
		r[n] = r[i]
		n++
	}
	s.Memory.N = n
}

// readRanges captures the ranges. A range that cannot be read completely is cut where reading ended.
func (s *Snapshot) readRanges(mem Memory) {
	q := &s.Batch
	q.Clear()
	r := s.Memory.All()
	for i := range r {
		if r[i].Size > 1<<30 {
			r[i].Size = 1 << 30
			s.Soft(OpTruncated, 0, 0, r[i].Start)
		}
		if r[i].Data.Len > 0 {
			continue // adoptWindows
		}
		if r[i].isStack() {
			q.wantStack(s, r[i].Start, int(r[i].Size), &r[i].Data)
		} else {
			q.Want(s, r[i].Start, int(r[i].Size), &r[i].Data)
		}
		if r[i].Data.Len == 0 {
			s.Soft(OpTruncated, 0, 0, r[i].Start)
			r[i].Size = 0
		}
	}
	s.readStacks(mem, true)
	k := 0
	for i := range q.All() {
		for &r[k].Data != q.At(i).out { // there was no space for that range
			k++
		}
		if m := &r[k]; uint64(m.Data.Len) < m.Size {
			if !q.At(i).absent {
				s.Soft(memoryOps[m.Kind], 0, 0, m.Start+uint64(m.Data.Len))
			}
			m.Size = uint64(m.Data.Len)
		}
	}
	s.DropEmpty()
}

var memoryOps = [...]Op{
	MemoryCrashStack: OpStack, memoryCode: OpCode, memoryStack: OpStack, MemoryApp: OpAppMemory,
	MemoryIndirect: opMemory, MemoryGoroutine: OpGoroutines,
}

// DropEmpty removes captured ranges without data.
func (s *Snapshot) DropEmpty() {
	r := s.Memory.All()
	n := 0
	for i := range r {
		if r[i].Size > 0 && r[i].Data.Len > 0 {
			r[n] = r[i]
			n++
		}
	}
	s.Memory.N = n
}

// CaptureMemory selects the memory of a stopped process and captures it. The threads, with their registers and the
// bounds of goroutine stacks, and the memory map must be complete. In mode full only the stacks are captured: other
// memory is streamed while the dump is written.
func (s *Snapshot) CaptureMemory(mem Memory) {
	s.adoptCrash()
	s.followSignals(mem)
	s.chooseStacks()
	ths := s.Threads.All()
	for i := range ths {
		t := &ths[i]
		kind := memoryStack
		if t.TID == s.Proc.Blamed {
			kind = MemoryCrashStack
		}
		s.addMemory(t.StackLo, t.StackHi, kind)
		for k := range t.Other {
			s.addMemory(t.Other[k].Lo, t.Other[k].Hi, kind)
		}
	}
	if s.Want.Mode != ModeFull {
		s.addCode()
		s.addTEBs()
		if s.Want.Mode == ModeIndirect {
			s.chooseIndirect(mem)
		}
		budget := uint64(appMost)
		for _, m := range s.Want.AppMemory {
			s.addApp(m, &budget)
		}
	}
	s.mergeMemory()
	s.omit()
	s.splitAbsent(mem)
	full := s.Full.N
	s.adoptWindows()
	s.readRanges(mem)
	if s.Full.N > full { // gaps in stacks
		s.join(&s.Full)
	}
	for i := range ths { // a stack ends where reading ended
		if t := &ths[i]; t.StackHi > t.StackLo {
			t.StackHi = t.StackLo + uint64(len(s.captured(t.StackLo, t.StackHi)))
		}
		for k := range ths[i].Other {
			o := &ths[i].Other[k]
			o.Hi = o.Lo + uint64(len(s.captured(o.Lo, o.Hi)))
		}
	}
}

// tebHead is the number of bytes of a thread environment block that are included: the NT_TIB and the error of the last
// system call, which readers show and which is at 0x68 in 64-bit processes.
const tebHead = 0x70

// addTEBs adds the start of each thread environment block. On other systems the memory at the thread pointer contains the
// secrets of stack protection, so it is left out.
func (s *Snapshot) addTEBs() {
	if !s.Target.Windows {
		return
	}
	ths := s.Threads.All()
	for i := range ths {
		if teb := ths[i].Teb; s.readableAt(teb) != nil {
			s.addMemory(teb, teb+tebHead, MemoryIndirect)
		}
	}
}

// chooseIndirect adds the memory that the blamed thread's registers and stack point to.
func (s *Snapshot) chooseIndirect(mem Memory) {
	t := s.blamedThread()
	if t == nil {
		return
	}
	budget := uint64(indirectMost)
	n := s.pointers(t, s.words[:])
	for _, v := range s.words[:n] {
		s.addIndirect(t, v, &budget)
	}
	if t.StackHi <= t.StackLo {
		return
	}
	sp, b := s.Bytes.Alloc(int(t.StackHi - t.StackLo))
	if b == nil {
		return
	}
	b = b[:readStack(mem, t.StackLo, b)]
	word := uint64(s.Target.WordSize())
	off := min((word-t.StackLo%word)%word, uint64(len(b)))
	for b = b[off:]; uint64(len(b)) >= word && budget > 0; b = b[word:] {
		s.addIndirect(t, s.Target.Word(b), &budget)
	}
	s.Bytes.Trim(sp, 0)
}
