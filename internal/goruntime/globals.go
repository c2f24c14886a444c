package goruntime

// Statuses of a goroutine (runtime2.go). Bit 0x1000 is set while its stack is scanned.
const (
	statusIdle      = 0
	statusRunnable  = 1
	statusRunning   = 2
	statusSyscall   = 3
	statusWaiting   = 4
	statusDead      = 6
	statusCopystack = 8
	statusPreempted = 9
	statusLeaked    = 10
	statusDeadExtra = 11
	statusScan      = 0x1000
)

// Limits on the search for the variables.
const (
	maxCandidates = 1 << 16 // places that are examined more closely
	sampleGs      = 16      // elements of a slice that are examined
	maxAllgs      = 1 << 26
	maxStack      = 2 << 30 // no stack is larger (runtime.maxstackceiling is 2 * 1 GB)
	maxMs         = 1 << 16
)

// areas are the places where the runtime's variables may lie.
func (m *module) areas() [4]table {
	return [4]table{
		{m.bss, min(m.ebss-m.bss, maxBSS)},
		{m.noptrbss, min(m.enoptrbss-m.noptrbss, maxBSS)},
		{m.data, min(m.edata-m.data, maxData)},
		{m.noptrdata, min(m.enoptrdata-m.noptrdata, maxData)},
	}
}

// plausible reports whether the bytes g can be a runtime.g.
func (p *Program) plausible(g []byte) bool {
	if len(g) < p.off.gEnd {
		return false
	}
	lo, hi := p.ptr(g), p.ptr(g[p.word:])
	status := p.u32Of(g, gStatus) &^ statusScan
	id := p.u64Of(g, gID)
	if status > 15 || id > 1<<48 || lo > hi || hi-lo > maxStack || (lo|hi)&(p.word-1) != 0 {
		return false
	}
	if status == statusDead || status == statusIdle || status == statusDeadExtra {
		return true
	}
	// The goroutine lent to a thread of C has number 0 until Go runs on it, and never has a start (runtime.oneNewExtraM).
	start := p.addr(p.ptrOf(g, gStartPC))
	return id == 0 || lo != 0 && (p.moduleOf(start) != nil || start == 0 && p.ptrOf(g, gLockedM) != 0)
}

// findGlobals finds allgs, m0 and allm.
func (f *finder) findGlobals() bool {
	all := f.p.modules[0].areas()
	areas := &all
	var list [8]slice
	n := f.findSlices(areas, &list)
	if n == 0 {
		return false
	}
	best := f.bestSlice(areas, list[:n])
	if f.p.m0 != 0 {
		f.findAllm(*areas)
	}
	f.p.allgs = list[best].at
	return true
}

// slice is a slice variable of the program whose elements are goroutines.
type slice struct{ at, ptr, n uint64 }

// findSlices searches the variables for slices of goroutines, and for m0.
func (f *finder) findSlices(areas *[4]table, list *[8]slice) (n int) {
	w, tries := f.word, 0
	for _, a := range areas {
		f.scan(a.addr, a.addr+a.size, 3*int(w), func(addr uint64, b []byte) bool {
			for i := uint64(0); i+w <= uint64(len(b)); i += w {
				ptr := f.ptr(b[i:])
				if ptr == 0 || ptr&(w-1) != 0 {
					continue
				}
				f.checkM0(areas, addr+i, ptr)
				if i+3*w > uint64(len(b)) || n == len(list) {
					continue
				}
				size, room := f.ptr(b[i+w:]), f.ptr(b[i+2*w:])
				if size == 0 || size > room || room > maxAllgs || tries == maxCandidates {
					continue
				}
				tries++
				if f.holdsGs(ptr, size) {
					list[n] = slice{addr + i, ptr, size}
					n++
				}
			}
			return false
		})
	}
	return n
}

// checkM0 records the variable at addr as m0.g0 if what it points to is also static and points back.
func (f *finder) checkM0(areas *[4]table, addr, ptr uint64) {
	p := f.p
	static := func(a uint64) bool {
		for _, t := range areas {
			if a >= t.addr && a-t.addr < t.size {
				return true
			}
		}
		return false
	}
	if p.m0 != 0 || !static(ptr) {
		return
	}
	at := addr - uint64(p.off.of[mG0])
	if back, _ := f.ptrAt(ptr + uint64(p.off.of[gM])); back == at && static(at) {
		p.m0 = at
	}
}

// bestSlice returns which of the slices is allgs: the address of its array is also in allgptr. No such check is known for other
// slices of goroutines.
func (f *finder) bestSlice(areas *[4]table, list []slice) (best int) {
	if len(list) == 1 {
		return 0
	}
	var seen [8]int
	for _, a := range areas {
		f.scan(a.addr, a.addr+a.size, 0, func(addr uint64, b []byte) bool {
			for i := uint64(0); i+f.word <= uint64(len(b)); i += f.word {
				v := f.ptr(b[i:])
				for k := range list {
					if list[k].ptr == v {
						seen[k]++
					}
				}
			}
			return false
		})
	}
	for k := range list {
		if (seen[k] > 1) != (seen[best] > 1) {
			if seen[k] > 1 {
				best = k
			}
		} else if list[k].n > list[best].n {
			best = k
		}
	}
	return best
}

// holdsGs reports whether the first of the n words at ptr are addresses of goroutines.
func (f *finder) holdsGs(ptr, n uint64) bool {
	alive := false
	for i := range min(n, sampleGs) {
		g, ok := f.ptrAt(ptr + i*f.word)
		if !ok || g == 0 || g&(f.word-1) != 0 {
			return false
		}
		b := f.g[:f.p.off.gEnd]
		if !f.read(g, b) || !f.p.plausible(b) {
			return false
		}
		alive = alive || f.p.u64Of(b, gID) != 0
	}
	return alive
}

// findAllm finds the variables that may be the head of the list of Ms: that list ends with m0. Idle Ms are in lists
// of their own, which are shorter unless the newest M is first in one; then there is more than one candidate.
func (f *finder) findAllm(areas [4]table) {
	p, w := f.p, f.word
	longest, tries := 0, 0
	for _, a := range areas {
		f.scan(a.addr, a.addr+a.size, 0, func(addr uint64, b []byte) bool {
			for i := uint64(0); i+w <= uint64(len(b)); i += w {
				v := f.ptr(b[i:])
				if v == 0 || v&(w-1) != 0 || tries == maxCandidates {
					continue
				}
				if !f.isM(v) {
					tries++
					continue
				}
				n := 0
				for at := v; at != p.m0 && at != 0; n++ {
					next, ok := f.ptrAt(at + uint64(p.off.of[mAllLink]))
					if n == maxMs || !ok || !f.isM(next) {
						n = -1
						break
					}
					at = next
				}
				if n < longest {
					continue
				}
				if n > longest {
					longest, p.nallm = n, 0
				}
				if p.nallm < len(p.allm) {
					p.allm[p.nallm] = addr + i
					p.nallm++
				}
			}
			return false
		})
	}
}

// isM reports whether the g0 of the structure at addr points back to it.
func (f *finder) isM(addr uint64) bool {
	g0, ok := f.ptrAt(addr + uint64(f.p.off.of[mG0]))
	if !ok || g0 == 0 || g0&(f.word-1) != 0 {
		return false
	}
	back, ok := f.ptrAt(g0 + uint64(f.p.off.of[gM]))
	return ok && back == addr
}
