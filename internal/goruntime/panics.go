package goruntime

import (
	"math"
	"strconv"
)

// Flags of a panic.
const (
	panicFlagRecovered  = 1 << 0
	panicFlagRepanicked = 1 << 1
	panicFlagGoexit     = 1 << 2
)

// readPanics reads the panics in progress. There are few. A process that is dying of one has replaced values that
// have an Error or String method with what that method returned (runtime.preprintpanics).
func (k *capturer) readPanics() {
	c, w := k.Capture, int(k.Program.word)
	if !k.off.has(panicArg) || !k.off.has(panicLink) {
		return
	}
	size := int(min(k.off.size[typePanic], 512))
	goroutines := 0
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if g.panic == 0 || g.flags&flagSecret != 0 {
			continue
		}
		if goroutines++; goroutines > maxPanicking {
			return
		}
		if c.panics == nil {
			if c.panics = alloc[panicRecord](k.space, maxPanicking*maxPanics); c.panics == nil {
				return
			}
			c.panics = c.panics[:0]
		}
		last := int32(-1)
		for at, n := g.panic, 0; at != 0 && n < maxPanics; n++ {
			b := k.buf[:size]
			if k.mem.Read(at, b) != size {
				break
			}
			var p panicRecord
			p.next = -1
			for _, f := range [...]struct {
				k    field
				flag uint8
			}{{panicRecovered, panicFlagRecovered}, {panicRepanicked, panicFlagRepanicked}, {panicGoexit, panicFlagGoexit}} {
				if k.byteOf(b, f.k) != 0 {
					p.flags |= f.flag
				}
			}
			typ, data := k.ptrOf(b, panicArg), k.ptrIn(b, panicArg, int32(w))
			at = k.ptrOf(b, panicLink)
			if p.flags&panicFlagGoexit == 0 {
				k.readValue(&p, typ, data)
			}
			c.panics = append(c.panics, p) // within capacity
			if last < 0 {
				g.firstPanic = int32(len(c.panics) - 1)
			} else {
				c.panics[last].next = int32(len(c.panics) - 1)
			}
			last = int32(len(c.panics) - 1)
		}
	}
}

// readValue records the name of the dynamic type of an interface value, and a text for its value.
func (k *capturer) readValue(p *panicRecord, typ, data uint64) {
	if typ == 0 {
		p.value = k.putText("nil")
		return
	}
	l := k.layout()
	b := k.buf[:l.size+4*k.Program.word]
	if k.mem.Read(typ, b) < int(l.size) {
		return
	}
	kind := b[l.kind] & kindMask
	p.typ = k.typeName(typ, b, &l)
	switch kind {
	case kindPointer:
		elem := k.ptr(b[l.elem:])
		if k.mem.Read(elem, b) < int(l.size) || b[l.kind]&kindMask != kindStruct || !k.stringFirst(b, &l) {
			p.value = k.putHex(data)
			return
		}
		p.value = k.readString(data)
	case kindStruct:
		if k.stringFirst(b, &l) {
			p.value = k.readString(data)
		}
	case kindString:
		p.value = k.readString(data)
	default:
		p.value = k.readNumber(kind, data)
	}
}

// typeName reads the name of the type at typ. b holds the start of its descriptor.
func (k *capturer) typeName(typ uint64, b []byte, l *typeLayout) textSpan {
	str, star := uint64(k.u32(b[l.str:])), b[l.tflag]&tflagExtraStar != 0
	for i := range k.modules[:k.nmodules] {
		m := &k.modules[i]
		if typ < m.types || typ >= m.etypes {
			continue
		}
		head := k.buf[1024:1028]
		if k.mem.Read(m.types+str, head) != len(head) {
			return textSpan{}
		}
		n, skip := uint64(head[1]), uint64(2)
		if n >= 0x80 {
			n, skip = n&0x7f|uint64(head[2]&0x7f)<<7, 3
		}
		s := k.textSpace(min(n, 512))
		if s.len == 0 {
			return s
		}
		t := k.textOf(s)
		if k.mem.Read(m.types+str+skip, t) != len(t) {
			clear(t)
		}
		if star && t[0] == '*' {
			s.off++
			s.len--
		}
		return s
	}
	return textSpan{}
}

// stringFirst reports whether the first field of a struct is a string, as in the type of errors.New and most error types.
func (k *capturer) stringFirst(b []byte, l *typeLayout) bool {
	w := k.Program.word
	at, n := k.ptr(b[l.fields:]), k.ptr(b[l.numFields:])
	if n == 0 || n > 1<<16 {
		return false
	}
	f := k.buf[1024 : 1024+3*w]
	if k.mem.Read(at, f) != len(f) || k.ptr(f[2*w:]) != 0 {
		return false
	}
	t := k.buf[2048 : 2048+l.size]
	return k.mem.Read(k.ptr(f[w:]), t) == len(t) && t[l.kind]&kindMask == kindString
}

// readString reads the string whose header is at addr.
func (k *capturer) readString(addr uint64) textSpan {
	w := k.Program.word
	h := k.buf[1024 : 1024+2*w]
	if k.mem.Read(addr, h) != len(h) {
		return textSpan{}
	}
	s := k.textSpace(min(k.ptr(h[w:]), maxPanicText))
	if s.len > 0 {
		t := k.textOf(s)
		s.len = uint32(max(0, k.mem.Read(k.ptr(h), t)))
	}
	return s
}

// readNumber reads a value of a basic type.
func (k *capturer) readNumber(kind byte, data uint64) textSpan {
	size := uint64(0)
	switch kind {
	case kindBool, kindInt8, kindUint8:
		size = 1
	case kindInt16, kindUint16:
		size = 2
	case kindInt32, kindUint32, kindFloat32:
		size = 4
	case kindInt64, kindUint64, kindFloat64:
		size = 8
	case kindInt, kindUint, kindUintptr:
		size = k.Program.word
	default:
		return k.putHex(data)
	}
	b := k.buf[1024 : 1024+size]
	if k.mem.Read(data, b) != len(b) {
		return textSpan{}
	}
	var v uint64
	switch size {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(k.u16(b))
	case 4:
		v = uint64(k.u32(b))
	case 8:
		v = k.u64(b)
	}
	out := k.buf[1100:1100:1200]
	switch kind {
	case kindBool:
		out = strconv.AppendBool(out, v != 0)
	case kindInt, kindInt8, kindInt16, kindInt32, kindInt64:
		shift := 64 - 8*size
		out = strconv.AppendInt(out, int64(v<<shift)>>shift, 10)
	case kindFloat32:
		out = strconv.AppendFloat(out, float64(math.Float32frombits(uint32(v))), 'g', -1, 32)
	case kindFloat64:
		out = strconv.AppendFloat(out, math.Float64frombits(v), 'g', -1, 64)
	default:
		out = strconv.AppendUint(out, v, 10)
	}
	s := k.textSpace(uint64(len(out)))
	if s.len > 0 {
		copy(k.textOf(s), out)
	}
	return s
}

func (k *capturer) putHex(v uint64) textSpan {
	out := strconv.AppendUint(append(k.buf[1100:1100:1200], "0x"...), v, 16)
	s := k.textSpace(uint64(len(out)))
	if s.len > 0 {
		copy(k.textOf(s), out)
	}
	return s
}

func (k *capturer) putText(t string) textSpan {
	s := k.textSpace(uint64(len(t)))
	if s.len > 0 {
		copy(k.textOf(s), t)
	}
	return s
}
