package dwarf

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"minidump/internal/victims"
)

// builder writes a section.
type builder struct {
	b []byte
	o binary.ByteOrder
}

func (w *builder) u8(v ...uint8)    { w.b = append(w.b, v...) }
func (w *builder) u16(v uint16)     { w.b = appendUint(w.b, w.o, 2, uint64(v)) }
func (w *builder) u32(v uint32)     { w.b = appendUint(w.b, w.o, 4, uint64(v)) }
func (w *builder) u64(v uint64)     { w.b = appendUint(w.b, w.o, 8, v) }
func (w *builder) uleb(v uint64)    { w.b = binary.AppendUvarint(w.b, v) }
func (w *builder) text(s string)    { w.b = append(append(w.b, s...), 0) }
func (w *builder) section() Section { return bytes.NewReader(w.b) }

func appendUint(b []byte, o binary.ByteOrder, size int, v uint64) []byte {
	t := make([]byte, 8)
	switch size {
	case 2:
		o.PutUint16(t, uint16(v))
	case 4:
		o.PutUint32(t, uint32(v))
	case 8:
		o.PutUint64(t, v)
	}
	return append(b, t[:size]...)
}

// sized writes the bytes of body, preceded by their length.
func (w *builder) sized(body func(w *builder)) {
	in := builder{o: w.o}
	body(&in)
	w.u32(uint32(len(in.b)))
	w.b = append(w.b, in.b...)
}

// synth writes the kind of DWARF 5 that LLVM writes: indexed strings and addresses, range lists by index, constants in
// abbreviations, and a reference to another unit.
func synth(o binary.ByteOrder) Sections {
	abbrev := builder{o: o}
	for _, a := range [][]uint64{
		{1, 0x11, 1, atName, formStrx1, atCompDir, formStrx1, atStmtList, formSecOffset, atLowPC, formAddr, atRanges, formRnglistx,
			atStrOffsetsBase, formSecOffset, atAddrBase, formSecOffset, atRnglistsBase, formSecOffset, 0, 0},
		{2, tagNamespace, 1, atName, formStrx1, 0, 0},
		{3, tagSubprogram, 1, atName, formStrx1, atLowPC, formAddrx, atHighPC, formData4, 0, 0},
		{4, tagInlined, 0, atAbstractOrigin, formRefAddr, atLowPC, formAddrx1, atHighPC, formUdata, atCallFile, formData1, atCallLine, formImplicitConst, 17, 0, 0},
		{5, tagSubprogram, 0, atLinkageName, formString, 0, 0},
		{6, 0x11, 1, atName, formString, 0, 0},
		{0},
	} {
		for _, v := range a {
			abbrev.uleb(v)
		}
	}
	info := builder{o: o}
	info.sized(func(w *builder) { // 12 bytes of header
		w.u16(5)
		w.u8(1, 8)
		w.u32(0)
		w.u8(6)
		w.text("b.cc")
		w.u8(5) // at 4+8+1+5+... = 18
		w.text("_ZN3foo7inlinedEv")
		w.u8(0)
	})
	info.sized(func(w *builder) {
		w.u16(5)
		w.u8(1, 8)
		w.u32(0)
		w.u8(1, 0, 1)
		w.u32(0)
		w.u64(0)
		w.u8(0)
		w.u32(8)
		w.u32(8)
		w.u32(12)
		w.u8(2, 3)
		w.u8(3, 2, 0)
		w.u32(0x40)
		w.u8(4)
		w.u32(18)
		w.u8(1, 1, 1)
		w.u8(0, 0, 0)
	})
	x := synthTables(o)
	x.Abbrev, x.Info = abbrev.section(), info.section()
	return x
}

// synthTables writes the sections that the entries refer to.
func synthTables(o binary.ByteOrder) Sections {
	strs := builder{o: o}
	offsets := builder{o: o}
	offsets.sized(func(w *builder) {
		w.u16(5)
		w.u16(0)
		for _, s := range []string{"a.cc", "/src", "outer", "space"} {
			w.u32(uint32(len(strs.b)))
			strs.text(s)
		}
	})
	addr := builder{o: o}
	addr.sized(func(w *builder) {
		w.u16(5)
		w.u8(8, 0)
		w.u64(0x1000)
		w.u64(0x1010)
	})
	lists := builder{o: o}
	lists.sized(func(w *builder) {
		w.u16(5)
		w.u8(8, 0)
		w.u32(1)
		w.u32(4)
		w.u8(3, 0, 0x40, 0)
	})
	line := builder{o: o}
	line.sized(func(w *builder) { synthLines(w) })
	return Sections{Str: strs.section(), StrOffsets: offsets.section(), Addr: addr.section(), RngLists: lists.section(), Line: line.section()}
}

func synthLines(w *builder) {
	w.u16(5)
	w.u8(8, 0)
	head := builder{o: w.o}
	head.u8(1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1)
	head.u8(1, 1, formString, 2)
	head.text("/src")
	head.text("include")
	head.u8(2, 1, formString, 2, formData1, 2)
	head.text("a.cc")
	head.u8(0)
	head.text("b.h")
	head.u8(1)
	w.u32(uint32(len(head.b)))
	w.b = append(w.b, head.b...)
	w.u8(0, 9, 2)
	w.u64(0x1000)
	w.u8(3, 9, 1)                // line 10
	w.u8(4, 0, 2, 0x10, 3, 6, 1) // file 0, 0x1010, line 16
	w.u8(4, 1, 2, 0x10, 1)       // file 1, 0x1020
	w.u8(2, 0x20, 0, 1, 1)       // end at 0x1040
}

func TestLookup(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		d := New(synth(o), o)
		outer := Frame{Name: "space::outer", Start: 0x1000, File: "/src/a.cc", Line: 16}
		at := func(f Frame, file string, line int) Frame { f.File, f.Line = file, line; return f }
		for addr, want := range map[uint64][]Frame{
			0xfff:  nil,
			0x1000: {at(outer, "/src/include/b.h", 10)},
			0x1010: {{Name: "_ZN3foo7inlinedEv", Linkage: true, Start: 0x1010, File: "/src/a.cc", Line: 16, Inlined: true}, at(outer, "/src/include/b.h", 17)},
			0x1011: {at(outer, "/src/a.cc", 16)},
			0x103f: {at(outer, "/src/include/b.h", 16)},
			0x1040: nil,
		} {
			if got := d.Lookup(addr); !reflect.DeepEqual(got, want) {
				t.Errorf("%v %#x: %+v, want %+v", o, addr, got, want)
			}
		}
	}
	if got := New(Sections{}, binary.LittleEndian).Lookup(1); got != nil {
		t.Errorf("%+v", got)
	}
}

// TestForms reads a value of each form, and checks that all of it was read.
func TestForms(t *testing.T) {
	b := []byte(strings.Repeat("\x01", 64))
	for form := uint16(1); form <= formAddrx4; form++ {
		e := encoding{version: 5, addrSize: 8}
		c := &cursor{b: append(b[:len(b):len(b)], 0), order: binary.LittleEndian}
		v := e.value(c, form, 5)
		if c.bad != (form == 2 || form == formBlock2 || form == formBlock4) {
			t.Errorf("form %#x: bad %v", form, c.bad)
		}
		if c.off == 0 && form != formFlagPresent && form != formImplicitConst && !c.bad {
			t.Errorf("form %#x took no bytes: %+v", form, v)
		}
	}
	for _, v := range []struct {
		b    string
		u    uint64
		s    int64
		fine bool
	}{{"\x7f", 0x7f, -1, true}, {"\x80\x01", 0x80, 0x80, true}, {"\x80\x7f", 0x3f80, -0x80, true}, {"\x80", 0, 0, false}, {strings.Repeat("\x80", 30), 0, 0, false}} {
		u, s := &cursor{b: []byte(v.b)}, &cursor{b: []byte(v.b)}
		if got, got2 := u.uleb(), s.sleb(); got != v.u || got2 != v.s || u.bad == v.fine || s.bad == v.fine {
			t.Errorf("%x: %d %d", v.b, got, got2)
		}
	}
}

// TestBounds looks up addresses in information designed to use much memory: 32 million functions in one unit, all with the same
// long range list, and a line program of 64 million rows.
func TestBounds(t *testing.T) {
	victims.SkipEmulated(t, "it needs a gigabyte of memory")
	o := binary.LittleEndian
	abbrev := builder{o: o}
	for _, v := range []uint64{1, 0x11, 1, atStmtList, formSecOffset, atLowPC, formAddr, atHighPC, formData4, 0, 0,
		2, tagSubprogram, 0, atRanges, formImplicitConst, 12, 0, 0, 0} {
		abbrev.uleb(v)
	}
	info := builder{o: o}
	info.sized(func(w *builder) {
		w.u16(5)
		w.u8(1, 8)
		w.u32(0)
		w.u8(1)
		w.u32(0)
		w.u64(0x1000)
		w.u32(1 << 30)
		w.b = append(w.b, bytes.Repeat([]byte{2}, 32<<20)...)
	})
	lists := builder{o: o, b: make([]byte, 12)}
	for range 1000 {
		lists.u8(7)
		lists.u64(0x2000)
		lists.uleb(0x1000)
	}
	line := builder{o: o}
	line.sized(func(w *builder) {
		synthLines(w)
		w.u8(0, 9, 2)
		w.u64(0x1000)
		w.b = append(w.b, bytes.Repeat([]byte{0xff}, 64<<20)...)
	})
	s := Sections{Abbrev: abbrev.section(), Info: info.section(), RngLists: lists.section(), Line: line.section()}
	start := time.Now()
	d := New(s, o)
	for addr := uint64(0x1fff); addr < 0x2010; addr++ {
		d.Lookup(addr)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%v, %d MB of heap", time.Since(start), m.HeapSys>>20)
	if m.HeapSys > 2<<30 {
		t.Errorf("%d MB of heap", m.HeapSys>>20)
	}
}

// FuzzLookup changes all sections.
func FuzzLookup(f *testing.F) {
	var parts [][]byte
	s := synth(binary.LittleEndian)
	for _, x := range []Section{s.Abbrev, s.Info, s.Str, s.StrOffsets, s.Addr, s.RngLists, s.Line} {
		b := make([]byte, x.Size())
		x.ReadAt(b, 0)
		parts = append(parts, b)
	}
	f.Add(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], uint64(0x1010))
	f.Fuzz(func(t *testing.T, abbrev, info, str, offsets, addr, lists, line []byte, at uint64) {
		in := func(b []byte) Section { return bytes.NewReader(b) }
		s := Sections{Abbrev: in(abbrev), Info: in(info), Str: in(str), StrOffsets: in(offsets), Addr: in(addr), RngLists: in(lists),
			Ranges: in(lists), Aranges: in(lists), Line: in(line), LineStr: in(str)}
		d := New(s, binary.LittleEndian)
		for _, a := range []uint64{at, 0x1000, 0x1010, 0x1020} {
			for _, f := range d.Lookup(a) {
				if len(f.Name) > 2*MaxString || len(f.File) > 3*MaxString {
					t.Fatalf("%d %d bytes", len(f.Name), len(f.File))
				}
			}
		}
	})
}
