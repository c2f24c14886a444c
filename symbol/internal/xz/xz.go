// Package xz decompresses .xz files in memory: .gnu_debugdata sections are compressed in this format, which no package of the
// standard library supports.
//
// It reads streams of blocks whose only filter is LZMA2, which is xz's default, and checks CRC32 and CRC64. The input may come from
// an attacker: the caller limits the result, the work is proportional to it, and nothing panics.
//
// Sources: "The .xz File Format" 1.1.0 of tukaani.org; the LZMA specification of the LZMA SDK (lzma-specification.txt).
package xz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/crc64"
)

// Errors of Decode.
var (
	ErrFormat = errors.New("xz: invalid, or with an unsupported filter")
	ErrSize   = errors.New("xz: too large")
)

// Decode decompresses b into at most limit bytes.
func Decode(b []byte, limit int) ([]byte, error) {
	magic := []byte("\xfd7zXZ\x00\x00")
	if len(b) < 12 || !bytes.HasPrefix(b, magic) || crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, ErrFormat
	}
	check := b[7] & 15
	size, ok := map[byte]int{0: 0, 1: 4, 4: 8, 10: 32}[check]
	if !ok {
		return nil, ErrFormat
	}
	var out []byte
	rest := b[12:]
	for blocks := uint64(0); ; blocks++ {
		if len(rest) == 0 {
			return nil, ErrFormat
		}
		if rest[0] == 0 { // the index: there are no more blocks
			if !index(rest, blocks) {
				return nil, ErrFormat
			}
			return out, nil
		}
		head := (int(rest[0]) + 1) * 4
		if head > len(rest) || !blockHeader(rest[:head]) {
			return nil, ErrFormat
		}
		d := decoder{in: rest[head:], out: out, start: len(out), limit: limit}
		if err := d.chunks(); err != nil {
			return nil, err
		}
		used := head + len(rest) - head - len(d.in)
		used = (used + 3) &^ 3
		if used+size > len(rest) || !sum(check, d.out[len(out):], rest[used:]) {
			return nil, ErrFormat
		}
		out, rest = d.out, rest[used+size:]
	}
}

// index reports whether b starts with an index for the given number of blocks.
func index(b []byte, blocks uint64) bool {
	n, at := binary.Uvarint(b[1:])
	if at <= 0 || n != blocks {
		return false
	}
	for at++; n > 0; n-- {
		for range 2 { // packed and unpacked size
			_, used := binary.Uvarint(b[at:])
			if used <= 0 {
				return false
			}
			at += used
		}
	}
	at = (at + 3) &^ 3
	return at+4 <= len(b) && crc32.ChecksumIEEE(b[:at]) == binary.LittleEndian.Uint32(b[at:])
}

// blockHeader reports whether a block has LZMA2 as its only filter.
func blockHeader(h []byte) bool {
	n := len(h) - 4
	if n < 8-4 || crc32.ChecksumIEEE(h[:n]) != binary.LittleEndian.Uint32(h[n:]) {
		return false
	}
	flags := h[1]
	if flags&0x3f != 0 { // more than one filter
		return false
	}
	h = h[2:n]
	for _, bit := range []byte{0x40, 0x80} { // sizes, which are also in the chunks
		if flags&bit != 0 {
			_, used := binary.Uvarint(h)
			if used <= 0 {
				return false
			}
			h = h[used:]
		}
	}
	return len(h) >= 3 && h[0] == 0x21 && h[1] == 1
}

// sum reports whether the check of a block is correct.
func sum(check byte, b, want []byte) bool {
	switch check {
	case 1:
		return crc32.ChecksumIEEE(b) == binary.LittleEndian.Uint32(want)
	case 4:
		return crc64.Checksum(b, crc64.MakeTable(crc64.ECMA)) == binary.LittleEndian.Uint64(want)
	}
	return true
}

// decoder decompresses the chunks of one block. The dictionary is the output since start.
type decoder struct {
	in    []byte
	out   []byte
	start int
	limit int
	lzma  lzma
	ready bool // the state of lzma is valid
}

// take returns the next n bytes of the input, or nil if there are fewer.
func (d *decoder) take(n int) []byte {
	if n > len(d.in) {
		return nil
	}
	b := d.in[:n]
	d.in = d.in[n:]
	return b
}

// chunks decodes LZMA2: xz-file-format.txt, 5.3.1, and the comments of lzma2_dec.c.
func (d *decoder) chunks() error {
	for {
		control := d.take(1)
		switch {
		case control == nil:
			return ErrFormat
		case control[0] == 0:
			return nil
		case control[0] >= 0x80:
			if err := d.compressed(control[0]); err != nil {
				return err
			}
			continue
		case control[0] > 2:
			return ErrFormat
		}
		if control[0] == 1 {
			d.start = len(d.out)
		}
		b := d.take(2)
		if b == nil {
			return ErrFormat
		}
		if b = d.take(int(binary.BigEndian.Uint16(b)) + 1); b == nil {
			return ErrFormat
		}
		if len(d.out)+len(b) > d.limit {
			return ErrSize
		}
		d.out = append(d.out, b...)
	}
}

// compressed decodes one LZMA chunk.
func (d *decoder) compressed(control byte) error {
	b := d.take(4)
	if b == nil {
		return ErrFormat
	}
	size := (int(control&0x1f)<<16 | int(b[0])<<8 | int(b[1])) + 1
	packed := int(binary.BigEndian.Uint16(b[2:])) + 1
	if len(d.out)+size > d.limit {
		return ErrSize
	}
	reset := control >> 5 & 3
	if reset == 3 {
		d.start = len(d.out)
	}
	if reset >= 2 {
		props := d.take(1)
		if props == nil || !d.lzma.properties(props[0]) {
			return ErrFormat
		}
		d.ready = true
	}
	if !d.ready {
		return ErrFormat
	}
	if reset >= 1 {
		d.lzma.reset()
	}
	in := d.take(packed)
	if in == nil {
		return ErrFormat
	}
	out, ok := d.lzma.decode(in, d.out, d.start, size)
	d.out = out
	if !ok {
		return ErrFormat
	}
	return nil
}
