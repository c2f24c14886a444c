package stream

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
)

// MinBuffer is the smallest size of an Encoder's buffer in bytes. No record or CPU context is larger.
const MinBuffer = 4096

// MaxString is the largest number of bytes of UTF-8 that Encoder.String and Encoder.UTF8String write. They leave out the rest of
// a longer text.
const MaxString = 1 << 20

var errWriteCount = errors.New("stream: the writer returned an impossible count")

// Encoder writes bytes, records and strings one after the other to an io.Writer, which need not seek, through one buffer.
// It allocates nothing.
//
// Without a writer it only counts, so the same code can first measure a file and then write it.
//
// It keeps the first error of the writer, and only counts from then on.
type Encoder struct {
	buf   []byte
	n     int    // bytes of buf that are filled
	base  uint64 // bytes put before buf
	w     io.Writer
	order binary.ByteOrder
	big   bool // order is big-endian
	err   error
}

// NewEncoder returns an Encoder that uses buf, 64 KiB being a good size. A buffer of less than MinBuffer bytes is
// replaced by a new one of that size. Until Reset, the Encoder counts in little-endian order.
func NewEncoder(buf []byte) *Encoder {
	if len(buf) < MinBuffer {
		buf = make([]byte, MinBuffer)
	}
	e := new(Encoder)
	e.Init(buf)
	return e
}

// Init initializes e as NewEncoder does, for an Encoder that is part of something larger. It panics if buf is shorter than
// MinBuffer.
func (e *Encoder) Init(buf []byte) {
	_ = buf[MinBuffer-1]
	*e = Encoder{buf: buf, order: binary.LittleEndian}
}

// Reset starts a new file at offset 0, and drops the error and the content of the buffer. If w is nil the Encoder only counts.
func (e *Encoder) Reset(w io.Writer, o binary.ByteOrder) {
	e.n, e.base, e.w, e.order, e.err = 0, 0, w, o, nil
	e.buf[0], e.buf[1] = 0, 1
	e.big = o.Uint16(e.buf) == 1
}

// counting reports whether output is only counted: there is no writer, or the writer has failed.
func (e *Encoder) counting() bool { return e.w == nil || e.err != nil }

// skip counts n bytes.
func (e *Encoder) skip(n uint64) {
	e.base += uint64(e.n) + n
	e.n = 0
}

// Order is the byte order of the file.
func (e *Encoder) Order() binary.ByteOrder { return e.order }

// Offset is the number of bytes put since Reset, including those in the buffer: the RVA of whatever is put next.
func (e *Encoder) Offset() uint64 { return e.base + uint64(e.n) }

// Err is the first error of the writer, or nil.
func (e *Encoder) Err() error { return e.err }

// Fail makes the encoder write nothing more: err is its error from then on, unless there is one already.
func (e *Encoder) Fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Flush writes the content of the buffer and returns Err.
func (e *Encoder) Flush() error {
	e.write(e.buf[:e.n])
	e.base += uint64(e.n)
	e.n = 0
	return e.err
}

// write writes all of p to the writer, unless the Encoder only counts.
func (e *Encoder) write(p []byte) {
	for len(p) > 0 && !e.counting() {
		n, err := e.w.Write(p)
		switch {
		case n < 0 || n > len(p):
			e.err = errWriteCount
		case err != nil:
			e.err = err
		case n == 0:
			e.err = io.ErrShortWrite
		default:
			p = p[n:]
		}
	}
}

// Next puts n zero bytes and returns them, to be filled in place before the next call of any method. The slice lies in the
// buffer, and its capacity is n. Next panics if n is negative or larger than the buffer.
func (e *Encoder) Next(n int) []byte {
	b := e.Raw(n)
	clear(b)
	return b
}

// Raw is Next without the clearing: the bytes contain whatever was in the buffer before, so the caller must fill all of them. It
// is for memory that is read straight into the buffer.
func (e *Encoder) Raw(n int) []byte {
	if n > len(e.buf)-e.n {
		e.Flush()
	}
	b := e.buf[e.n : e.n+n : e.n+n]
	e.n += n
	return b
}

// Bytes puts a copy of p. If p is at least as large as the buffer it is written directly to the writer.
func (e *Encoder) Bytes(p []byte) {
	if e.counting() {
		e.skip(uint64(len(p)))
		return
	}
	if len(p) <= len(e.buf)-e.n {
		e.n += copy(e.buf[e.n:], p)
		return
	}
	e.Flush()
	if len(p) < len(e.buf) {
		e.n = copy(e.buf, p)
		return
	}
	e.write(p)
	e.base += uint64(len(p))
}

// Zero puts n bytes of 0.
func (e *Encoder) Zero(n uint64) {
	if e.counting() {
		e.skip(n)
		return
	}
	for n > 0 {
		k := min(n, uint64(len(e.buf)))
		if free := uint64(len(e.buf) - e.n); free > 0 {
			k = min(k, free)
		}
		e.Next(int(k))
		n -= k
	}
}

// Align puts bytes of 0 until Offset is a multiple of n, which must be a power of two.
func (e *Encoder) Align(n uint64) { e.Zero(-e.Offset() & (n - 1)) }

// U16 puts a 16-bit word.
func (e *Encoder) U16(v uint16) { e.order.PutUint16(e.Raw(2), v) }

// U32 puts a 32-bit word.
func (e *Encoder) U32(v uint32) { e.order.PutUint32(e.Raw(4), v) }

// U64 puts a 64-bit word.
func (e *Encoder) U64(v uint64) { e.order.PutUint64(e.Raw(8), v) }

// String puts text as a MINIDUMP_STRING: a uint32 with the length in bytes, the text in UTF-16 of the file's byte
// order, and a NUL that the length does not count. Each byte that is not valid UTF-8 becomes U+FFFD. Only the first
// MaxString bytes are used.
func (e *Encoder) String(text []byte) {
	text = cut(text)
	if e.counting() {
		e.skip(StringSize(text))
		return
	}
	e.U32(2 * utf16Units(text))
	low, high := 0, 1
	if e.big {
		low, high = 1, 0
	}
	for i := 0; i < len(text); {
		if len(e.buf)-e.n < 4 {
			e.Flush()
		}
		b := e.buf[e.n:]
		k := 0
		for i < len(text) && k+4 <= len(b) {
			c, n := rune(text[i]), 1
			if c >= utf8.RuneSelf {
				c, n = utf8.DecodeRune(text[i:])
			}
			i += n
			if c >= 0x10000 { // a pair of surrogates
				c -= 0x10000
				first := 0xd800 + c>>10
				b[k+low], b[k+high] = byte(first), byte(first>>8)
				k += 2
				c = 0xdc00 + c&0x3ff
			}
			b[k+low], b[k+high] = byte(c), byte(c>>8)
			k += 2
		}
		e.n += k
	}
	e.U16(0)
}

// StringSize is the number of bytes that Encoder.String puts for text.
func StringSize(text []byte) uint64 { return 4 + 2*uint64(utf16Units(cut(text))) + 2 }

// UTF8String puts text as a MinidumpUTF8String (Crashpad): a uint32 with the length in bytes, the text as it is, and a
// NUL that the length does not count. Only the first MaxString bytes are used.
func (e *Encoder) UTF8String(text []byte) {
	text = cut(text)
	e.U32(uint32(len(text)))
	e.Bytes(text)
	e.Raw(1)[0] = 0
}

// UTF8StringSize is the number of bytes that Encoder.UTF8String puts for text.
func UTF8StringSize(text []byte) uint64 { return 4 + uint64(len(cut(text))) + 1 }

// cut returns at most the first MaxString bytes of text.
func cut(text []byte) []byte { return text[:min(len(text), MaxString)] }

// utf16Units is the number of 16-bit words that text has in UTF-16.
func utf16Units(text []byte) uint32 {
	var units uint32
	for i := 0; i < len(text); {
		n := 1
		if text[i] >= utf8.RuneSelf {
			_, n = utf8.DecodeRune(text[i:])
			if n == 4 {
				units++ // a pair of surrogates
			}
		}
		i += n
		units++
	}
	return units
}
