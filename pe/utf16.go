package pe

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Text is a text in UTF-16, two bytes a unit in little-endian order, as in an image.
type Text []byte

// AppendUTF8 appends t to dst. A surrogate without its partner becomes U+FFFD, and an odd last byte is dropped.
func (t Text) AppendUTF8(dst []byte) []byte {
	for len(t) >= 2 {
		c := rune(le.Uint16(t))
		t = t[2:]
		if utf16.IsSurrogate(c) {
			pair := rune(utf8.RuneError)
			if len(t) >= 2 {
				pair = utf16.DecodeRune(c, rune(le.Uint16(t)))
			}
			if pair != utf8.RuneError {
				t = t[2:]
			}
			c = pair
		}
		dst = utf8.AppendRune(dst, c)
	}
	return dst
}

// String returns t in UTF-8.
func (t Text) String() string { return string(t.AppendUTF8(nil)) }

// Is reports whether t is the ASCII text s, regardless of case.
func (t Text) Is(s string) bool {
	if len(t) != 2*len(s) {
		return false
	}
	for i := range len(s) {
		if t[2*i+1] != 0 || lowerASCII(t[2*i]) != lowerASCII(s[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// beforeNUL returns the units of b before the first 0, and their size in bytes including the 0. ok is false if there is no 0.
func beforeNUL(b []byte) (t Text, size int, ok bool) {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return Text(b[:i:i]), i + 2, true
		}
	}
	return Text(b[:len(b)&^1]), len(b) &^ 1, false
}
