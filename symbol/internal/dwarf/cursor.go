package dwarf

import "encoding/binary"

// cursor reads numbers from bytes. A read past the end returns 0 and sets bad permanently: callers check bad once, at the end.
type cursor struct {
	b     []byte
	off   int
	bad   bool
	order binary.ByteOrder
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)-c.off) {
		c.bad = true
		return nil
	}
	b := c.b[c.off : c.off+int(n)]
	c.off += int(n)
	return b
}

// left returns how many bytes remain.
func (c *cursor) left() int {
	if c.bad {
		return 0
	}
	return len(c.b) - c.off
}

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return c.order.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return c.order.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return c.order.Uint64(b)
	}
	return 0
}

// uint reads a number of size 1, 2, 3, 4 or 8 bytes.
func (c *cursor) uint(size int) uint64 {
	switch size {
	case 1:
		return uint64(c.u8())
	case 2:
		return uint64(c.u16())
	case 3:
		b := c.take(3)
		if b == nil {
			return 0
		}
		if c.order.Uint16([]byte{1, 0}) == 1 {
			return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
		}
		return uint64(b[2]) | uint64(b[1])<<8 | uint64(b[0])<<16
	case 4:
		return uint64(c.u32())
	case 8:
		return c.u64()
	}
	c.bad = true
	return 0
}

// offset reads an offset of the 32-bit or 64-bit DWARF format.
func (c *cursor) offset(is64 bool) uint64 {
	if is64 {
		return c.u64()
	}
	return uint64(c.u32())
}

// length reads an initial length: DWARF 5, section 7.4.
func (c *cursor) length() (n uint64, is64 bool) {
	n = uint64(c.u32())
	if n == 0xffffffff {
		return c.u64(), true
	}
	if n >= 0xfffffff0 {
		c.bad = true
	}
	return n, false
}

func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if c.bad || c.off >= len(c.b) || shift > 70 {
			c.bad = true
			return 0
		}
		b := c.b[c.off]
		c.off++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		if c.bad || c.off >= len(c.b) || shift > 70 {
			c.bad = true
			return 0
		}
		b := c.b[c.off]
		c.off++
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// skipString moves past the next NUL.
func (c *cursor) skipString() {
	for !c.bad {
		if c.off >= len(c.b) {
			c.bad = true
			return
		}
		c.off++
		if c.b[c.off-1] == 0 {
			return
		}
	}
}
