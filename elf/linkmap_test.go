package elf

import "testing"

func TestParseRDebug(t *testing.T) {
	for _, k := range kinds {
		w := k.class.WordSize()
		s := synth{class: k.class, order: k.order}
		var b []byte
		for _, v := range []uint64{0, 0x1111, 0x2222, 0, 0x4444, 0x5555} {
			b = s.word(b, v)
		}
		k.order.PutUint32(b, 1) // int r_version
		k.order.PutUint32(b[3*w:], 2)
		if w == 8 {
			k.order.PutUint32(b[4:], 0xdead) // padding
			k.order.PutUint32(b[28:], 0xdead)
		}
		if RDebugSize(k.class) != 5*w {
			t.Fatal("size")
		}
		want := RDebug{Version: 1, Map: 0x1111, Brk: 0x2222, State: 2, LdBase: 0x4444}
		if r, ok := ParseRDebug(b, k.class, k.order); !ok || r != want {
			t.Errorf("%s: %+v %v, want %+v", k.name, r, ok, want)
		}
		k.order.PutUint32(b, 2)
		want.Version = 2
		if r, ok := ParseRDebug(b[:5*w], k.class, k.order); !ok || r != want {
			t.Errorf("%s: %+v %v, want %+v", k.name, r, ok, want)
		}
		want.Next = 0x5555
		if r, ok := ParseRDebug(b, k.class, k.order); !ok || r != want {
			t.Errorf("%s: %+v %v, want %+v", k.name, r, ok, want)
		}
		if _, ok := ParseRDebug(b[:5*w-1], k.class, k.order); ok {
			t.Errorf("%s: too short", k.name)
		}
		for _, v := range []uint32{0, 0xffffffff} {
			k.order.PutUint32(b, v)
			if _, ok := ParseRDebug(b, k.class, k.order); ok {
				t.Errorf("%s: version %d", k.name, int32(v))
			}
		}
		noAllocs(t, "ParseRDebug", func() { ParseRDebug(b, k.class, k.order) })
	}
}

func TestParseLinkMap(t *testing.T) {
	for _, k := range kinds {
		s := synth{class: k.class, order: k.order}
		var b []byte
		for v := uint64(1); v <= 5; v++ {
			b = s.word(b, v<<24)
		}
		want := LinkMap{1 << 24, 2 << 24, 3 << 24, 4 << 24, 5 << 24}
		if m, ok := ParseLinkMap(b, k.class, k.order); !ok || m != want || LinkMapSize(k.class) != len(b) {
			t.Errorf("%s: %+v %v, want %+v", k.name, m, ok, want)
		}
		if _, ok := ParseLinkMap(b[:len(b)-1], k.class, k.order); ok {
			t.Errorf("%s: too short", k.name)
		}
		noAllocs(t, "ParseLinkMap", func() { ParseLinkMap(b, k.class, k.order) })
	}
}
