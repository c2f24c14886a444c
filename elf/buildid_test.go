package elf

import "testing"

func TestTextHash(t *testing.T) {
	// The example of the reference's own test: a program that exits at once.
	text := []byte{0x6a, 0x3c, 0x58, 0x31, 0xff, 0x0f, 0x05}
	if got, want := TextHash(text), [16]byte{0x6a, 0x3c, 0x58, 0x31, 0xff, 0x0f, 0x05}; got != want {
		t.Errorf("%x, want %x", got, want)
	}
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, 4097, 9000} {
		b := make([]byte, n)
		var want [16]byte
		for i := range b {
			b[i] = byte(i*i>>3 + i)
			if i < 4096 {
				want[i%16] ^= b[i]
			}
		}
		if got := TextHash(b); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
	b := make([]byte, 4096)
	noAllocs(t, "TextHash", func() { TextHash(b) })
}
