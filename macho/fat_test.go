package macho

import (
	"testing"
)

func TestFatHostile(t *testing.T) {
	// A Java class file of version 52 has the magic of a fat file.
	if h, ok := ParseFatHeader([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 0, 0}); ok {
		t.Errorf("a class file: %+v", h)
	}
	for _, b := range [][]byte{nil, {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0}, {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0}, {0xcf, 0xfa, 0xed, 0xfe, 0, 0, 0, 1}} {
		if h, ok := ParseFatHeader(b); ok {
			t.Errorf("%x: %+v", b, h)
		}
	}
	// 64-bit slices.
	fat := []byte{0xca, 0xfe, 0xba, 0xbf, 0, 0, 0, 1, 1, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 14, 0, 0, 0, 0}
	fh, ok := ParseFatHeader(fat)
	if a, ok2 := fh.Arch(fat[8:], 0); !ok || !ok2 || a != (FatArch{CPU_TYPE_ARM64, 2, 1<<32 + 4, 2<<32 + 8, 14}) {
		t.Errorf("%+v %+v", fh, a)
	}
	r := NewReader(nil)
	if r.OpenFile(&Bytes{B: fat}, 0) || r.OpenFile(&Bytes{B: fat[:20]}, 0) {
		t.Error("a slice outside the file")
	}
	// A slice with an image for another CPU than it states.
	o := kinds[0].order
	fat = append([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 1, 0, 0, 0, 0, 0}, synth(true, o)...)
	if !r.OpenFile(&Bytes{B: fat}, 0) || r.OpenFile(&Bytes{B: fat}, CPU_TYPE_X86) || r.OpenFile(&Bytes{B: fat}, CPU_TYPE_ARM64) {
		t.Error("a slice of another CPU than it states")
	}
}
