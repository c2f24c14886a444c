package elf

import (
	"bytes"
	"testing"
)

func TestNextNote(t *testing.T) {
	for _, k := range kinds {
		for _, align := range []int{4, 8} {
			b := note(k.order, align, "GNU\x00", 1, []byte{0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0})
			b = append(b, note(k.order, align, "stapsdt\x00", 3, []byte("12345"))...)
			b = append(b, note(k.order, align, "", 7, nil)...)
			b = append(b, note(k.order, align, "Go\x00\x00", 4, []byte("abc/def"))...)
			want := []Note{{1, []byte("GNU"), []byte{0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0}}, {3, []byte("stapsdt"), []byte("12345")},
				{7, nil, nil}, {4, []byte("Go"), []byte("abc/def")}}
			rest := b
			for i, w := range want {
				n, r, ok := NextNote(rest, uint64(align), k.order)
				if !ok || n.Type != w.Type || !bytes.Equal(n.Name, w.Name) || !bytes.Equal(n.Desc, w.Desc) {
					t.Fatalf("%s, align %d: note %d is %d %q %q %v", k.name, align, i, n.Type, n.Name, n.Desc, ok)
				}
				rest = r
			}
			if _, _, ok := NextNote(rest, uint64(align), k.order); ok || len(rest) != 0 {
				t.Errorf("a note behind the last, %d bytes", len(rest))
			}
			if got := GoBuildID(b, uint64(align), k.order); string(got) != "abc/def" {
				t.Errorf("Go build id %q", got)
			}
			if got := BuildID(b, uint64(align), k.order); got != nil {
				t.Errorf("a build id %x: notes of another name or type", got)
			}
		}
	}
}

func TestNextNoteHostile(t *testing.T) {
	for _, k := range kinds {
		for _, sizes := range [][2]uint32{{0xffffffff, 0xffffffff}, {4, 0xffffffff}, {0xffffffff, 4}, {0xfffffff0, 0}, {4, 17}, {21, 0}, {0x80000000, 0x80000000}} {
			b := make([]byte, 32)
			k.order.PutUint32(b, sizes[0])
			k.order.PutUint32(b[4:], sizes[1])
			if n, _, ok := NextNote(b, 4, k.order); ok {
				t.Errorf("%s: sizes %#x give %d %q %q", k.name, sizes, n.Type, n.Name, n.Desc)
			}
		}
	}
	o := kinds[0].order
	// The padding of the last note may be cut off, its contents may not.
	b := note(o, 4, "GNU\x00", NT_GNU_BUILD_ID, []byte("12345"))
	if got := BuildID(b[:21], 4, o); string(got) != "12345" {
		t.Errorf("without padding: %q", got)
	}
	if got := BuildID(b[:20], 4, o); got != nil {
		t.Errorf("cut: %q", got)
	}
	if n, rest, ok := NextNote(note(o, 4, "abcde", 1, nil)[:17], 4, o); !ok || string(n.Name) != "abcde" || len(n.Desc) != 0 || len(rest) != 0 {
		t.Errorf("without descriptor and padding: %q %q %v", n.Name, n.Desc, ok)
	}
}

func TestBuildID(t *testing.T) {
	o := kinds[0].order
	id := []byte("0123456789abcdefghij")
	property := note(o, 8, "GNU\x00", 5, []byte("1234567"+"89abcdefg"))
	abi := note(o, 4, "GNU\x00", 1, []byte("123456789abcdefg"))
	build := note(o, 4, "GNU\x00", NT_GNU_BUILD_ID, id)
	for _, c := range []struct {
		name  string
		notes [][]byte
		align uint64
		want  []byte
	}{
		{"alone", [][]byte{build}, 4, id},
		{"no alignment stated", [][]byte{build}, 0, id},
		{"behind others", [][]byte{abi, build}, 4, id},
		{"before others", [][]byte{build, abi}, 4, id},
		{"8 stated, padded to 8", [][]byte{note(o, 8, "GNU\x00", 1, []byte("1234")), note(o, 8, "GNU\x00", 3, id)}, 8, id},
		{"8 stated, padded to 4", [][]byte{note(o, 4, "GNU\x00", 1, []byte("1234")), build}, 8, id},
		{"4 stated, padded to 8", [][]byte{note(o, 8, "GNU\x00", 1, []byte("1234")), note(o, 8, "GNU\x00", 3, id)}, 4, id},
		{"two sections, the first wants 8", [][]byte{property, build}, 8, id},
		{"empty id before the id", [][]byte{note(o, 4, "GNU\x00", 3, nil), build}, 4, id},
		{"another owner", [][]byte{note(o, 4, "BSD\x00", 3, id)}, 4, nil},
		{"longer name", [][]byte{note(o, 4, "GNUX", 3, id)}, 4, nil},
		{"another type", [][]byte{note(o, 4, "GNU\x00", 4, id)}, 4, nil},
		{"one byte", [][]byte{note(o, 4, "GNU\x00", 3, id[:1])}, 4, id[:1]},
		{"nothing", nil, 4, nil},
	} {
		b := bytes.Join(c.notes, nil)
		if got := BuildID(b, c.align, o); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		noAllocs(t, "BuildID", func() { BuildID(b, c.align, o) })
	}
}

func TestIsAllZero(t *testing.T) {
	if !IsAllZero(nil) || !IsAllZero(make([]byte, 20)) || IsAllZero([]byte{0, 0, 1}) || IsAllZero([]byte{1, 0, 0}) {
		t.Error("wrong")
	}
}
