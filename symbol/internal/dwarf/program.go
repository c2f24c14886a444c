package dwarf

// state holds the registers of the line program: 6.2.2.
type state struct {
	row
	first int // first row of the sequence
}

// run executes a line program: 6.2.5.
func (t *lineTable) run(c *cursor, addrSize int) {
	s := state{row: row{file: 1, line: 1}}
	for c.left() > 0 && len(t.rows) < maxRows {
		op := c.u8()
		switch {
		case op >= t.opcodeBase:
			op -= t.opcodeBase
			s.addr += uint64(op/t.lineRange) * uint64(t.minInst)
			s.line += uint32(int32(t.lineBase) + int32(op%t.lineRange))
			t.rows = append(t.rows, s.row)
		case op == 0:
			t.extended(c, &s, addrSize)
		default:
			t.standard(c, &s, op)
		}
	}
}

// standard executes a standard opcode: 6.2.5.2.
func (t *lineTable) standard(c *cursor, s *state, op uint8) {
	switch op {
	case 1: // DW_LNS_copy
		t.rows = append(t.rows, s.row)
	case 2: // DW_LNS_advance_pc
		s.addr += c.uleb() * uint64(t.minInst)
	case 3: // DW_LNS_advance_line
		s.line += uint32(c.sleb())
	case 4: // DW_LNS_set_file
		s.file = uint32(min(c.uleb(), 1<<32-1))
	case 8: // DW_LNS_const_add_pc
		s.addr += uint64((255-t.opcodeBase)/t.lineRange) * uint64(t.minInst)
	case 9: // DW_LNS_fixed_advance_pc
		s.addr += uint64(c.u16())
	default: // not needed here, or unknown
		if int(op) > len(t.lengths) {
			c.bad = true
			return
		}
		for range t.lengths[op-1] {
			c.uleb()
		}
	}
}

// extended executes an extended opcode: 6.2.5.3.
func (t *lineTable) extended(c *cursor, s *state, addrSize int) {
	n := c.uleb()
	args := c.take(n)
	if len(args) == 0 {
		return
	}
	switch args[0] {
	case 1: // DW_LNE_end_sequence
		t.end(s)
		*s = state{row: row{file: 1, line: 1}, first: len(t.rows)}
	case 2: // DW_LNE_set_address
		a := &cursor{b: args[1:], order: c.order}
		if size := len(args) - 1; size == 2 || size == 4 || size == 8 {
			addrSize = size
		}
		s.addr = a.uint(addrSize)
	}
}

// end closes a sequence. A sequence that starts at 0 or 1 belongs to a function that the linker dropped.
func (t *lineTable) end(s *state) {
	rows := t.rows[s.first:]
	if len(rows) == 0 {
		return
	}
	if lo := rows[0].addr; lo > 1 && lo < s.addr {
		t.sequences = append(t.sequences, sequence{span{lo, s.addr}, s.first, len(rows)})
		return
	}
	t.rows = t.rows[:s.first]
}
