package dwarf

import (
	"cmp"
	"slices"
)

// span is a range of addresses, lo to hi-1.
type span struct{ lo, hi uint64 }

// address returns the address that v stands for.
func (d *Data) address(u *unit, v value) (uint64, bool) {
	switch v.class {
	case classAddr:
		return v.n, true
	case classAddrx:
		if v.n > 1<<40 {
			return 0, false
		}
		size := uint64(u.addrSize)
		c := &cursor{b: d.read(d.s.Addr, u.addrBase+v.n*size, size), order: d.order}
		a := c.uint(int(size))
		return a, !c.bad
	}
	return 0, false
}

// pcRanges appends at most limit ranges of an entry with these attributes. Empty ranges, and those that start at 0
// or 1, belong to functions that the linker dropped, and are left out.
func (d *Data) pcRanges(u *unit, to []span, low, high, ranges value, limit int) []span {
	switch {
	case ranges.class == classRnglist:
		size := uint64(u.offsetSize())
		if ranges.n > 1<<40 {
			return to
		}
		c := &cursor{b: d.read(d.s.RngLists, u.rnglists+ranges.n*size, size), order: d.order}
		off := c.offset(u.is64)
		if c.bad {
			return to
		}
		return d.rnglist(u, to, u.rnglists+off, limit)
	case ranges.class == classOffset || ranges.class == classConst:
		if u.version >= 5 {
			return d.rnglist(u, to, ranges.n, limit)
		}
		return d.oldRanges(u, to, ranges.n, limit)
	}
	lo, ok := d.address(u, low)
	if !ok {
		return to
	}
	hi, ok := d.address(u, high)
	if !ok && high.class != classNone {
		hi = lo + high.n // since version 4 a constant is a length
	}
	return appendSpan(to, lo, hi, limit)
}

func appendSpan(to []span, lo, hi uint64, limit int) []span {
	if lo <= 1 || lo >= hi || len(to) >= limit {
		return to
	}
	return append(to, span{lo, hi})
}

// listWindow is how many bytes of a range list are read at a time. Nearly all lists are shorter.
const listWindow = 512

// list parses the range list at off. entry parses one entry and returns false at the end.
func (d *Data) list(s Section, off uint64, limit int, entry func(c *cursor) bool) {
	c := &cursor{b: d.readSome(s, off, listWindow), order: d.order}
	for n := 0; n < limit && d.steps < maxSteps; n++ {
		d.steps++
		if c.left() < 32 && uint64(len(c.b)) == listWindow { // an entry needs fewer bytes
			off += uint64(c.off)
			c = &cursor{b: d.readSome(s, off, listWindow), order: d.order}
		}
		if !entry(c) || c.bad {
			return
		}
	}
}

// oldRanges reads a list from .debug_ranges: DWARF 4, 2.17.3.
func (d *Data) oldRanges(u *unit, to []span, off uint64, limit int) []span {
	base := u.low
	all := ^uint64(0) >> (64 - 8*uint(u.addrSize))
	d.list(d.s.Ranges, off, limit, func(c *cursor) bool {
		lo, hi := c.uint(int(u.addrSize)), c.uint(int(u.addrSize))
		switch {
		case c.bad || lo == 0 && hi == 0:
			return false
		case lo == all:
			base = hi
		case base+lo > 1:
			to = appendSpan(to, base+lo, base+hi, limit)
		}
		return true
	})
	return to
}

// rnglist reads a list from .debug_rnglists: 7.25.
func (d *Data) rnglist(u *unit, to []span, off uint64, limit int) []span {
	base, baseOK := u.low, true
	addr := func(c *cursor) uint64 { return c.uint(int(u.addrSize)) }
	indexed := func(c *cursor) (uint64, bool) { return d.address(u, value{classAddrx, c.uleb()}) }
	d.list(d.s.RngLists, off, limit, func(c *cursor) bool {
		var lo, hi uint64
		ok := true
		switch c.u8() {
		default:
			return false
		case 1: // DW_RLE_base_addressx
			base, baseOK = indexed(c)
			return true
		case 2: // DW_RLE_startx_endx
			lo, ok = indexed(c)
			var ok2 bool
			hi, ok2 = indexed(c)
			ok = ok && ok2
		case 3: // DW_RLE_startx_length
			lo, ok = indexed(c)
			hi = lo + c.uleb()
		case 4: // DW_RLE_offset_pair
			lo = base + c.uleb()
			hi = base + c.uleb()
			ok = baseOK && base != ^uint64(0)
		case 5: // DW_RLE_base_address
			base, baseOK = addr(c), true
			return true
		case 6: // DW_RLE_start_end
			lo, hi = addr(c), addr(c)
		case 7: // DW_RLE_start_length
			lo = addr(c)
			hi = lo + c.uleb()
		}
		if ok && !c.bad {
			to = appendSpan(to, lo, hi, limit)
		}
		return true
	})
	return to
}

// index finds units by address.
type index struct {
	spans []indexed
	most  []uint64 // the greatest end of the spans up to this one
}

type indexed struct {
	span
	unit uint64 // offset of its header
}

func (x *index) add(s span, unit uint64) bool {
	if len(x.spans) >= maxRanges {
		return false
	}
	x.spans = append(x.spans, indexed{s, unit})
	return true
}

// sort sorts the index for find.
func (x *index) sort() {
	slices.SortStableFunc(x.spans, func(a, b indexed) int { return cmp.Compare(a.lo, b.lo) })
	x.most = make([]uint64, len(x.spans))
	var most uint64
	for i, s := range x.spans {
		most = max(most, s.hi)
		x.most[i] = most
	}
}

// find returns up to 8 units with a range that contains addr, the one whose range starts last first.
func (x *index) find(addr uint64) (units []uint64) {
	i, _ := slices.BinarySearchFunc(x.spans, addr, func(s indexed, addr uint64) int {
		if s.lo <= addr {
			return -1
		}
		return 1
	})
	for n := 0; i > 0 && n < 4096 && len(units) < 8 && x.most[i-1] > addr; n++ {
		i--
		if s := x.spans[i]; addr < s.hi && !slices.Contains(units, s.unit) {
			units = append(units, s.unit)
		}
	}
	return units
}

// arangesIndex returns the index in the file's .debug_aranges: 6.1.2.
func (d *Data) arangesIndex() *index {
	if d.gotRanges || d.s.Aranges == nil || d.s.Info == nil || d.s.Aranges.Size() > maxAranges {
		return &d.aranges
	}
	d.gotRanges = true
	c := &cursor{b: d.readSome(d.s.Aranges, 0, maxAranges), order: d.order}
	for c.left() > 0 {
		start := c.off
		n, is64 := c.length()
		set := &cursor{b: c.take(n), order: d.order}
		head := c.off - int(n) - start
		set.u16()
		unit := set.offset(is64)
		size, segment := int(set.u8()), set.u8()
		if c.bad || set.bad || segment != 0 || size != 4 && size != 8 {
			continue
		}
		pad := (2*size - (head+set.off)%(2*size)) % (2 * size)
		set.take(uint64(pad))
		for set.left() >= 2*size {
			lo, length := set.uint(size), set.uint(size)
			if lo > 1 && lo+length > lo && !d.aranges.add(span{lo, lo + length}, unit) {
				c.bad = true
				break
			}
		}
	}
	d.aranges.sort()
	return &d.aranges
}

// restIndex returns the index of the units that are not in .debug_aranges, built from their own ranges. Some compilers
// write no .debug_aranges.
func (d *Data) restIndex() *index {
	if d.gotRest || d.s.Info == nil {
		return &d.rest
	}
	d.gotRest = true
	mentioned := map[uint64]bool{}
	for _, s := range d.aranges.spans {
		mentioned[s.unit] = true
	}
	for _, h := range d.units() {
		if mentioned[h.unit] {
			continue
		}
		u := d.unit(h.unit)
		if u == nil {
			continue
		}
		for _, s := range u.ranges {
			if !d.rest.add(s, u.unit) {
				break
			}
		}
		u.ranges = nil
	}
	d.rest.sort()
	return &d.rest
}
