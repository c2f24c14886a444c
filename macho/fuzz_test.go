package macho

import (
	"bytes"
	"testing"
)

// counted is a Source that counts reads: the work for a hostile image must be bounded.
type counted struct {
	Bytes
	reads int
}

func (s *counted) ReadAt(p []byte, off uint64) int {
	s.reads++
	return s.Bytes.ReadAt(p, off)
}

func FuzzReader(f *testing.F) {
	for _, k := range kinds {
		f.Add(synth(k.is64, k.order, command(k.order, LC_UUID, nil, "0123456789abcdef"), command(k.order, LC_ID_DYLIB, []uint32{24, 1, 2, 3}, "name"),
			synthSegment(k.is64, k.order, "__TEXT", 0x1000, 0x1000, 0, synthSection{"__text", 0x1000, 8, 0}),
			synthSegment(k.is64, k.order, "__DATA_DIRTY", 0x2000, 0x1000, 0, synthSection{"__crash_info", 0x2000, 64, 0}),
			command(k.order, LC_LOAD_DYLINKER, []uint32{12}, "dyld")), uint64(0x10000))
	}
	f.Add([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1, 1, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2}, uint64(0))
	r := NewReader(nil)
	f.Fuzz(func(t *testing.T, b []byte, addr uint64) {
		if h, ok := ParseFatHeader(b); ok {
			for i := 0; i < int(h.Narch)+1; i++ {
				h.Arch(b[FatHeaderSize:], i)
			}
		}
		if c, ok := ParseCrashInfo(b, kinds[0].order); ok && c.Version < 4 {
			t.Fatalf("%+v", c)
		}
		if h, ok := ParseHeader(b); ok {
			var im Image
			cmds := b[h.Size():]
			im.Scan(&h, cmds)
			check(t, &im, b)
			if name := im.InstallName.In(cmds); bytes.IndexByte(name, 0) >= 0 {
				t.Fatalf("install name %q", name)
			}
			im.SetAddr(addr)
			im.CrashInfoSection(cmds)
			if s := im.Find(addr); s != nil && s.Size == 0 {
				t.Fatalf("%#x in %+v", addr, s)
			}
		}
		for _, memory := range []bool{false, true} {
			src := &counted{Bytes: Bytes{B: b}}
			if memory {
				src.Addr = addr
			}
			if memory && !r.OpenMemory(src, addr) || !memory && !r.OpenFile(src, 0) {
				continue
			}
			check(t, &r.Image, b)
			if s, ok := r.Section("__TEXT", "__text"); ok {
				r.Read(make([]byte, 16), &s)
			}
			r.CrashInfo()
			if n := len(r.InstallName()); n > MaxText {
				t.Fatalf("install name of %d bytes", n)
			}
			r.Dylinker()
			if src.reads > 2*len(b)/commandHead+MaxSegments*maxSections*4 {
				t.Fatalf("%d reads of %d bytes", src.reads, len(b))
			}
		}
	})
}

func check(t *testing.T, im *Image, b []byte) {
	t.Helper()
	if im.Commands*commandHead > len(b) || im.Commands > int(im.Header.Ncmds) || im.NumSegments > MaxSegments {
		t.Fatalf("%d commands in %d bytes, %d stated, %d segments", im.Commands, len(b), im.Header.Ncmds, im.NumSegments)
	}
}
