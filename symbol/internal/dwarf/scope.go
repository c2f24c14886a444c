package dwarf

import (
	"cmp"
	"slices"
)

// scope is a function or an inlined call that has code.
type scope struct {
	die      uint64 // offset of its entry
	entry    uint64 // where its code starts, 0 if that is where its first range does
	first, n uint32 // its ranges, in unit.spans
	parent   int32  // of an inlined call: the scope that it is in; of a function: -1
	callFile uint32
	callLine uint32
}

// function is one range of a function.
type function struct {
	span
	scope int32
	most  uint64 // the greatest end of the ranges up to this one, in the order of unit.functions
}

func (s *scope) spans(u *unit) []span { return u.spans[s.first : s.first+s.n] }

// at returns the range that contains addr.
func (s *scope) at(u *unit, addr uint64) (span, bool) {
	for _, r := range s.spans(u) {
		if r.lo <= addr && addr < r.hi {
			return r, true
		}
	}
	return span{}, false
}

// start returns the address that an offset of addr is counted from: where the function starts. Code that was moved to before
// the function ("cold" parts) counts from where that piece starts.
func (s *scope) start(u *unit, addr uint64) uint64 {
	start := s.entry
	if start == 0 {
		start = s.spans(u)[0].lo
	}
	if start > addr {
		r, _ := s.at(u, addr)
		start = r.lo
	}
	return start
}

// chain returns the function that contains addr and the inlined calls there, the outermost first.
func (d *Data) chain(u *unit, addr uint64) []*scope {
	d.load(u)
	i, _ := slices.BinarySearchFunc(u.functions, addr, func(f function, addr uint64) int {
		if f.lo <= addr {
			return -1
		}
		return 1
	})
	for n := 0; i > 0 && n < 4096 && u.functions[i-1].most > addr; n++ {
		i--
		if f := u.functions[i]; addr < f.hi {
			return u.inlined(f.scope, addr)
		}
	}
	return nil
}

// inlined returns the scope with the inlined calls in it at addr. Scopes are in the order of their entries, so those inside one
// follow it.
func (u *unit) inlined(at int32, addr uint64) []*scope {
	chain := []*scope{&u.scopes[at]}
	for i := int(at) + 1; i < len(u.scopes) && u.scopes[i].parent >= 0 && len(chain) < maxInlining; i++ {
		if s := &u.scopes[i]; s.parent == at {
			if _, ok := s.at(u, addr); ok {
				chain = append(chain, s)
				at = int32(i)
			}
		}
	}
	return chain
}

// load reads the scopes of a unit, if it has not. If more are kept than the limit, those of other units are dropped.
func (d *Data) load(u *unit) {
	if u.gotScopes {
		return
	}
	if d.scopes > maxScopes/4 || d.ranges > maxRanges/4 {
		for _, other := range d.byOffset {
			other.scopes, other.spans, other.functions, other.gotScopes = nil, nil, nil, false
		}
		d.scopes, d.ranges = 0, 0
	}
	u.gotScopes = true
	b := d.read(d.s.Info, u.dies, u.end-u.dies)
	t, ok := d.abbrevsAt(u.abbrevs)
	if b == nil || !ok {
		return
	}
	w := walker{d: d, u: u, table: t, c: cursor{b: b, order: d.order}, e: u.encoding}
	w.e.base = u.dies
	w.run()
	d.scopes += len(u.scopes)
	d.ranges += len(u.spans)
	u.sortFunctions()
}

func (u *unit) sortFunctions() {
	for i := range u.scopes {
		if s := &u.scopes[i]; s.parent < 0 {
			for _, r := range s.spans(u) {
				u.functions = append(u.functions, function{span: r, scope: int32(i)})
			}
		}
	}
	slices.SortStableFunc(u.functions, func(a, b function) int { return cmp.Compare(a.lo, b.lo) })
	var most uint64
	for i := range u.functions {
		f := &u.functions[i]
		most = max(most, f.hi)
		f.most = most
	}
}

// walker goes through the entries of a unit.
type walker struct {
	d     *Data
	u     *unit
	table abbrevTable
	c     cursor
	e     encoding
	// owners has for each open entry the scope whose code its children are part of, or -1.
	owners []int32
}

// maxDepth is how deep entries may be nested.
const maxDepth = 1 << 12

func (w *walker) run() {
	for w.c.left() > 0 && len(w.u.scopes) < maxScopes && len(w.u.spans) < maxRanges {
		off := w.u.dies + uint64(w.c.off)
		code := w.c.uleb()
		if code == 0 {
			if len(w.owners) > 0 {
				w.owners = w.owners[:len(w.owners)-1]
			}
			continue
		}
		a := w.table.get(code)
		if a == nil {
			return
		}
		owner := int32(-1)
		if len(w.owners) > 0 {
			owner = w.owners[len(w.owners)-1]
		}
		if a.tag == tagSubprogram || a.tag == tagInlined {
			owner = w.scope(a, off, owner)
		} else {
			for _, x := range a.attrs {
				w.e.value(&w.c, x.form, x.value)
			}
		}
		if w.c.bad {
			return
		}
		if a.children {
			if len(w.owners) >= maxDepth {
				return
			}
			w.owners = append(w.owners, owner)
		}
	}
}

// scope reads the entry of a function or an inlined call, and returns what its children are in.
func (w *walker) scope(a *abbrev, off uint64, owner int32) int32 {
	var low, high, ranges, entry value
	s := scope{die: off, parent: -1}
	for _, x := range a.attrs {
		v := w.e.value(&w.c, x.form, x.value)
		switch x.at {
		case atLowPC:
			low = v
		case atHighPC:
			high = v
		case atRanges:
			ranges = v
		case atEntryPC:
			entry = v
		case atCallFile:
			s.callFile = uint32(min(v.n, 1<<32-1))
		case atCallLine:
			s.callLine = uint32(min(v.n, 1<<31-1))
		}
	}
	if a.tag == tagInlined {
		if s.parent = owner; owner < 0 {
			return -1
		}
	}
	if w.c.bad || low.class == classNone && ranges.class == classNone {
		return -1
	}
	before := len(w.u.spans)
	w.u.spans = w.d.pcRanges(w.u, w.u.spans, low, high, ranges, maxRanges)
	if len(w.u.spans) == before {
		return -1
	}
	if a.tag == tagSubprogram {
		s.entry, _ = w.d.address(w.u, entry)
	}
	s.first, s.n = uint32(before), uint32(len(w.u.spans)-before)
	w.u.scopes = append(w.u.scopes, s)
	return int32(len(w.u.scopes) - 1)
}

// name returns the name of the function that the entry at off is, or is made from.
func (d *Data) name(u *unit, off uint64) (name string, linkage bool) {
	for range maxHops {
		var link, plain, next value
		_, ok := d.entry(u, off, func(at uint16, v value) {
			switch at {
			case atLinkageName, atMIPSLinkage:
				link = v
			case atName:
				plain = v
			case atAbstractOrigin, atSpecification:
				next = v
			}
		})
		if !ok {
			break
		}
		if s := d.string(u, d.s.Info, link); s != "" {
			return s, true
		}
		if name == "" {
			name = d.string(u, d.s.Info, plain)
		}
		if next.class == classAlt {
			d.Alt = true
		}
		if next.class != classRef {
			break
		}
		if off = next.n; off < u.dies || off >= u.end {
			if u = d.unitOf(off); u == nil {
				break
			}
		}
	}
	return name, false
}
