package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// TestString reads strings that are not well-formed.
func TestString(t *testing.T) {
	b := make([]byte, 64)
	(&Header{Signature: Signature, Version: Version}).Put(b, binary.LittleEndian)
	string16 := func(length uint32, units ...uint16) []byte {
		b := bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[32:], length)
		for i, u := range units {
			binary.LittleEndian.PutUint16(b[36+2*i:], u)
		}
		return b
	}
	for _, test := range []struct {
		name string
		b    []byte
		rva  uint64
		want string
		err  error
	}{
		{"plain", string16(4, 'a', 'b', 'c'), 32, "ab", nil},
		{"to the end", string16(28, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'z'), 32,
			"abc" + strings.Repeat("\x00", 10) + "z", nil},
		{"one too far", string16(30, 'a'), 32, "", ErrTruncated},
		{"odd", string16(3, 'a', 'b'), 32, "", ErrFormat},
		{"too long", string16(maxUTF16 + 2), 32, "", ErrFormat},
		{"huge", string16(0xffffffff), 32, "", ErrFormat},
		{"pair", string16(4, 0xd834, 0xdd1e), 32, "𝄞", nil},
		{"high surrogate alone", string16(4, 0xd834, 'a'), 32, "\ufffda", nil},
		{"high surrogate last", string16(2, 0xd834, 0xdd1e), 32, "\ufffd", nil},
		{"low surrogate", string16(4, 0xdd1e, 0xd834), 32, "\ufffd\ufffd", nil},
		{"none", string16(4, 'a', 'b'), 0, "", nil},
		{"at the end", b, 64, "", ErrTruncated},
		{"length cut off", b, 61, "", ErrTruncated},
		{"far off", b, 1<<64 - 2, "", ErrTruncated},
	} {
		got, err := open(t, test.b).String(test.rva)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// FuzzString puts text and reads it back.
func FuzzString(f *testing.F) {
	for _, text := range []string{"", "text", "é€𝄞", "\xff\xed\xa0\x80", "a\x00b", strings.Repeat("ab€", 2000)} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	e := NewEncoder(nil)
	f.Fuzz(func(t *testing.T, text []byte, big bool) {
		var out bytes.Buffer
		o := orders[0]
		if big {
			o = orders[1]
		}
		e.Reset(&out, o)
		put(e, HeaderSize, &Header{Signature: Signature, Version: Version})
		e.String(text)
		if err := e.Flush(); err != nil || e.Offset() != HeaderSize+StringSize(text) {
			t.Fatalf("%d bytes, %v", e.Offset(), err)
		}
		got, err := open(t, out.Bytes()).String(HeaderSize)
		if want := string([]rune(string(text))); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}
