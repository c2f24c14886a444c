package dwarf

// Forms: 7.5.6, and GNU's.
const (
	formAddr          = 0x01
	formBlock2        = 0x03
	formBlock4        = 0x04
	formData2         = 0x05
	formData4         = 0x06
	formData8         = 0x07
	formString        = 0x08
	formBlock         = 0x09
	formBlock1        = 0x0a
	formData1         = 0x0b
	formFlag          = 0x0c
	formSdata         = 0x0d
	formStrp          = 0x0e
	formUdata         = 0x0f
	formRefAddr       = 0x10
	formRef1          = 0x11
	formRef2          = 0x12
	formRef4          = 0x13
	formRef8          = 0x14
	formRefUdata      = 0x15
	formIndirect      = 0x16
	formSecOffset     = 0x17
	formExprloc       = 0x18
	formFlagPresent   = 0x19
	formStrx          = 0x1a
	formAddrx         = 0x1b
	formRefSup4       = 0x1c
	formStrpSup       = 0x1d
	formData16        = 0x1e
	formLineStrp      = 0x1f
	formRefSig8       = 0x20
	formImplicitConst = 0x21
	formLoclistx      = 0x22
	formRnglistx      = 0x23
	formRefSup8       = 0x24
	formStrx1         = 0x25
	formStrx2         = 0x26
	formStrx3         = 0x27
	formStrx4         = 0x28
	formAddrx1        = 0x29
	formAddrx2        = 0x2a
	formAddrx3        = 0x2b
	formAddrx4        = 0x2c
	formGNUAddrIndex  = 0x1f01
	formGNUStrIndex   = 0x1f02
	formGNURefAlt     = 0x1f20
	formGNUStrpAlt    = 0x1f21
)

// class says what the number in a value means.
type class uint8

const (
	classNone    class = iota // no value, or one that is not used
	classConst                // the constant itself
	classAddr                 // an address
	classAddrx                // an index into .debug_addr
	classInline               // an offset of a string in the section being read
	classStr                  // an offset in .debug_str
	classLineStr              // an offset in .debug_line_str
	classStrx                 // an index into .debug_str_offsets
	classRef                  // an offset in .debug_info
	classOffset               // an offset in another section
	classRnglist              // an index into the range lists
	classAlt                  // an offset in .debug_info of the supplement
	classAltStr               // an offset in .debug_str of the supplement
)

// value is the value of an attribute.
type value struct {
	class class
	n     uint64
}

// encoding holds what determines the length of values.
type encoding struct {
	version  uint16
	addrSize uint8
	is64     bool
	unit     uint64 // offset of the unit in .debug_info
	base     uint64 // offset in its section of the first byte of the cursor
}

func (e *encoding) offsetSize() int {
	if e.is64 {
		return 8
	}
	return 4
}

// value reads a value.
func (e *encoding) value(c *cursor, form uint16, implicit int64) value {
	for range 4 { // DW_FORM_indirect may refer to itself
		if form != formIndirect {
			break
		}
		form = uint16(min(c.uleb(), 0xffff))
	}
	switch form {
	case formAddr:
		return value{classAddr, c.uint(int(e.addrSize))}
	case formData1, formFlag:
		return value{classConst, uint64(c.u8())}
	case formData2:
		return value{classConst, uint64(c.u16())}
	case formData4:
		return e.oldOffset(4, uint64(c.u32()))
	case formData8:
		return e.oldOffset(8, c.u64())
	case formSdata:
		return value{classConst, uint64(c.sleb())}
	case formUdata:
		return value{classConst, c.uleb()}
	case formFlagPresent:
		return value{classConst, 1}
	case formImplicitConst:
		return value{classConst, uint64(implicit)}
	case formSecOffset:
		return value{classOffset, c.offset(e.is64)}
	case formRnglistx:
		return value{classRnglist, c.uleb()}
	case formExprloc, formBlock:
		c.take(c.uleb())
	case formBlock1:
		c.take(uint64(c.u8()))
	case formBlock2:
		c.take(uint64(c.u16()))
	case formBlock4:
		c.take(uint64(c.u32()))
	case formData16:
		c.take(16)
	case formRefSig8:
		c.take(8)
	case formLoclistx:
		c.uleb()
	default:
		if v, ok := e.text(c, form); ok {
			return v
		}
		return e.reference(c, form)
	}
	return value{}
}

// oldOffset returns the value of a DW_FORM_data4 or data8: before version 4 these were also offsets in sections.
// Readers of constants accept both classes.
func (e *encoding) oldOffset(size int, n uint64) value {
	if e.version < 4 && size == e.offsetSize() {
		return value{classOffset, n}
	}
	return value{classConst, n}
}

// text reads the forms of strings.
func (e *encoding) text(c *cursor, form uint16) (value, bool) {
	switch form {
	case formString:
		off := e.base + uint64(c.off)
		c.skipString()
		return value{classInline, off}, true
	case formStrp:
		return value{classStr, c.offset(e.is64)}, true
	case formLineStrp:
		return value{classLineStr, c.offset(e.is64)}, true
	case formStrx, formGNUStrIndex:
		return value{classStrx, c.uleb()}, true
	case formStrx1, formStrx2, formStrx3, formStrx4:
		return value{classStrx, c.uint(int(form - formStrx1 + 1))}, true
	case formStrpSup, formGNUStrpAlt:
		return value{classAltStr, c.offset(e.is64)}, true
	}
	return value{}, false
}

// reference reads the forms of references and of indexed addresses. An unknown form is an error, because its length is unknown.
func (e *encoding) reference(c *cursor, form uint16) value {
	switch form {
	case formRef1, formRef2:
		return value{classRef, e.unit + c.uint(int(form-formRef1+1))}
	case formRef4:
		return value{classRef, e.unit + uint64(c.u32())}
	case formRef8:
		return value{classRef, e.unit + c.u64()}
	case formRefUdata:
		return value{classRef, e.unit + c.uleb()}
	case formRefAddr:
		if e.version < 3 {
			return value{classRef, c.uint(int(e.addrSize))}
		}
		return value{classRef, c.offset(e.is64)}
	case formAddrx, formGNUAddrIndex:
		return value{classAddrx, c.uleb()}
	case formAddrx1, formAddrx2, formAddrx3, formAddrx4:
		return value{classAddrx, c.uint(int(form - formAddrx1 + 1))}
	case formGNURefAlt:
		return value{classAlt, c.offset(e.is64)}
	case formRefSup4:
		return value{classAlt, uint64(c.u32())}
	case formRefSup8:
		return value{classAlt, c.u64()}
	}
	c.bad = true
	return value{}
}
