package stream

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Text converts UTF-16 of the given byte order to a Go string. A surrogate without its partner becomes U+FFFD, and an odd
// last byte is dropped.
func utf16Text(b []byte, o binary.ByteOrder) string {
	text := make([]byte, 0, len(b)/2)
	for len(b) >= 2 {
		c := rune(o.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(c) {
			pair := rune(utf8.RuneError)
			if len(b) >= 2 {
				pair = utf16.DecodeRune(c, rune(o.Uint16(b)))
			}
			if pair != utf8.RuneError {
				b = b[2:]
			}
			c = pair
		}
		text = utf8.AppendRune(text, c)
	}
	return string(text)
}

// beforeNUL returns the 16-bit words of b before the first 0.
func beforeNUL(b []byte) []byte {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i]
		}
	}
	return b
}

// putUTF16 fills b with text in UTF-16 and at least one NUL. It cuts a text that is too long, between characters.
func putUTF16(b []byte, text string, o binary.ByteOrder) {
	clear(b)
	for _, c := range text {
		units := 1
		if c >= 0x10000 {
			units = 2
		}
		if len(b) < 2*(units+1) {
			return
		}
		if units == 2 {
			high, low := utf16.EncodeRune(c)
			o.PutUint16(b, uint16(high))
			b, c = b[2:], low
		}
		o.PutUint16(b, uint16(c))
		b = b[2:]
	}
}
