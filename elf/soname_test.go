package elf

import "testing"

func TestVersionOf(t *testing.T) {
	for _, c := range []struct {
		name string
		want [4]uint32
		ok   bool
	}{
		{"libstdc++.so.6.0.32", [4]uint32{6, 0, 32, 0}, true},
		{"libdbus-1.so.3.34.2rc5", [4]uint32{3, 34, 2, 5}, true},
		{"libdbus-1.so.3.34.rc5", [4]uint32{3, 34, 0, 5}, true},
		{"libtoto.so.1.2.alpha.1", [4]uint32{1, 2, 0, 1}, true},
		{"libtoto.so.1.2.3pre4.5", [4]uint32{1, 2, 3, 4}, true},
		{"libtoto.so.AAA", [4]uint32{}, true},
		{"libc.so.6", [4]uint32{6, 0, 0, 0}, true},
		{"lib.so.1.2.3.4.5", [4]uint32{1, 2, 3, 4}, true},
		{"lib.so.1.2.3.4rc5", [4]uint32{1, 2, 3, 4}, true},
		{"lib.so.1.2.3rc4rc5", [4]uint32{1, 2, 3, 5}, true},
		{"lib.so.1.2.3rc.5", [4]uint32{1, 2, 3, 5}, true},
		{"lib.so.1.2rc5.3", [4]uint32{1, 0, 3, 0}, true},
		{"lib.so.1.2.4294967296", [4]uint32{1, 2, 0, 0}, true},
		{"lib.so.4294967295.4294967296", [4]uint32{4294967295, 0, 0, 0}, true},
		{"lib.so.1.2.3rc99999999999.7", [4]uint32{1, 2, 3, 7}, true},
		{"lib.so.1..3", [4]uint32{1, 0, 3, 0}, true},
		{"lib.so.", [4]uint32{}, true},
		{"a.so.b.so.2.3", [4]uint32{0, 0, 2, 3}, true},
		{"lib.so.-1.+2", [4]uint32{}, true},
		{"lib.so.1.2.\xff9", [4]uint32{1, 2, 0, 9}, true},
		{"libfoo.so", [4]uint32{}, false},
		{"libfoo-1.2.3", [4]uint32{}, false},
		{".so", [4]uint32{}, false},
		{"", [4]uint32{}, false},
	} {
		v, ok := VersionOf([]byte(c.name))
		if v != c.want || ok != c.ok {
			t.Errorf("%q: %v %v, want %v %v", c.name, v, ok, c.want, c.ok)
		}
	}
	b := []byte("libdbus-1.so.3.34.2rc5")
	noAllocs(t, "VersionOf", func() { VersionOf(b) })
}
