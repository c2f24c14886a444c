package dwarf

import "slices"

// Attributes and tags: 7.5.4, 7.5.3.
const (
	atName           = 0x03
	atStmtList       = 0x10
	atLowPC          = 0x11
	atHighPC         = 0x12
	atCompDir        = 0x1b
	atAbstractOrigin = 0x31
	atSpecification  = 0x47
	atEntryPC        = 0x52
	atRanges         = 0x55
	atCallFile       = 0x58
	atCallLine       = 0x59
	atLinkageName    = 0x6e
	atStrOffsetsBase = 0x72
	atAddrBase       = 0x73
	atRnglistsBase   = 0x74
	atDwoName        = 0x76
	atMIPSLinkage    = 0x2007
	atGNUDwoName     = 0x2130

	tagClass      = 0x02
	tagStructure  = 0x13
	tagUnion      = 0x17
	tagInlined    = 0x1d
	tagSubprogram = 0x2e
	tagNamespace  = 0x39

	unitType      = 2
	unitSkeleton  = 4
	unitSplit     = 5
	unitSplitType = 6
)

// unit is a unit of .debug_info.
type unit struct {
	encoding
	end     uint64 // offset in the section
	dies    uint64 // offset of the first entry
	kind    uint8
	abbrevs uint64 // offset of the table

	parsed        bool
	name, compDir value
	low           uint64
	ranges        []span // of addresses
	stmtList      value
	strOffsets    uint64
	addrBase      uint64
	rnglists      uint64

	gotScopes bool
	scopes    []scope
	spans     []span // of scopes
	functions []function
	parents   []inside
	gotLines  bool
	lines     *lineTable
}

// header reads the header of the unit at off: 7.5.1.
func (d *Data) header(off uint64) (*unit, bool) {
	c := &cursor{b: d.readSome(d.s.Info, off, 40), order: d.order}
	u := &unit{}
	n, is64 := c.length()
	start := uint64(c.off)
	u.unit, u.is64 = off, is64
	u.version = c.u16()
	if u.version < 2 || u.version > 5 {
		c.bad = c.bad || u.version == 0
	}
	if u.version >= 5 {
		u.kind = c.u8()
		u.addrSize = c.u8()
		u.abbrevs = c.offset(is64)
		switch u.kind {
		case unitSkeleton, unitSplit:
			c.u64()
		case unitType, unitSplitType:
			c.u64()
			c.offset(is64)
		}
	} else {
		u.abbrevs = c.offset(is64)
		u.addrSize = c.u8()
	}
	u.dies = off + uint64(c.off)
	u.end = off + start + n
	if c.bad || u.end < off || u.end > uint64(d.s.Info.Size()) || u.dies > u.end {
		return nil, false
	}
	return u, true
}

// known reports whether the entries of the unit can be read.
func (u *unit) known() bool {
	return u.version >= 2 && u.version <= 5 && (u.addrSize == 4 || u.addrSize == 8 || u.addrSize == 2) &&
		u.kind != unitType && u.kind != unitSplitType
}

// units reads the headers of all units.
func (d *Data) units() []*unit {
	if d.gotUnits || d.s.Info == nil {
		return d.headers
	}
	d.gotUnits = true
	for off := uint64(0); off < uint64(d.s.Info.Size()) && len(d.headers) < maxUnits; {
		u, ok := d.header(off)
		if !ok {
			break
		}
		off = u.end
		if kept, ok := d.byOffset[u.unit]; ok {
			u = kept
		}
		d.headers = append(d.headers, u)
	}
	return d.headers
}

// unit returns the unit whose header is at off, with its first entry parsed, or nil if it can't be read.
func (d *Data) unit(off uint64) *unit {
	u, ok := d.byOffset[off]
	if !ok {
		if d.s.Info == nil || len(d.byOffset) >= maxUnits {
			return nil
		}
		if i, found := slices.BinarySearchFunc(d.headers, off, func(u *unit, off uint64) int { return compare(u.unit, off) }); found {
			u = d.headers[i]
		} else if u, ok = d.header(off); !ok {
			return nil
		}
		d.byOffset[off] = u
	}
	if !u.known() {
		return nil
	}
	if !u.parsed {
		u.parsed = true
		d.parseRoot(u)
	}
	return u
}

// unitOf returns the unit that contains an entry at off.
func (d *Data) unitOf(off uint64) *unit {
	us := d.units()
	i, found := slices.BinarySearchFunc(us, off, func(u *unit, off uint64) int { return compare(u.unit, off) })
	if !found {
		i--
	}
	if i < 0 || off < us[i].dies || off >= us[i].end {
		return nil
	}
	return d.unit(us[i].unit)
}

// entry calls f for each attribute of the entry at off, and returns its tag. It reads only the entry, not the unit.
func (d *Data) entry(u *unit, off uint64, f func(at uint16, v value)) (tag uint16, ok bool) {
	t, ok := d.abbrevsAt(u.abbrevs)
	if !ok || off < u.dies || off >= u.end {
		return 0, false
	}
	for _, n := range []uint64{256, 64 << 10} {
		b := d.readSome(d.s.Info, off, min(n, u.end-off))
		c := &cursor{b: b, order: d.order}
		a := t.get(c.uleb())
		if a == nil {
			return 0, false
		}
		e := u.encoding
		e.base = off
		values := make([]value, len(a.attrs))
		for i, x := range a.attrs {
			values[i] = e.value(c, x.form, x.value)
		}
		if c.bad && uint64(len(b)) == n {
			continue // the entry is longer
		}
		if c.bad {
			return 0, false
		}
		for i, x := range a.attrs {
			f(x.at, values[i])
		}
		return a.tag, true
	}
	return 0, false
}

// parseRoot reads the first entry of a unit.
func (d *Data) parseRoot(u *unit) {
	u.strOffsets, u.addrBase = uint64(2*u.offsetSize()), 8 // defaults for a file that has one unit: 7.26, 7.27
	if u.version >= 5 {
		u.rnglists = 12
	}
	var low, high, ranges value
	_, ok := d.entry(u, u.dies, func(at uint16, v value) {
		switch at {
		case atName:
			u.name = v
		case atCompDir:
			u.compDir = v
		case atStmtList:
			u.stmtList = v
		case atLowPC:
			low = v
		case atHighPC:
			high = v
		case atRanges:
			ranges = v
		case atStrOffsetsBase:
			u.strOffsets = v.n
		case atAddrBase:
			u.addrBase = v.n
		case atRnglistsBase:
			u.rnglists = v.n
		case atDwoName, atGNUDwoName:
			d.Split = true
		}
	})
	if !ok {
		return
	}
	u.low, _ = d.address(u, low)
	u.ranges = d.pcRanges(u, nil, low, high, ranges, maxRanges)
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// string returns the string that v stands for, or "".
func (d *Data) string(u *unit, inline Section, v value) string {
	switch v.class {
	case classInline:
		return d.text(inline, v.n)
	case classStr:
		return d.text(d.s.Str, v.n)
	case classLineStr:
		return d.text(d.s.LineStr, v.n)
	case classStrx:
		size := uint64(u.offsetSize())
		if v.n > 1<<40 {
			return ""
		}
		c := &cursor{b: d.read(d.s.StrOffsets, u.strOffsets+v.n*size, size), order: d.order}
		if off := c.offset(u.is64); !c.bad {
			return d.text(d.s.Str, off)
		}
	case classAltStr:
		if d.Supplement != nil {
			return d.text(d.Supplement.s.Str, v.n)
		}
		d.Alt = true
	}
	return ""
}
