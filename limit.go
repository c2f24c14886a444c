package minidump

import (
	"strconv"

	"minidump/stream"
)

// How much the soft errors that tell of dropped parts can add to the file.
const limitSlack = 1024

// fit measures the dump and, when Options.Limit is set, makes it that small: extra memory goes first, then the stacks of
// other threads (equal shares, what is nearest to SP stays), then text and lists that no stack walk needs, then the
// registers of other threads. Thread and module lists, the blamed thread, the exception and the system stay.
func (w *Writer) fit() error {
	w.renderSoftErrors()
	limit := w.opts.Limit
	if size := w.measure(); limit == 0 || size <= limit {
		return nil
	}
	for _, step := range [...]struct {
		op   softOp
		drop func(w *Writer, excess uint64) bool
	}{
		{opLimitMemory, dropStreamed},
		{opLimitMemory, dropExtraMemory},
		{opLimitStacks, shortenStacks},
		{opLimitText, dropTexts},
		{opLimitContexts, dropContexts},
	} {
		// What gives way for the sake of the limit must make room for being told of, too.
		for {
			size := w.plan.size
			if size <= limit {
				return nil
			}
			if !step.drop(w, size-limit+limitSlack) {
				break
			}
			if w.opts.Mode == ModeFull {
				w.snap.keepStacks()
			}
			w.softOnce(step.op)
			w.renderSoftErrors()
			w.measure()
		}
	}
	if w.plan.size <= limit {
		return nil
	}
	return &attemptError{what: "dump", pid: w.snap.proc.pid, err: ErrLimit, more: ": at least " +
		strconv.FormatUint(w.plan.size, 10) + " bytes are needed, " + strconv.FormatUint(limit, 10) + " allowed"}
}

// softOnce records that something gave way, but not again for each piece.
func (w *Writer) softOnce(op softOp) {
	for _, e := range w.snap.errors.all() {
		if e.op == op {
			return
		}
	}
	w.snap.soft(op, 0, 0, 0)
}

// maxSoftText bounds the text of the soft errors, in bytes. A file made for it can have millions of them.
const maxSoftText = 16 << 20

// renderSoftErrors makes the text of the MozSoftErrors stream. In mode full it keeps room for pages that will turn out
// to be unreadable.
func (w *Writer) renderSoftErrors() {
	s := &w.snap
	size := 64
	for _, e := range s.errors.all() {
		size = min(size+384+6*int(e.text.len), maxSoftText)
	}
	w.plan.json = span{}
	if sp, b := s.bytes.alloc(size); b != nil {
		out := s.appendJSON(b[:0])
		w.plan.json = s.bytes.trim(sp, len(out))
	}
	w.plan.jsonPad = 0
	if w.opts.Mode == ModeFull {
		w.plan.jsonPad = latePad
	}
}

// dropStreamed shortens what mode full would stream, the largest ranges first.
func dropStreamed(w *Writer, excess uint64) bool {
	s := &w.snap
	done := false
	full := s.full.all()
	s.order.sortBySize(full)
	page := s.target.pageSize
	for i := range full {
		r := &full[i]
		if excess == 0 || r.size == 0 {
			break
		}
		if r.keep {
			continue
		}
		n := min(r.size, (excess+page-1)&^(page-1))
		r.size -= n
		excess -= min(excess, n)
		done = true
	}
	s.order.sort(full)
	return done
}

// keepStacks covers the stacks that shortened ranges no longer do by ranges of their own, so that readers find them by
// address too; what a shortened range still holds of such a stack it gives up, as no byte shall be there twice. It starts
// over each time: the stacks may have been shortened since.
func (s *snapshot) keepStacks() {
	s.full.n = compact(s.full.all(), func(r *memoryRange) bool { return !r.keep && r.size > 0 })
	full := s.full.all() // in order of address, as the stacks are
	k := 0
	for _, m := range s.memory.all() {
		for k < len(full) && full[k].end() <= m.start {
			k++
		}
		if k < len(full) && full[k].start <= m.start && m.end() <= full[k].end() {
			continue
		}
		for i := k; i < len(full) && full[i].start < m.end(); i++ {
			full[i].exclude(m.start, m.end())
		}
		if r := s.full.add(); r != nil {
			*r = memoryRange{start: m.start, size: m.size, keep: true}
		}
	}
	s.full.n = compact(s.full.all(), func(r *memoryRange) bool { return r.size > 0 })
}

// exclude takes [lo, hi) out of r, of which it holds no inner part.
func (r *memoryRange) exclude(lo, hi uint64) {
	switch {
	case hi <= r.start || r.end() <= lo:
	case r.start < lo:
		r.size = lo - r.start
	default:
		n := min(r.size, hi-r.start)
		r.start, r.size = r.start+n, r.size-n
	}
}

// compact moves the ranges that want keeping to the front and returns how many there are.
func compact(rs []memoryRange, wanted func(*memoryRange) bool) int {
	n := 0
	for i := range rs {
		if wanted(&rs[i]) {
			rs[n] = rs[i]
			n++
		}
	}
	return n
}

// dropExtraMemory drops what no thread's stack is, the least important kind first.
func dropExtraMemory(w *Writer, excess uint64) bool {
	s := &w.snap
	for _, kind := range [...]memoryKind{memoryIndirect, memoryApp} {
		var freed uint64
		for i := s.memory.n - 1; i >= 0 && freed < excess; i-- {
			r := s.memory.at(i)
			if r.kind != kind || r.size == 0 {
				continue
			}
			n := min(r.size, excess-freed)
			r.size -= n
			r.data.len = uint32(r.size)
			freed += n
			if r.size == 0 {
				freed += stream.MemoryDescriptorSize
			}
		}
		if freed > 0 {
			s.dropEmpty()
			return true
		}
	}
	return false
}

// shortenStacks gives the threads other than the blamed one equal shares of what is left for stacks.
func shortenStacks(w *Writer, excess uint64) bool {
	s := &w.snap
	ths := s.threads.all()
	var longest uint64
	for i := range ths {
		t := &ths[i]
		if t.stackKeep = ^uint64(0); t.tid != s.proc.blamed {
			t.stackKeep = 0
			longest = max(longest, t.stackHi-t.stackLo)
		}
	}
	if longest == 0 {
		return false
	}
	stacks := s.sortStacks()
	room := covered(stacks, longest)
	room -= min(room, excess)
	lo, hi := uint64(0), longest // the largest share with which all fit the room
	for lo < hi {
		if mid := (lo + hi + 1) / 2; covered(stacks, mid) <= room {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	share := lo &^ 15
	if share < s.target.arch.RedZone()+uint64(s.target.wordSize()) {
		share = 0 // it would not reach SP
	}
	for i := range ths {
		if t := &ths[i]; t.tid != s.proc.blamed {
			t.stackKeep = share
		}
	}
	s.cutStacks()
	return true
}

// covered is how many bytes stacks take, of which each has the share or what is to be left of it, if that is more. They are in
// order of address, and may overlap.
func covered(stacks []memoryRange, share uint64) (sum uint64) {
	var end uint64
	for i := range stacks {
		r := &stacks[i]
		if top := r.start + max(r.left, min(share, r.size)); top > end {
			sum += top - max(end, r.start)
			end = top
		}
	}
	return sum
}

// The order in which text streams give way: what is long, or known otherwise, goes first.
var textOrder = [...]int{rawMaps, rawCPUInfo, rawEnviron, rawLimits, rawStatus, rawLSBRelease, rawCmdline, rawAuxv}

// dropTexts drops text streams, then lists that no stack walk needs.
func dropTexts(w *Writer, excess uint64) bool {
	s := &w.snap
	var freed uint64
	for _, i := range textOrder {
		if freed >= excess {
			return true
		}
		freed += uint64(s.raw[i].len)
		s.raw[i] = span{}
	}
	for i := range s.threads.all() {
		t := s.threads.at(i)
		freed += uint64(t.extra.len)
		t.extra = span{}
	}
	if freed >= excess {
		return true
	}
	if s.handles.n > 0 || s.linkMaps.n > 0 || s.dso.have || s.mappings.n > 0 {
		s.handles.clear()
		s.linkMaps.clear()
		s.dso = dsoDebug{}
		s.mappings.clear()
		freed++
	}
	return freed > 0
}

// dropContexts drops the registers of threads other than the blamed one, the last listed first.
func dropContexts(w *Writer, excess uint64) bool {
	s := &w.snap
	var freed uint64
	for i := s.threads.n - 1; i >= 0 && freed < excess; i-- {
		t := s.threads.at(i)
		if size := s.contextSize(t); t.tid != s.proc.blamed && size > 0 {
			freed += uint64(size)
			t.hasRegs = false
		}
	}
	return freed > 0
}
