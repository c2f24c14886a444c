package stackwalk

import (
	"encoding/binary"
	"slices"
	"testing"

	"minidump/context"
	"minidump/macho"
)

// machBase is the address of images in the tests, which differs from the link-time address.
const machBase = 0x1_2340_0000

// Offsets of the parts in the images of machOf.
const machCodeAt, machTableAt = 0x400, 0x1000

// machOf builds a Mach-O image, linked at 0x100000000, with code, compact unwind information and __eh_frame in its segment __TEXT.
func machOf(a context.Arch, code, table, ehFrame []byte) []byte {
	le := binary.LittleEndian
	const text, segmentSize, sectionSize, headerSize = 0x1_0000_0000, 72, 80, 32
	ehAt := (machTableAt + len(table) + 15) &^ 15
	b := make([]byte, (ehAt+len(ehFrame)+4095)&^4095)
	cpu := uint32(macho.CPU_TYPE_X86_64)
	if a == context.ARM64 {
		cpu = macho.CPU_TYPE_ARM64
	}
	const size = segmentSize + 3*sectionSize
	for i, v := range []uint32{macho.MH_MAGIC_64, cpu, 0, 6, 1, size, 0, 0} {
		le.PutUint32(b[4*i:], v)
	}
	c := b[headerSize:]
	const lcSegment64 = 0x19
	le.PutUint32(c, lcSegment64)
	le.PutUint32(c[4:], size)
	copy(c[8:], "__TEXT")
	for i, v := range []uint64{text, uint64(len(b)), 0, uint64(len(b))} {
		le.PutUint64(c[24+8*i:], v)
	}
	for i, v := range []uint32{5, 5, 3, 0} {
		le.PutUint32(c[56+4*i:], v)
	}
	c = c[segmentSize:]
	for _, s := range []struct {
		name string
		at   int
		data []byte
	}{{"__text", machCodeAt, code}, {"__unwind_info", machTableAt, table}, {"__eh_frame", ehAt, ehFrame}} {
		copy(c, s.name)
		copy(c[16:], "__TEXT")
		le.PutUint64(c[32:], text+uint64(s.at))
		le.PutUint64(c[40:], uint64(len(s.data)))
		le.PutUint32(c[48:], uint32(s.at))
		copy(b[s.at:], s.data)
		c = c[sectionSize:]
	}
	return b
}

// compactEntry is a function of compactOf.
type compactEntry struct{ offset, encoding uint32 }

// compactOf builds a table with a regular page and a compressed one, whose entries use both kinds of encoding numbers. end is the end of
// the code.
func compactOf(regular, compressed []compactEntry, end uint32) []byte {
	le := binary.LittleEndian
	common := []uint32{compressed[0].encoding}
	first := uint32(compactHeaderSize + 4*len(common))
	page1 := first + 3*compactFirstSize
	page2 := page1 + 8 + 8*uint32(len(regular))
	var b []byte
	for _, v := range []uint32{compactVersion, compactHeaderSize, uint32(len(common)), first, 0, first, 3, common[0],
		regular[0].offset, page1, page1, compressed[0].offset, page2, page1, end, 0, page1} {
		b = le.AppendUint32(b, v)
	}
	b = le.AppendUint32(b, compactPageRegular)
	b = le.AppendUint16(le.AppendUint16(b, 8), uint16(len(regular)))
	for _, e := range regular {
		b = le.AppendUint32(le.AppendUint32(b, e.offset), e.encoding)
	}
	b = le.AppendUint32(b, compactPageCompressed)
	own := compressed[1:]
	for _, v := range []int{12, len(compressed), 12 + 4*len(compressed), len(own)} {
		b = le.AppendUint16(b, uint16(v))
	}
	for i, e := range compressed {
		b = le.AppendUint32(b, uint32(i)<<24|(e.offset-compressed[0].offset))
	}
	for _, e := range own {
		b = le.AppendUint32(b, e.encoding)
	}
	return b
}

// TestCompactPages looks up functions in pages of both kinds.
func TestCompactPages(t *testing.T) {
	regular := []compactEntry{{0x400, 0x01000000}, {0x420, 0x02020000}}
	compressed := []compactEntry{{0x440, 0x01030161}, {0x450, 0}, {0x460, 0x04000010}}
	image := machOf(context.AMD64, make([]byte, 256), compactOf(regular, compressed, 0x480), nil)
	p := &Process{Arch: context.AMD64, Memory: chunk{machBase, image}, facts: factsOf(context.AMD64), reads: maxReads,
		Modules: []Module{{Base: machBase, Size: uint64(len(image))}}}
	table, ok := p.image(0).compactTable()
	if !ok || table.text != 0x1_0000_0000 {
		t.Fatalf("%+v %v", table, ok)
	}
	all := slices.Concat(regular, compressed, []compactEntry{{0x480, 0}})
	for i, e := range all[:len(all)-1] {
		for _, off := range []uint32{e.offset, all[i+1].offset - 1} {
			f, ok := table.find(table.text + uint64(off))
			if want := (compactFunction{table.text + uint64(e.offset), table.text + uint64(all[i+1].offset), e.encoding}); f != want || !ok {
				t.Errorf("%#x: %+v %v, want %+v", off, f, ok, want)
			}
		}
	}
	for _, off := range []uint64{0, 0x3ff, 0x480, 1 << 40} {
		if f, ok := table.find(table.text + off); ok {
			t.Errorf("%#x: %+v", off, f)
		}
	}
}

// TestPermuted decodes register orders that are in the comments of <mach-o/compact_unwind_encoding.h> or were made by hand.
func TestPermuted(t *testing.T) {
	for _, c := range []struct {
		number uint32
		count  int
		want   []int
	}{
		{0, 0, nil},
		{0, 1, []int{1}},
		{5, 1, []int{6}},
		{0, 6, []int{1, 2, 3, 4, 5, 6}},
		{719, 6, []int{6, 5, 4, 3, 2, 1}},
		{10, 3, []int{1, 4, 5}}, // the digits 0, 2, 2
		{29, 2, []int{6, 5}},
	} {
		if got, ok := permuted(c.number, c.count); !ok || !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v %v, want %v", c.number, c.count, got, ok, c.want)
		}
	}
	for _, c := range [][2]uint32{{720, 6}, {6, 1}, {0, 7}} {
		if got, ok := permuted(c[0], int(c[1])); ok {
			t.Errorf("%d of %d: %v", c[0], c[1], got)
		}
	}
}

// FuzzCompact walks with hostile compact unwind information.
func FuzzCompact(f *testing.F) {
	for i := range 2 {
		for _, e := range []uint32{0x01000000, 0x01030161, 0x02080400, 0x03088c0a, 0x04000000, 0x02001000, 0x0400001f, 0x03000000} {
			entries := []compactEntry{{machCodeAt, e}, {machCodeAt + 0x80, e}}
			f.Add(uint8(i), compactOf(entries, entries, machCodeAt+0x100), ehFrame(context.AMD64, 16, []byte{cfaDefCFA, 7, 8}, nil),
				[]byte{0x55, 0x48, 0x89, 0xe5, 0x41, 0x57, 0x48, 0x83, 0xec, 0x20, 0x5d, 0xc3}, uint64(4))
			f.Add(uint8(i), compactOf(entries, entries, machCodeAt+0x100), []byte{},
				[]byte{0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0, 0x91, 0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6}, uint64(8))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, table, ehFrame, code []byte, pc uint64) {
		a := []context.Arch{context.AMD64, context.ARM64}[which%2]
		image := machOf(a, slices.Concat(code, make([]byte, 256))[:256], table, ehFrame)
		stack := make([]byte, 1024)
		for i := 0; i+8 <= len(stack); i += 8 {
			v := machBase + machCodeAt + uint64(i)&0xff
			if i%24 == 0 {
				v = stackBase + uint64(i) + 48
			}
			binary.LittleEndian.PutUint64(stack[i:], v)
		}
		checkWalk(t, func() []Frame {
			p := Process{Arch: a, Memory: pieces{{machBase, image}, {stackBase, stack}}, MaxFrames: 64,
				Modules: []Module{{Name: "image", Base: machBase, Size: uint64(len(image))}}}
			return p.Walk(cpuOf(a, func(name string) uint64 {
				switch name {
				case factsOf(a).names[slotPC], "lr":
					return machBase + machCodeAt + pc&0xff
				}
				return stackBase + uint64(len(name))*8
			}))
		})
	})
}
