package macho

import (
	"bytes"
	"testing"
)

// task is the memory of a synthetic task: pieces at addresses.
type task []Bytes

func (m task) ReadAt(p []byte, off uint64) int {
	for i := range m {
		if n := m[i].ReadAt(p, off); n > 0 {
			return n
		}
	}
	return 0
}

// TestSharedCache reads an image whose segments are far from its header, as in the dyld shared cache: __DATA_DIRTY above it,
// __LINKEDIT below. The memory has only the necessary pieces.
func TestSharedCache(t *testing.T) {
	for _, k := range kinds {
		o := k.order
		const slide, text, dirty = 0x4f0000, 0x180000, 0x2c0000
		head := synth(k.is64, o,
			synthSegment(k.is64, o, "__TEXT", text, 0x3000, 0x80000),
			synthSegment(k.is64, o, "__DATA", 0x260000, 0x1000, 0x90000, synthSection{"__data", 0x260000, 0x100, 0x90000}),
			synthSegment(k.is64, o, "__DATA_DIRTY", dirty, 0x1000, 0xa0000, synthSection{"__crash_info", dirty + 0x40, 64, 0xa0040}),
			synthSegment(k.is64, o, "__LINKEDIT", 0x1000, 0x1000, 0xf0000),
			command(o, LC_ID_DYLIB, []uint32{24, 2, 0x10000, 0x10000}, "/usr/lib/libabort.dylib\x00"))
		o.PutUint32(head[24:], MH_DYLIB_IN_CACHE)
		info := make([]byte, 64)
		for i, v := range []uint64{5, text + slide + 0x100, 0, 0, 0x1234, 0, 0, 7} {
			o.PutUint64(info[8*i:], v)
		}
		var mem Source = task{{head, text + slide}, {info, dirty + slide + 0x40}}
		r := NewReader(nil)
		if !r.OpenMemory(mem, text+slide) || !r.Image.Header.InSharedCache() || r.Image.Slide != slide || r.Image.NumSegments != 4 {
			t.Fatalf("%s: %+v", k.name, r.Image)
		}
		s, ok := r.CrashInfoSection()
		if !ok || !s.Segment.Is("__DATA_DIRTY") || r.Place(&s) != dirty+slide+0x40 {
			t.Errorf("%s: %+v %v at %#x", k.name, s, ok, r.Place(&s))
		}
		c, ok := r.CrashInfo()
		if !ok || c != (CrashInfo{Version: 5, Message: text + slide + 0x100, Message2: 0x1234, AbortCause: 7}) {
			t.Errorf("%s: %+v %v", k.name, c, ok)
		}
		if string(r.InstallName()) != "/usr/lib/libabort.dylib" {
			t.Errorf("%s: install name %q", k.name, r.InstallName())
		}
		if seg := r.Image.Find(0x1010 + slide); seg == nil || !seg.Name.Is("__LINKEDIT") {
			t.Errorf("%s: what lies below the header is in %+v", k.name, seg)
		}
		var p [100]byte
		if n := r.Read(p[:], &s); n != 64 || !bytes.Equal(p[:n], info) {
			t.Errorf("%s: %d bytes of the section", k.name, n)
		}
		noAllocs(t, "the Reader", func() {
			r.OpenMemory(mem, text+slide)
			r.CrashInfo()
			r.InstallName()
		})
	}
}

// TestCrashInfo reads all versions, and sections that are shorter or longer than their version.
func TestCrashInfo(t *testing.T) {
	o := kinds[0].order
	info := func(version uint64, size int) []byte {
		b := make([]byte, max(size, 64))
		for i, v := range []uint64{version, 1, 2, 3, 4, 5, 6, 7} {
			o.PutUint64(b[8*i:], v)
		}
		return b[:size]
	}
	for _, c := range []struct {
		version uint64
		size    int
		ok      bool
		abort   uint64
	}{{4, 56, true, 0}, {4, 64, true, 0}, {5, 64, true, 7}, {5, 56, true, 0}, {7, MaxCrashInfo, true, 7}, {7, 1000, true, 7}, {4, 55, false, 0}, {3, 64, false, 0}, {0, 64, false, 0}} {
		got, ok := ParseCrashInfo(info(c.version, c.size), o)
		want := CrashInfo{c.version, 1, 2, 3, 4, 5, 6, c.abort}
		if !c.ok {
			want = CrashInfo{}
		}
		if ok != c.ok || got != want {
			t.Errorf("version %d, %d bytes: %+v %v", c.version, c.size, got, ok)
		}
		if c.size < 56 {
			continue
		}
		// In __DATA, of a thin file.
		b := synth(true, o, synthSegment(true, o, "__DATA", 0x1000, 0x1000, 0x400, synthSection{"__crash_info", 0x1000, uint64(c.size), 0x400}))
		b = append(append(b, make([]byte, 0x400-len(b))...), info(c.version, c.size)...)
		r := NewReader(nil)
		if got, ok := r.CrashInfo(); ok {
			t.Errorf("%+v before Open", got)
		}
		r.OpenFile(&Bytes{B: b}, 0)
		if got, ok := r.CrashInfo(); ok != c.ok || got != want {
			t.Errorf("version %d, %d bytes, read: %+v %v", c.version, c.size, got, ok)
		}
	}
}

// TestLargeCommands reads load commands that exceed the scratch memory, one of them by itself.
func TestLargeCommands(t *testing.T) {
	o := kinds[0].order
	var sections []synthSection
	for i := range 200 {
		sections = append(sections, synthSection{"__s" + string(rune('A'+i/26)) + string(rune('a'+i%26)), 0x1000 + uint64(i), 1, 0})
	}
	b := synth(true, o, command(o, 99, nil, string(make([]byte, 3*MinScratch))), synthSegment(true, o, "__DATA", 0x1000, 0x1000, 0, sections...),
		command(o, LC_ID_DYLIB, []uint32{24, 1, 2, 3}, "libx\x00"))
	r := NewReader(make([]byte, MinScratch))
	if !r.OpenFile(&Bytes{B: b}, 0) || r.Image.Commands != 3 || string(r.InstallName()) != "libx" {
		t.Fatalf("%d commands, name %q", r.Image.Commands, r.InstallName())
	}
	for _, x := range sections {
		if y, ok := r.Section("__DATA", x.name); !ok || y.Addr != x.addr {
			t.Errorf("section %s: %+v %v", x.name, y, ok)
		}
	}
}

// TestUnreadable opens images that can be read only in part.
func TestUnreadable(t *testing.T) {
	o := kinds[0].order
	b := synth(true, o, synthSegment(true, o, "__TEXT", 0x1000, 0x1000, 0), command(o, LC_UUID, nil, "0123456789abcdef"))
	r := NewReader(nil)
	for n := range len(b) {
		ok := r.OpenMemory(&Bytes{b[:n], 0x7000}, 0x7000)
		if ok != (n >= HeaderSize64) || r.Image.HasUUID || r.Image.NumSegments == 1 != (n >= HeaderSize64+segmentSize64) {
			t.Errorf("%d of %d bytes: %v %+v", n, len(b), ok, r.Image)
		}
	}
	if !r.OpenMemory(&Bytes{b, 0x7000}, 0x7000) || !r.Image.HasUUID {
		t.Error("all bytes")
	}
	if r.OpenMemory(&Bytes{b, 0x7000}, 0x7010) || r.OpenMemory(&Bytes{b, 0x7000}, 0x6000) {
		t.Error("an image where there is none")
	}
	r.Close()
	if _, ok := r.Section("__TEXT", "__text"); ok || r.InstallName() != nil {
		t.Error("something of a closed image")
	}
}
