package stackwalk

import "encoding/binary"

// cursor reads numbers from the bytes of a table. After a read past the end, bad is set and every number is 0.
type cursor struct {
	b     []byte
	addr  uint64 // of b[0], for addresses that are relative to their own position
	at    int
	order binary.ByteOrder
	ptr   int // size of an address in bytes
	bad   bool
}

func (c *cursor) more() bool { return !c.bad && c.at < len(c.b) }

// take returns the next n bytes, or nil if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)-c.at) {
		c.bad = true
		return nil
	}
	b := c.b[c.at : c.at+int(n)]
	c.at += int(n)
	return b
}

func (c *cursor) uint(size int) uint64 {
	b := c.take(uint64(size))
	if b == nil {
		return 0
	}
	return number(b, c.order)
}

func (c *cursor) int(size int) int64 {
	shift := 64 - 8*size
	return int64(c.uint(size)<<shift) >> shift
}

func (c *cursor) u8() byte { return byte(c.uint(1)) }

// uleb reads an unsigned LEB128 number. Bits above the 64th are dropped.
func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b&0x80 == 0 {
			return v
		}
	}
}

// sleb reads a signed LEB128 number.
func (c *cursor) sleb() int64 {
	var v uint64
	for shift := uint(0); ; {
		b := c.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		shift += 7
		if b&0x80 == 0 {
			if b&0x40 != 0 && shift < 64 {
				v |= ^uint64(0) << shift
			}
			return int64(v)
		}
	}
}

// text reads up to a NUL byte.
func (c *cursor) text() string {
	start := c.at
	for c.u8() != 0 {
	}
	if c.bad {
		return ""
	}
	return string(c.b[start : c.at-1])
}

// Pointer encodings (DW_EH_PE_…, LSB Core 10.5.1).
const (
	peAbsptr  = 0x00
	peUleb128 = 0x01
	peUdata2  = 0x02
	peUdata4  = 0x03
	peUdata8  = 0x04
	peSigned  = 0x08
	peSleb128 = 0x09
	peSdata2  = 0x0a
	peSdata4  = 0x0b
	peSdata8  = 0x0c

	pePcrel    = 0x10
	peDatarel  = 0x30
	peAligned  = 0x50
	peIndirect = 0x80
	peOmit     = 0xff
)

// pointer reads an encoded pointer. data is the base of peDatarel. ok is false for an encoding that is invalid here, and for
// peIndirect, which only personality routines have: even then the cursor moves past the pointer if it can.
func (c *cursor) pointer(enc byte, data uint64) (v uint64, ok bool) {
	if enc == peOmit {
		return 0, false
	}
	if enc&0x70 == peAligned {
		if pad := -(c.addr + uint64(c.at)) & uint64(c.ptr-1); pad > 0 {
			c.take(pad)
		}
		return c.uint(c.ptr), !c.bad && enc&peIndirect == 0
	}
	at := c.addr + uint64(c.at)
	switch enc & 0x0f {
	case peAbsptr:
		v = c.uint(c.ptr)
	case peSigned:
		v = uint64(c.int(c.ptr))
	case peUleb128:
		v = c.uleb()
	case peSleb128:
		v = uint64(c.sleb())
	case peUdata2, peUdata4, peUdata8:
		v = c.uint(1 << (enc&0x07 - 1))
	case peSdata2, peSdata4, peSdata8:
		v = uint64(c.int(1 << (enc&0x07 - 1)))
	default:
		c.bad = true
	}
	switch enc & 0x70 {
	case 0:
	case pePcrel:
		v += at
	case peDatarel:
		v += data
	default:
		return v, false
	}
	if c.ptr == 4 {
		v &= 1<<32 - 1
	}
	return v, !c.bad && enc&peIndirect == 0
}
