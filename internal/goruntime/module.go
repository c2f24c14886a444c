package goruntime

// table is the address and the size in bytes of a slice in the target that the linker wrote.
type table struct{ addr, size uint64 }

// module is what is needed from a runtime.moduledata and the pcHeader that it refers to.
type module struct {
	addr    uint64
	header  uint64
	quantum uint64

	names, cus, files, pctab, funcs table // funcnametab, cutab, filetab, pctab, pclntable
	nfuncs                          uint64
	text, etext                     uint64
	noptrdata, enoptrdata           uint64
	data, edata                     uint64
	bss, ebss                       uint64
	noptrbss, enoptrbss             uint64
	types, etypes                   uint64
	gofunc                          uint64
	sections                        [maxSections]section // empty if there is one
	nsections                       int
	next                            uint64
}

// section is runtime.textsect: a text section that the external linker moved.
type section struct{ vaddr, end, base uint64 }

// The magic number of pcHeader since Go 1.20 (Go120PCLnTabMagic of internal/abi/symtab.go).
const pclntabMagic = 0xfffffff1

// Indexes of words in moduledata, which are the same in all releases of Go since 1.20.
const (
	mdHeader = 0
	mdNames  = 1 // slices: address, length, capacity
	mdCUs    = 4
	mdFiles  = 7
	mdPctab  = 10
	mdFuncs  = 13
	mdFtab   = 16
	mdText   = 22 // pairs of start and end begin here
	mdTypes  = 37
	mdWords  = 80 // more than any release has
	// pcHeader: 8 bytes, then words
	headerNfunc = 0
	headerNames = 3
	headerWords = 8
)

// findModules finds the first moduledata and those that it links to: one for each plugin and shared library of Go.
func (f *finder) findModules() bool {
	for _, writable := range [2]bool{true, false} {
		left := uint64(maxData)
		for _, r := range f.ranges {
			if r.Writable != writable || r.Exec || r.Lo >= r.Hi {
				continue
			}
			size := min(r.Hi-r.Lo, left)
			left -= size
			if f.scan(r.Lo, r.Lo+size, 4*int(f.word), f.tryWindow) {
				return true
			}
		}
	}
	return false
}

// tryWindow looks for a moduledata in b: the address of a pcHeader, followed by the slice of function names, which comes
// after that header in memory.
func (f *finder) tryWindow(addr uint64, b []byte) bool {
	w := int(f.word)
	for i := 0; i+4*w <= len(b); i += w {
		header := f.ptr(b[i:])
		if header-f.p.lo >= f.p.hi-f.p.lo {
			continue
		}
		names, n, c := f.ptr(b[i+w:]), f.ptr(b[i+2*w:]), f.ptr(b[i+3*w:])
		if names-header > 1024 || names-header < 8 || n != c || n == 0 || n > 1<<31 {
			continue
		}
		if f.takeModules(addr + uint64(i)) {
			return true
		}
	}
	return false
}

func (f *finder) takeModules(addr uint64) bool {
	p := f.p
	p.nmodules = 0
	for addr != 0 && p.nmodules < maxModules {
		for _, m := range p.modules[:p.nmodules] {
			if m.addr == addr {
				return true
			}
		}
		if !f.takeModule(addr, &p.modules[p.nmodules]) {
			break
		}
		addr = p.modules[p.nmodules].next
		p.nmodules++
	}
	return p.nmodules > 0
}

// takeModule reads one moduledata.
func (f *finder) takeModule(addr uint64, m *module) bool {
	*m = module{addr: addr}
	var w [mdWords]uint64
	for i := range w {
		v, ok := f.ptrAt(addr + uint64(i)*f.word)
		if !ok {
			if i <= mdTypes+8 {
				return false
			}
			break
		}
		w[i] = v
	}
	m.header = w[mdHeader]
	h := f.at(m.header, int(8+headerWords*f.word))
	if h == nil || f.u32(h) != pclntabMagic || h[4] != 0 || h[5] != 0 || h[6] == 0 || h[6] > maxQuantum || uint64(h[7]) != f.word {
		return false
	}
	m.quantum = uint64(h[6])
	nfuncs := f.ptr(h[8+headerNfunc*f.word:])
	if m.header+f.ptr(h[8+headerNames*f.word:]) != w[mdNames] {
		return false
	}
	for _, t := range [...]struct {
		to   *table
		at   int
		size uint64
	}{{&m.names, mdNames, 1}, {&m.cus, mdCUs, 4}, {&m.files, mdFiles, 1}, {&m.pctab, mdPctab, 1}, {&m.funcs, mdFuncs, 1}} {
		n := w[t.at+1]
		if n != w[t.at+2] || n > 1<<31 || n > 0 && w[t.at] < m.header {
			return false
		}
		*t.to = table{w[t.at], n * t.size}
	}
	// The slice ftab is at the start of pclntable, and has one more entry than there are functions.
	if n := w[mdFtab+1]; w[mdFtab] != m.funcs.addr || n < 2 || n > 1<<28 || 8*n > m.funcs.size || nfuncs+1 != n {
		return false
	}
	m.nfuncs = nfuncs
	for i, to := range [...]*uint64{&m.text, &m.etext, &m.noptrdata, &m.enoptrdata, &m.data, &m.edata, &m.bss, &m.ebss, &m.noptrbss, &m.enoptrbss} {
		*to = w[mdText+i]
		if i&1 == 1 && *to < w[mdText+i-1] {
			return false
		}
	}
	return m.text != m.etext && f.takeRest(m, &w)
}

// takeRest reads the words from types on, which differ between releases. Up to 1.26 they are types, etypes, rodata,
// gofunc; 1.26 adds epclntab; 1.27 has types, typedesclen, etypes, itaboffset, itabsize, rodata, gofunc, epclntab. A slice
// of textsect follows, which always has entries.
func (f *finder) takeRest(m *module, w *[mdWords]uint64) bool {
	slice := func(i int) bool { return w[i] != 0 && w[i+1] == w[i+2] && w[i+1] > 0 && w[i+1] < 1<<16 }
	old := false
	var sect int
	m.types = w[mdTypes]
	switch {
	case w[mdTypes+1] >= m.types && slice(mdTypes+4):
		m.etypes, m.gofunc, sect, old = w[mdTypes+1], w[mdTypes+3], mdTypes+4, true
	case w[mdTypes+1] >= m.types && slice(mdTypes+5):
		m.etypes, m.gofunc, sect, old = w[mdTypes+1], w[mdTypes+3], mdTypes+5, true
	case w[mdTypes+2] >= m.types && slice(mdTypes+8):
		m.etypes, m.gofunc, sect = w[mdTypes+2], w[mdTypes+6], mdTypes+8
	default:
		return false
	}
	if m.types == 0 || m.etypes-m.types > maxTypes {
		return false
	}
	if n := w[sect+1]; n > 1 {
		if n > maxSections {
			return false
		}
		for i := range m.sections[:n] {
			s := &m.sections[i]
			at := w[sect] + uint64(i)*3*f.word
			var ok1, ok2, ok3 bool
			s.vaddr, ok1 = f.ptrAt(at)
			s.end, ok2 = f.ptrAt(at + f.word)
			s.base, ok3 = f.ptrAt(at + 2*f.word)
			if !ok1 || !ok2 || !ok3 || s.end < s.vaddr {
				return false
			}
		}
		m.nsections = int(n)
	}
	// After textsectmap: typelinks and itablinks up to 1.26, ptab, pluginpath, pkghashes, inittasks, modulename,
	// modulehashes, hasmain and bad, gcdatamask, gcbssmask, typemap, next.
	next := sect + 3 + 3 + 2 + 3 + 3 + 2 + 3 + 1 + 2 + 2 + 1
	if old {
		next += 6
	}
	m.next = w[next]
	return true
}

// textAddr converts an offset of the function table to an address, as moduledata.textAddr does.
func (m *module) textAddr(off uint32) uint64 {
	o := uint64(off)
	for i := range m.sections[:m.nsections] {
		s := &m.sections[i]
		if o >= s.vaddr && o < s.end || i == m.nsections-1 && o == s.end {
			return s.base + o - s.vaddr
		}
	}
	return m.text + o
}

// textOff is the inverse of textAddr, like moduledata.textOff.
func (m *module) textOff(pc uint64) (uint32, bool) {
	for i := range m.sections[:m.nsections] {
		s := &m.sections[i]
		if s.base > pc {
			return 0, false
		}
		if pc-s.base < s.end-s.vaddr {
			return uint32(pc - s.base + s.vaddr), true
		}
	}
	if m.nsections > 0 || pc < m.text || pc-m.text > 1<<32-1 {
		return 0, false
	}
	return uint32(pc - m.text), true
}

// moduleOf returns the module whose code contains pc, or nil.
func (p *Program) moduleOf(pc uint64) *module {
	for i := range p.modules[:p.nmodules] {
		if m := &p.modules[i]; pc >= m.text && pc < m.etext {
			return m
		}
	}
	return nil
}
