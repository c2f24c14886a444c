package encode

import (
	"minidump/internal/errtext"
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// limitSlack is the space reserved for the soft errors that report what was dropped, in bytes.
const limitSlack = 1024

// fit measures the dump and drops parts of it until its size is at most Want.Limit. Extra memory is dropped first, then
// the stacks of threads other than the blamed one (all keep equal shares, nearest to SP), then texts and lists that no
// stack walk needs, then the registers of other threads. The thread and module lists, the blamed thread, the exception
// and the system information are always kept.
func (f *File) fit() error {
	f.renderSoftErrors()
	limit := f.snap.Want.Limit
	if size := f.measure(); limit == 0 || size <= limit {
		return nil
	}
	for _, step := range [...]struct {
		op   snapshot.Op
		drop func(f *File, excess uint64) bool
	}{
		{snapshot.OpLimitMemory, dropStreamed},
		{snapshot.OpLimitMemory, dropExtraMemory},
		{snapshot.OpLimitStacks, shortenStacks},
		{snapshot.OpLimitText, dropTexts},
		{snapshot.OpLimitContexts, dropContexts},
	} {
		// Each step must also free the space for the soft error that reports it.
		for {
			size := f.Size
			if size <= limit || f.full {
				return nil
			}
			if !step.drop(f, size-limit+limitSlack) {
				break
			}
			if f.snap.Want.Mode == snapshot.ModeFull {
				keepStacks(f.snap)
			}
			f.softOnce(step.op)
			f.renderSoftErrors()
			f.measure()
		}
	}
	if f.Size <= limit {
		return nil
	}
	return errtext.Explain(errtext.Wrap(ErrLimit, "minidump: dump of pid ", f.snap.Proc.PID),
		"it needs at least ", f.Size, " bytes, and ", limit, " are allowed")
}

// softOnce records a soft error unless there is one with the same op.
func (f *File) softOnce(op snapshot.Op) {
	for _, e := range f.snap.Errors.All() {
		if e.Op == op {
			return
		}
	}
	f.snap.Soft(op, 0, 0, 0)
}

// maxSoftText limits the text of the soft errors, in bytes. A crafted core file can cause millions of them.
const maxSoftText = 16 << 20

// renderSoftErrors renders the text of the MozSoftErrors stream.
func (f *File) renderSoftErrors() {
	s := f.snap
	size := 64
	for _, e := range s.Errors.All() {
		size = min(size+384+6*int(e.Text.Len), maxSoftText)
	}
	f.json = arena.Span{}
	if sp, b := s.Bytes.Alloc(size); b != nil {
		out := appendJSON(s, b[:0])
		f.json = s.Bytes.Trim(sp, len(out))
	}

}

// dropStreamed shortens the memory streamed in mode full, the largest ranges first.
func dropStreamed(f *File, excess uint64) bool {
	s := f.snap
	done := false
	full := s.Full.All()
	s.Order.SortBySize(full)
	page := s.Target.PageSize
	for i := range full {
		r := &full[i]
		if excess == 0 || r.Size == 0 {
			break
		}
		if r.Keep {
			continue
		}
		n := min(r.Size, (excess+page-1)&^(page-1))
		r.Size -= n
		excess -= min(excess, n)
		done = true
	}
	s.Order.Sort(full)
	return done
}

// keepStacks adds a range for each stack that the shortened ranges no longer cover, so that readers find the stack by
// address. Parts of such a stack are removed from the other ranges, so that no byte is written twice. It first removes
// the ranges that an earlier call added, because the stacks may have been shortened since.
func keepStacks(s *snapshot.Snapshot) {
	s.Full.N = compact(s.Full.All(), func(r *snapshot.MemoryRange) bool { return !r.Keep && r.Size > 0 })
	full := s.Full.All() // sorted by address, like the stacks
	k := 0
	for _, m := range s.Memory.All() {
		for k < len(full) && full[k].End() <= m.Start {
			k++
		}
		if k < len(full) && full[k].Start <= m.Start && m.End() <= full[k].End() {
			continue
		}
		for i := k; i < len(full) && full[i].Start < m.End(); i++ {
			exclude(&full[i], m.Start, m.End())
		}
		if r := s.Full.Add(); r != nil {
			*r = snapshot.MemoryRange{Start: m.Start, Size: m.Size, Keep: true}
		}
	}
	s.Full.N = compact(s.Full.All(), func(r *snapshot.MemoryRange) bool { return r.Size > 0 })
}

// exclude removes [lo, hi) from r. It must overlap an end of r.
func exclude(r *snapshot.MemoryRange, lo, hi uint64) {
	switch {
	case hi <= r.Start || r.End() <= lo:
	case r.Start < lo:
		r.Size = lo - r.Start
	default:
		n := min(r.Size, hi-r.Start)
		r.Start, r.Size = r.Start+n, r.Size-n
	}
}

// compact moves the wanted ranges to the front and returns their number.
func compact(rs []snapshot.MemoryRange, wanted func(*snapshot.MemoryRange) bool) int {
	n := 0
	for i := range rs {
		if wanted(&rs[i]) {
			rs[n] = rs[i]
			n++
		}
	}
	return n
}

// dropExtraMemory drops memory other than stacks and code, the least important kind first.
func dropExtraMemory(f *File, excess uint64) bool {
	s := f.snap
	for _, kind := range [...]snapshot.MemoryKind{snapshot.MemoryGoroutine, snapshot.MemoryIndirect, snapshot.MemoryApp} {
		var freed uint64
		for i := s.Memory.N - 1; i >= 0 && freed < excess; i-- {
			r := s.Memory.At(i)
			if r.Kind != kind || r.Size == 0 {
				continue
			}
			n := min(r.Size, excess-freed)
			r.Size -= n
			r.Data.Len = uint32(r.Size)
			freed += n
			if r.Size == 0 {
				freed += stream.MemoryDescriptorSize
			}
		}
		if freed > 0 {
			s.DropEmpty()
			return true
		}
	}
	return false
}

// shortenStacks gives each thread except the blamed one an equal share of the space that is left for stacks.
func shortenStacks(f *File, excess uint64) bool {
	s := f.snap
	ths := s.Threads.All()
	var longest uint64
	for i := range ths {
		t := &ths[i]
		if t.StackKeep = ^uint64(0); t.TID != s.Proc.Blamed {
			t.StackKeep = 0
			longest = max(longest, t.StackHi-t.StackLo)
			for k := range t.Other {
				longest = max(longest, t.Other[k].Hi-t.Other[k].Lo)
			}
		}
	}
	if longest == 0 {
		return false
	}
	stacks := s.SortStacks()
	room := covered(stacks, longest)
	room -= min(room, excess)
	lo, hi := uint64(0), longest // binary search for the largest share at which all stacks fit
	for lo < hi {
		if mid := (lo + hi + 1) / 2; covered(stacks, mid) <= room {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	share := lo &^ 15
	if share < s.Target.Arch.RedZone()+uint64(s.Target.WordSize()) {
		share = 0 // the share would not reach SP
	}
	for i := range ths {
		if t := &ths[i]; t.TID != s.Proc.Blamed {
			t.StackKeep = share
		}
	}
	s.CutStacks()
	return true
}

// covered returns how many bytes the stacks occupy if each keeps share bytes, or its Left if that is more. The stacks
// must be sorted by address and may overlap.
func covered(stacks []snapshot.MemoryRange, share uint64) (sum uint64) {
	var end uint64
	for i := range stacks {
		r := &stacks[i]
		if top := r.Start + max(r.Left, min(share, r.Size)); top > end {
			sum += top - max(end, r.Start)
			end = top
		}
	}
	return sum
}

// textOrder is the order in which text streams are dropped: first those that are long or known from another stream.
var textOrder = [...]int{
	snapshot.RawMaps, snapshot.RawCPUInfo, snapshot.RawEnviron, snapshot.RawLimits, snapshot.RawStatus, snapshot.RawLSBRelease,
	snapshot.RawCmdline, snapshot.RawAuxv,
}

// dropTexts drops text streams, then lists that no stack walk needs.
func dropTexts(f *File, excess uint64) bool {
	s := f.snap
	var freed uint64
	for _, i := range textOrder {
		if freed >= excess {
			return true
		}
		freed += uint64(s.Raw[i].Len)
		s.Raw[i] = arena.Span{}
	}
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		freed += uint64(t.Extra.Len)
		t.Extra = arena.Span{}
	}
	if freed += dropStreams(s, excess-min(excess, freed)); freed >= excess {
		return true
	}
	if s.Handles.N > 0 || s.LinkMaps.N > 0 || s.DSO.Have || s.Mappings.N > 0 || s.Regions.N > 0 {
		s.Handles.Clear()
		s.LinkMaps.Clear()
		s.DSO = snapshot.DSODebug{}
		s.Mappings.Clear()
		s.Regions.Clear()
		freed++
	}
	return freed > 0
}

// dropStreams drops streams that the source wrote, the last first, and returns how many bytes that frees.
// BreakpadInfo is kept: it is small, and identifies the thread that the dump is about.
func dropStreams(s *snapshot.Snapshot, excess uint64) (freed uint64) {
	for i := s.Streams.N - 1; i >= 0 && freed < excess; i-- {
		st := s.Streams.At(i)
		if st.Type == stream.BreakpadInfoStream {
			continue
		}
		freed += uint64(st.Data.Len) + stream.DirectorySize
		all := s.Streams.All()
		copy(all[i:], all[i+1:])
		s.Streams.N--
	}
	return freed
}

// dropContexts drops the registers of threads other than the blamed one, starting at the end of the list.
func dropContexts(f *File, excess uint64) bool {
	s := f.snap
	var freed uint64
	for i := s.Threads.N - 1; i >= 0 && freed < excess; i-- {
		t := s.Threads.At(i)
		if size := s.ContextSize(t); t.TID != s.Proc.Blamed && size > 0 {
			freed += uint64(size)
			t.HasRegs, t.ContextDropped = false, true
		}
	}
	return freed > 0
}
