package symbol

import "encoding/binary"

// Magic numbers of the table (internal/abi/symtab.go, and debug/gosym/pclntab.go for older versions).
const (
	pclntab116 = 0xfffffffa
	pclntab118 = 0xfffffff0
	pclntab120 = 0xfffffff1
)

// pclntab is the table of functions and lines of a Go program: pcHeader and _func in runtime/symtab.go and runtime2.go. debug/gosym
// reads it too, but first creates objects for all functions, which a hostile table can use to make it allocate any amount of
// memory. This package reads what one lookup needs.
type pclntab struct {
	order   binary.ByteOrder
	quantum uint64 // of addresses
	ptr     int    // size of a pointer
	old     bool   // before Go 1.18: the entries of functions are addresses
	n       uint64 // functions
	text    uint64 // what entries are relative to

	names, units, files, values, functions []byte
}

// newPclntab reads the header of a table. text is the address of runtime.text.
func newPclntab(b []byte, o binary.ByteOrder, text uint64) *pclntab {
	if len(b) < 8 {
		return nil
	}
	t := &pclntab{order: o, quantum: uint64(b[6]), ptr: int(b[7]), text: text}
	words := 8
	switch o.Uint32(b) {
	case pclntab116:
		t.old, words, t.text = true, 7, 0
	case pclntab118, pclntab120:
	default:
		return nil
	}
	if t.ptr != 4 && t.ptr != 8 || len(b) < 8+words*t.ptr {
		return nil
	}
	word := func(i int) uint64 { return t.word(b[8+i*t.ptr:]) }
	parts := []*[]byte{&t.names, &t.units, &t.files, &t.values, &t.functions}
	for i, part := range parts {
		off := word(words - len(parts) + i)
		if off >= uint64(len(b)) {
			return nil
		}
		*part = b[off:]
	}
	t.n = word(0)
	if t.n == 0 || t.n >= uint64(len(t.functions))/uint64(2*t.width()) {
		return nil
	}
	return t
}

func (t *pclntab) word(b []byte) uint64 {
	if t.ptr == 4 {
		return uint64(t.order.Uint32(b))
	}
	return t.order.Uint64(b)
}

// width returns the size of a number in the list of functions.
func (t *pclntab) width() int {
	if t.old {
		return t.ptr
	}
	return 4
}

// entry returns the address of function i, and where it is described. Entry n is the end of the code.
func (t *pclntab) entry(i uint64) (addr, at uint64) {
	w := t.width()
	b := t.functions[2*uint64(w)*i:]
	if t.old {
		addr, at = t.word(b), t.word(b[w:])
		return addr, at
	}
	return t.text + uint64(t.order.Uint32(b)), uint64(t.order.Uint32(b[4:]))
}

// end returns the end of the code.
func (t *pclntab) end() uint64 {
	w := t.width()
	b := t.functions[2*uint64(w)*t.n:]
	if t.old {
		return t.word(b)
	}
	return t.text + uint64(t.order.Uint32(b))
}

// goFunction is a function in the table.
type goFunction struct {
	entry uint64
	b     []byte // _func, after its entry field
}

// find returns the function that contains an address.
func (t *pclntab) find(addr uint64) (f goFunction, ok bool) {
	if addr >= t.end() {
		return f, false
	}
	lo, hi := uint64(0), t.n
	for lo < hi {
		mid := (lo + hi) / 2
		if start, _ := t.entry(mid); start <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return f, false
	}
	start, at := t.entry(lo - 1)
	at += uint64(t.width())
	if start > addr || at > uint64(len(t.functions)) || uint64(len(t.functions))-at < 32 {
		return f, false
	}
	return goFunction{start, t.functions[at:]}, true
}

// Offsets in _func after the entry, in bytes.
const (
	funcName  = 0
	funcFiles = 16
	funcLines = 20
	funcUnit  = 28
)

// name returns the name of a function.
func (t *pclntab) name(f goFunction) string {
	return textAt(t.names, uint64(t.order.Uint32(f.b[funcName:])))
}

// line returns the file and line of an address in a function.
func (t *pclntab) line(f goFunction, addr uint64) (file string, line int) {
	n, ok := t.value(f, funcLines, addr)
	if !ok {
		return "", 0
	}
	line = int(n)
	if n, ok = t.value(f, funcFiles, addr); !ok || n < 0 {
		return "", line
	}
	at := 4 * (uint64(t.order.Uint32(f.b[funcUnit:])) + uint64(n))
	if at+4 > uint64(len(t.units)) {
		return "", line
	}
	return textAt(t.files, uint64(t.order.Uint32(t.units[at:]))), line
}

// value decodes a list of pairs up to an address. A pair is the change of a value and the number of code bytes for which it then holds.
func (t *pclntab) value(f goFunction, field int, addr uint64) (v int32, ok bool) {
	at := uint64(t.order.Uint32(f.b[field:]))
	if at == 0 || at >= uint64(len(t.values)) {
		return 0, false
	}
	b, pc := t.values[at:], f.entry
	v = -1
	for first := true; pc <= addr; first = false {
		change, n := binary.Uvarint(b)
		if n <= 0 || change == 0 && !first {
			return 0, false
		}
		v += int32(change>>1) ^ -int32(change&1)
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > 1<<32 {
			return 0, false
		}
		pc += size * t.quantum
		b = b[n+m:]
	}
	return v, v >= 0
}

// textAt returns the text at an offset, cut to MaxName.
func textAt(b []byte, off uint64) string {
	if off >= uint64(len(b)) {
		return ""
	}
	b = b[off:]
	return cString(b[:min(len(b), MaxName)])
}
