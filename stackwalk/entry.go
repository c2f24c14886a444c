package stackwalk

import "strings"

// maxEntry is the maximum size in bytes of a CIE or FDE that is accepted. The largest of real programs have several thousand.
const maxEntry = 1 << 20

// cie is a common information entry: what many functions share.
type cie struct {
	version   byte
	codeAlign uint64
	dataAlign int64
	ra        uint64 // DWARF number of the column that contains the return address
	sized     bool   // augmentation 'z': FDEs contain the length of their augmentation data
	signal    bool   // augmentation 'S': the kernel's signal frame
	encoding  byte   // of addresses in FDEs
	ptr       int    // size of an address in bytes
	program   []byte
	programAt uint64
}

// fde is a frame description entry: how to unwind from each address of one function.
type fde struct {
	*cie
	start, end uint64 // link-time addresses
	program    []byte
	programAt  uint64
}

// entry is a CIE or an FDE whose content has not been parsed.
type entry struct {
	cursor
	next  uint64 // address of the next entry
	isCIE bool
	cie   uint64 // address of its CIE
}

// entryAt reads the header of the entry at addr. more is false at the end of the table.
func (t *frameTable) entryAt(addr uint64) (e entry, more bool) {
	var head [12]byte
	n := t.read(addr, head[:])
	if n < 4 {
		return e, false
	}
	size, at, wide := uint64(t.order.Uint32(head[:])), uint64(4), false
	if size == 0xffffffff && n == 12 {
		size, at, wide = t.order.Uint64(head[4:]), 12, true
	}
	if size == 0 || size > maxEntry {
		return e, false
	}
	body := make([]byte, size)
	if t.read(addr+at, body) < len(body) {
		return e, false
	}
	e.cursor = cursor{b: body, addr: addr + at, order: t.order, ptr: t.ptr}
	e.next = addr + at + size
	idSize := 4
	if wide && t.debug { // in .eh_frame the ID always has 4 bytes (LSB Core 10.6.1.1)
		idSize = 8
	}
	id := e.uint(idSize)
	switch {
	case t.debug:
		e.isCIE, e.cie = id == 1<<(8*idSize)-1, id
	default:
		e.isCIE, e.cie = id == 0, addr+at-id
	}
	return e, !e.bad
}

// cieAt parses the CIE at addr; it returns nil if there is no valid one.
func (t *frameTable) cieAt(addr uint64) *cie {
	if c, ok := t.cies[addr]; ok {
		return c
	}
	const most = 1 << 16 // entries of the cache; a program has some dozens of CIEs
	if t.cies == nil || len(t.cies) >= most {
		t.cies = make(map[uint64]*cie)
	}
	c := t.parseCIE(addr)
	t.cies[addr] = c
	return c
}

func (t *frameTable) parseCIE(addr uint64) *cie {
	e, ok := t.entryAt(addr)
	if !ok || !e.isCIE {
		return nil
	}
	c := &cie{version: e.u8(), ptr: t.ptr}
	if c.version != 1 && c.version != 3 && c.version != 4 {
		return nil
	}
	augmentation := e.text()
	if c.version == 4 {
		c.ptr = int(e.u8())
		if segment := e.u8(); segment != 0 || c.ptr != 4 && c.ptr != 8 {
			return nil
		}
		e.ptr = c.ptr
	}
	if strings.HasPrefix(augmentation, "eh") { // g++ 2
		e.take(uint64(e.ptr))
		augmentation = augmentation[2:]
	}
	c.codeAlign, c.dataAlign = e.uleb(), e.sleb()
	if c.version == 1 {
		c.ra = uint64(e.u8())
	} else {
		c.ra = e.uleb()
	}
	if !c.augment(&e.cursor, augmentation, t.hdr) {
		return nil
	}
	c.programAt = e.addr + uint64(e.at)
	c.program = e.b[e.at:]
	return c
}

// augment reads the augmentation data. It returns false if an unknown augmentation makes the rest of the entry unreadable.
func (c *cie) augment(e *cursor, augmentation string, data uint64) bool {
	end := -1
	for i, letter := range augmentation {
		switch letter {
		case 'z':
			if i != 0 {
				return false
			}
			c.sized = true
			n := e.uleb()
			if e.bad || n > uint64(len(e.b)-e.at) {
				return false
			}
			end = e.at + int(n)
		case 'R':
			c.encoding = e.u8()
		case 'L':
			e.u8()
		case 'P':
			enc := e.u8()
			if enc != peOmit {
				e.pointer(enc, data)
			}
		case 'S':
			c.signal = true
		case 'B', 'G': // arm64: return addresses are signed with key B, memory is tagged
		default:
			if end < 0 {
				return false
			}
			e.at = end
			return !e.bad
		}
	}
	if end >= 0 && !e.bad {
		e.at = end
	}
	return !e.bad
}

// fdeAt parses the FDE at addr. ok is false if there is no valid one.
func (t *frameTable) fdeAt(addr uint64) (f fde, ok bool) {
	e, ok := t.entryAt(addr)
	if !ok || e.isCIE {
		return f, false
	}
	return t.parseFDE(&e)
}

func (t *frameTable) parseFDE(e *entry) (f fde, ok bool) {
	f.cie = t.cieAt(e.cie)
	if f.cie == nil {
		return f, false
	}
	e.ptr = f.ptr
	start, ok := e.pointer(f.encoding, t.hdr)
	if !ok {
		return f, false
	}
	size, ok := e.pointer(f.encoding&0x0f, 0)
	if !ok || start+size < start {
		return f, false
	}
	f.start, f.end = start, start+size
	if f.sized {
		e.take(e.uleb())
	}
	f.programAt = e.addr + uint64(e.at)
	f.program = e.b[e.at:]
	return f, !e.bad
}
