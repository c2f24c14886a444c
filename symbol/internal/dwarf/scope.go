package dwarf

import (
	"cmp"
	"slices"
)

// scope is a function or an inlined call that has code.
type scope struct {
	die      uint64 // offset of its entry
	entry    uint64 // where its code starts, 0 if at the start of its first range
	first, n uint32 // its ranges, in unit.spans
	parent   int32  // of an inlined call: the surrounding scope; of a function: -1
	callFile uint32
	callLine uint32
}

// function is one range of a function.
type function struct {
	span
	scope int32
	most  uint64 // the greatest end of the ranges up to this one, in the order of unit.functions
}

// inside records which namespace or class contains the entry of a function, class or namespace. Both are offsets.
type inside struct{ die, parent uint64 }

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

// start returns the address from which the offset of addr is counted: where the function starts. Code that was moved to
// before the function ("cold" parts) counts from the start of its own range.
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

// inlined returns the scope at index at and the inlined calls in it at addr. Scopes are in the order of their entries, so those
// inside one follow it.
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

// load reads the scopes of a unit, unless that was done. If more scopes are in memory than the limit, those of other units are dropped.
func (d *Data) load(u *unit) {
	if u.gotScopes {
		return
	}
	if d.scopes > maxScopes/4 || d.ranges > maxRanges/4 {
		for _, other := range d.byOffset {
			other.scopes, other.spans, other.functions, other.parents, other.gotScopes = nil, nil, nil, nil, false
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
	d.scopes += len(u.scopes) + len(u.parents)
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

// walker visits the entries of a unit.
type walker struct {
	d     *Data
	u     *unit
	table abbrevTable
	c     cursor
	e     encoding
	open  []opened
}

// opened is an entry whose children are being read.
type opened struct {
	owner  int32  // the scope whose code the children are part of, or -1
	parent uint64 // the innermost namespace or class, as the offset of its entry; or 0
}

// maxDepth is the maximum nesting of entries.
const maxDepth = 1 << 12

func (w *walker) run() {
	for w.c.left() > 0 && len(w.u.scopes) < maxScopes && len(w.u.parents) < maxScopes && len(w.u.spans) < maxRanges {
		off := w.u.dies + uint64(w.c.off)
		code := w.c.uleb()
		if code == 0 {
			w.open = w.open[:max(0, len(w.open)-1)]
			continue
		}
		a := w.table.get(code)
		if a == nil {
			return
		}
		in := opened{owner: -1}
		if len(w.open) > 0 {
			in = w.open[len(w.open)-1]
		}
		in = w.entry(a, off, in)
		if w.c.bad || len(w.open) >= maxDepth {
			return
		}
		if a.children {
			w.open = append(w.open, in)
		}
	}
}

// entry reads an entry inside another one, and returns the context for its children.
func (w *walker) entry(a *abbrev, off uint64, in opened) opened {
	switch a.tag {
	case tagSubprogram, tagInlined:
		if a.tag == tagSubprogram && in.parent != 0 {
			w.u.parents = append(w.u.parents, inside{off, in.parent})
		}
		in.owner = w.scope(a, off, in.owner)
		return in
	case tagNamespace, tagClass, tagStructure, tagUnion:
		w.u.parents = append(w.u.parents, inside{off, in.parent})
		in.parent = off
	}
	for _, x := range a.attrs {
		w.e.value(&w.c, x.form, x.value)
	}
	return in
}

// scope reads the entry of a function or an inlined call, and returns the scope for its children.
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

// name returns the name of the function whose entry is at off, or from which that entry is derived.
func (d *Data) name(u *unit, off uint64) (name string, linkage bool) {
	for range maxHops {
		link, plain, next, ok := d.names(u, off)
		if !ok {
			break
		}
		if s := d.string(u, d.s.Info, link); s != "" {
			return s, true
		}
		if s := d.string(u, d.s.Info, plain); s != "" {
			name = d.qualified(u, off, s)
		}
		if next.class == classAlt {
			return d.supplementName(next.n, name)
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

// supplementName returns the name of an entry in the supplement, or otherwise if the supplement has none.
func (d *Data) supplementName(off uint64, otherwise string) (name string, linkage bool) {
	s := d.Supplement
	if s == nil || s.Supplement != nil {
		d.Alt = true
		return otherwise, false
	}
	u := s.unitOf(off)
	if u == nil {
		return otherwise, false
	}
	if name, linkage = s.name(u, off); name == "" {
		name = otherwise
	}
	return name, linkage
}

// names reads the attributes for the name of a function, class or namespace from its entry.
func (d *Data) names(u *unit, off uint64) (link, plain, next value, ok bool) {
	_, ok = d.entry(u, off, func(at uint16, v value) {
		switch at {
		case atLinkageName, atMIPSLinkage:
			link = v
		case atName:
			plain = v
		case atAbstractOrigin, atSpecification:
			next = v
		}
	})
	return link, plain, next, ok
}

// qualified returns a name preceded by those of the classes and namespaces that contain its entry.
func (d *Data) qualified(u *unit, off uint64, name string) string {
	d.load(u)
	for range maxHops {
		i, found := slices.BinarySearchFunc(u.parents, off, func(p inside, off uint64) int { return cmp.Compare(p.die, off) })
		if !found || u.parents[i].parent == 0 {
			break
		}
		off = u.parents[i].parent
		_, plain, _, ok := d.names(u, off)
		if !ok {
			break
		}
		outer := d.string(u, d.s.Info, plain)
		if outer == "" {
			outer = "(anonymous namespace)"
		}
		if len(outer)+len(name) > MaxString {
			break
		}
		name = outer + "::" + name
	}
	return name
}
