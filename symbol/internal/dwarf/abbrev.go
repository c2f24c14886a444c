package dwarf

// attr is an attribute of an abbreviation: its name, and the form of its value.
type attr struct {
	at, form uint16
	value    int64 // of DW_FORM_implicit_const
}

// abbrev describes the entries that have one code.
type abbrev struct {
	tag      uint16
	children bool
	attrs    []attr
}

// abbrevTable has the abbreviations of a unit. Codes are usually 1, 2, 3…, which are in the slice at code-1.
type abbrevTable struct {
	dense []abbrev
	other map[uint64]abbrev
}

func (t *abbrevTable) get(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	if a, ok := t.other[code]; ok {
		return &a
	}
	return nil
}

// abbrevsAt returns the abbreviation table at an offset of .debug_abbrev.
func (d *Data) abbrevsAt(off uint64) (abbrevTable, bool) {
	if t, ok := d.abbrevs[off]; ok {
		return t, true
	}
	for n := uint64(4096); n <= 4<<20; n *= 4 {
		b := d.readSome(d.s.Abbrev, off, n)
		if d.abbrevBytes += len(b); d.abbrevBytes > maxAbbrevs {
			return abbrevTable{}, false
		}
		c := &cursor{b: b, order: d.order}
		if t, ok := parseAbbrevs(c); ok {
			if d.abbrevKept += c.off; len(d.abbrevs) >= 64 || d.abbrevKept > 8<<20 { // units that share a table are adjacent
				clear(d.abbrevs)
				d.abbrevKept = c.off
			}
			d.abbrevs[off] = t
			return t, true
		}
		if uint64(len(b)) < n {
			break
		}
	}
	return abbrevTable{}, false
}

// parseAbbrevs reads a table up to code 0: 7.5.3. It reports whether the table was complete.
func parseAbbrevs(c *cursor) (t abbrevTable, ok bool) {
	var attrs []attr
	for {
		code := c.uleb()
		if c.bad {
			return t, false
		}
		if code == 0 {
			return t, true
		}
		a := abbrev{tag: uint16(c.uleb()), children: c.u8() != 0}
		first := len(attrs)
		for {
			at, form := c.uleb(), c.uleb()
			if at == 0 && form == 0 {
				break
			}
			x := attr{at: uint16(min(at, 0xffff)), form: uint16(min(form, 0xffff))}
			if form == formImplicitConst {
				x.value = c.sleb()
			}
			attrs = append(attrs, x)
		}
		if c.bad {
			return t, false
		}
		a.attrs = attrs[first:len(attrs):len(attrs)]
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
			continue
		}
		if t.other == nil {
			t.other = map[uint64]abbrev{}
		}
		if _, has := t.other[code]; !has && t.get(code) == nil {
			t.other[code] = a
		}
	}
}
