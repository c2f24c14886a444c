package breakpad

import (
	"reflect"
	"strings"
	"testing"
)

const module = "MODULE Linux x86_64 20AD60B0B4C68177552708AA192E77390 app with spaces\n"

func open(t *testing.T, text string) *File {
	t.Helper()
	f, err := Open(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestModule(t *testing.T) {
	want := Module{"Linux", "x86_64", "20AD60B0B4C68177552708AA192E77390", "app with spaces"}
	for _, end := range []string{"", "\r\n", "\nFILE 0 a"} {
		if m, err := ReadModule(strings.NewReader(strings.TrimSuffix(module, "\n") + end)); err != nil || m != want {
			t.Errorf("%+v %v", m, err)
		}
	}
	for _, text := range []string{"", "MODULE", "MODULE a b c", "FILE 0 a\n" + module, strings.Repeat("x", 100000)} {
		if _, err := Open(strings.NewReader(text), int64(len(text))); err == nil {
			t.Errorf("%.40q was taken", text)
		}
	}
}

// TestLookup reads records with Windows line ends, lines that are too long or not records, and overlapping functions.
func TestLookup(t *testing.T) {
	text := module + "FILE 1 a.c\r\nFILE 1 other.c\r\nFILE x bad\nFUNC 100 20 0 f(int, char)\r\n100 10 5 1\r\n" + strings.Repeat("y", 300000) +
		"\nbad line\n110 10 6 7\n\nFUNC zz 1 0 bad\n1000 1 1 1\nFUNC 108 4 0 inside\n108 4 9 1\nFUNC m 200 0 0 empty\n" +
		"FUNC fffffffffffffff0 ff 0 wraps\nPUBLIC 90 0 before\nPUBLIC m 300 0 after\nSTACK WIN 4 100 1 1\n"
	f := open(t, text)
	for addr, want := range map[uint64][]Frame{
		0xff:  nil,
		0x100: {{"f(int, char)", 0x100, "a.c", 5, false}},
		0x108: {{"inside", 0x108, "a.c", 9, false}},
		0x10c: {{"f(int, char)", 0x100, "a.c", 5, false}},
		0x111: {{"f(int, char)", 0x100, "", 6, false}},
		0x120: nil,
		0x200: nil,
	} {
		if got := f.Lookup(addr); !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: %+v, want %+v", addr, got, want)
		}
	}
	for addr, want := range map[uint64]string{0x8f: "", 0x91: "before", 0x130: "", 0x300: "after", 1 << 40: "after"} {
		if got, ok := f.Public(addr); got.Name != want || ok != (want != "") {
			t.Errorf("%#x: %+v, want %q", addr, got, want)
		}
	}
}

// TestInlines reads inlined calls with several ranges, out of order, and with a missing surrounding call.
func TestInlines(t *testing.T) {
	f := open(t, module+"FILE 0 a.c\nINLINE_ORIGIN 3 inner\nINLINE_ORIGIN 4 middle\nFUNC 0 100 0 outer\n"+
		"INLINE 1 20 0 3 10 8 40 8\nINLINE 0 10 0 4 0 80\nINLINE 1 30 0 3 90 8\nINLINE 0 1 1\nINLINE 0 1 1 1 zz 5\n0 100 99 0\n")
	middle, outer := Frame{"middle", 0, "a.c", 99, true}, Frame{"outer", 0, "a.c", 10, false}
	called := middle
	called.Line = 20
	for addr, want := range map[uint64][]Frame{
		0x5:  {middle, outer},
		0x12: {{"inner", 0x10, "a.c", 99, true}, called, outer},
		0x47: {{"inner", 0x40, "a.c", 99, true}, called, outer},
		0x92: {{"outer", 0, "a.c", 99, false}},
	} {
		if got := f.Lookup(addr); !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: %+v, want %+v", addr, got, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(module+"FILE 0 a.c\nINLINE_ORIGIN 3 inner\nFUNC m 0 100 0 outer\nINLINE 0 20 0 3 10 8 40 8\n0 100 99 0\nPUBLIC 200 0 p\n", uint64(0x12))
	f.Fuzz(func(t *testing.T, text string, addr uint64) {
		x, err := Open(strings.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		for i, fr := range x.Lookup(addr) {
			if len(fr.Name) > MaxLine || fr.Line < 0 || fr.Start > addr || i > maxInlines {
				t.Fatalf("%+v", fr)
			}
		}
		x.Public(addr)
	})
}
