package dwarf

import (
	"cmp"
	"slices"
	"strings"
)

// row says which line code from an address on is of.
type row struct {
	addr       uint64
	file, line uint32
}

// sequence is a run of rows without a gap.
type sequence struct {
	span
	first, n int
}

// entryName is the name of a file or folder in a line table, not read yet.
type entryName struct {
	name value
	dir  uint64
}

// lineTable is the decoded line program of a unit: 6.2.
type lineTable struct {
	version   uint16
	dirs      []entryName
	files     []entryName
	rows      []row
	sequences []sequence

	minInst, opcodeBase, lineRange uint8
	lineBase                       int8
	lengths                        []uint8 // number of operands of standard opcodes
}

// line returns the file and line of the code at addr.
func (d *Data) line(u *unit, addr uint64) (file string, line int) {
	t := d.lineTable(u)
	if t == nil {
		return "", 0
	}
	i, _ := slices.BinarySearchFunc(t.sequences, addr, func(s sequence, addr uint64) int {
		if s.lo <= addr {
			return -1
		}
		return 1
	})
	for n := 0; i > 0 && n < 64; n++ {
		i--
		s := t.sequences[i]
		if addr >= s.hi {
			continue
		}
		rows := t.rows[s.first : s.first+s.n]
		j, _ := slices.BinarySearchFunc(rows, addr, func(r row, addr uint64) int {
			if r.addr <= addr {
				return -1
			}
			return 1
		})
		if j > 0 {
			r := rows[j-1]
			return d.fileName(u, uint64(r.file)), int(r.line)
		}
	}
	return "", 0
}

// fileName returns the path of a file of a unit's line table.
func (d *Data) fileName(u *unit, file uint64) string {
	t := d.lineTable(u)
	if t == nil {
		return ""
	}
	if t.version < 5 {
		if file == 0 {
			return ""
		}
		file--
	}
	if file >= uint64(len(t.files)) {
		return ""
	}
	f := t.files[file]
	name := d.string(u, d.s.Line, f.name)
	if name == "" || isAbs(name) {
		return name
	}
	return join(d.dirName(u, t, f.dir), name)
}

// dirName returns the path of a folder. Folder 0 is that of the compilation, which others are relative to.
func (d *Data) dirName(u *unit, t *lineTable, dir uint64) string {
	top := func() string { return d.string(u, d.s.Info, u.compDir) }
	if t.version < 5 {
		if dir == 0 {
			return top()
		}
		dir--
	}
	if dir >= uint64(len(t.dirs)) {
		return ""
	}
	name := d.string(u, d.s.Line, t.dirs[dir].name)
	if isAbs(name) {
		return name
	}
	if t.version >= 5 && dir != 0 {
		if base := d.string(u, d.s.Line, t.dirs[0].name); isAbs(base) {
			return join(base, name)
		}
	}
	return join(top(), name)
}

func isAbs(path string) bool {
	return strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\`) ||
		len(path) > 2 && path[1] == ':' && (path[2] == '/' || path[2] == '\\')
}

func join(dir, name string) string {
	switch {
	case dir == "":
		return name
	case name == "":
		return dir
	case len(dir)+len(name) >= MaxString:
		return name
	case strings.HasSuffix(dir, "/"):
		return dir + name
	}
	return dir + "/" + name
}

// lineTable returns the line table of a unit, or nil. If more rows are kept than the limit, those of other units are dropped.
func (d *Data) lineTable(u *unit) *lineTable {
	if u.gotLines {
		return u.lines
	}
	if d.rows > maxRows/4 {
		for _, other := range d.byOffset {
			other.lines, other.gotLines = nil, false
		}
		d.rows = 0
	}
	u.gotLines = true
	if u.stmtList.class != classOffset && u.stmtList.class != classConst {
		return nil
	}
	head := &cursor{b: d.readSome(d.s.Line, u.stmtList.n, 12), order: d.order}
	n, is64 := head.length()
	if head.bad {
		return nil
	}
	at := u.stmtList.n + uint64(head.off)
	c := &cursor{b: d.read(d.s.Line, at, n), order: d.order}
	if c.b == nil {
		return nil
	}
	u.lines = parseLines(c, encoding{addrSize: u.addrSize, is64: is64, base: at})
	if u.lines != nil {
		d.rows += len(u.lines.rows) + len(u.lines.files) + len(u.lines.dirs)
	}
	return u.lines
}

// parseLines reads a header, 6.2.4, and runs the program.
func parseLines(c *cursor, e encoding) *lineTable {
	t := &lineTable{version: c.u16()}
	e.version = t.version
	if t.version < 2 || t.version > 5 {
		return nil
	}
	if t.version >= 5 {
		e.addrSize = c.u8()
		c.u8() // segment selectors
	}
	n := c.offset(e.is64)
	program := uint64(c.off) + n
	t.minInst = c.u8()
	if t.version >= 4 {
		c.u8() // operations per instruction, of VLIW machines
	}
	c.u8() // default_is_stmt
	t.lineBase, t.lineRange, t.opcodeBase = int8(c.u8()), c.u8(), c.u8()
	t.lengths = c.take(uint64(max(t.opcodeBase, 1)) - 1)
	if t.version >= 5 {
		t.dirs = e.entries(c)
		t.files = e.entries(c)
	} else {
		t.dirs = e.oldEntries(c, false)
		t.files = e.oldEntries(c, true)
	}
	if c.bad || t.lineRange == 0 || program < n || program > uint64(len(c.b)) {
		return nil
	}
	c.off = int(program)
	t.run(c, int(e.addrSize))
	slices.SortStableFunc(t.sequences, func(a, b sequence) int { return cmp.Compare(a.lo, b.lo) })
	return t
}

// entries reads a list of folders or files of version 5.
func (e *encoding) entries(c *cursor) []entryName {
	type field struct{ what, form uint64 }
	var format []field
	for range c.u8() {
		format = append(format, field{c.uleb(), c.uleb()})
	}
	count := c.uleb()
	if count > maxFiles {
		c.bad = true
	}
	var to []entryName
	for range count {
		var f entryName
		before := c.off
		for _, x := range format {
			v := e.value(c, uint16(min(x.form, 0xffff)), 0)
			switch x.what {
			case 1: // DW_LNCT_path
				f.name = v
			case 2: // DW_LNCT_directory_index
				f.dir = v.n
			}
		}
		if c.bad || c.off == before {
			break
		}
		to = append(to, f)
	}
	return to
}

// oldEntries reads a list of folders or files up to version 4.
func (e *encoding) oldEntries(c *cursor, files bool) []entryName {
	var to []entryName
	for !c.bad && len(to) < maxFiles {
		start := c.off
		f := entryName{name: value{classInline, e.base + uint64(start)}}
		c.skipString()
		if c.bad || c.off == start+1 {
			break
		}
		if files {
			f.dir = c.uleb()
			c.uleb() // time
			c.uleb() // size
		}
		to = append(to, f)
	}
	return to
}
