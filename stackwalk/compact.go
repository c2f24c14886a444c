package stackwalk

import (
	"encoding/binary"
	"sort"

	"minidump/context"
)

// Layout of __TEXT,__unwind_info (<mach-o/compact_unwind_encoding.h>). All offsets in it count from its start; functions are offsets
// from the start of __TEXT. A first-level entry refers to a page, except the last one, which contains only the end of the code.
const (
	compactVersion    = 1
	compactHeaderSize = 28
	compactFirstSize  = 12 // functionOffset, secondLevelPagesSectionOffset, lsdaIndexArraySectionOffset

	compactPageRegular    = 2 // entries of functionOffset and encoding
	compactPageCompressed = 3 // entries of 24 bits of offset from the page's first function, and 8 bits of index
	compactPageSize       = 4096
)

// compactFunction is what the table says about one function.
type compactFunction struct {
	start, end uint64 // link-time addresses
	encoding   uint32
}

// compactTable reads the table of an image.
type compactTable struct {
	im                *image
	text              uint64 // link-time address of __TEXT
	common, nCommon   uint32 // offset and number of the encodings that all pages share
	first, firstCount uint32 // offset and number of the first-level entries
}

// compactTable returns the table of the image; ok is false if there is none.
func (im *image) compactTable() (t compactTable, ok bool) {
	var h [compactHeaderSize]byte
	if im.compact.size < compactHeaderSize || im.readLinked(im.compact.vaddr, h[:]) < len(h) {
		return t, false
	}
	o := im.order()
	if o.Uint32(h[:]) != compactVersion {
		return t, false
	}
	t = compactTable{im: im, text: im.m.Base - im.bias, common: o.Uint32(h[4:]), nCommon: o.Uint32(h[8:]),
		first: o.Uint32(h[20:]), firstCount: o.Uint32(h[24:])}
	t.firstCount = min(t.firstCount, uint32(min(im.compact.size/compactFirstSize, 1<<24)))
	return t, true
}

// read reads at an offset in the table, no further than that.
func (t *compactTable) read(off uint32, b []byte) int {
	if uint64(off) >= t.im.compact.size {
		return 0
	}
	return t.im.readLinked(t.im.compact.vaddr+uint64(off), b[:min(uint64(len(b)), t.im.compact.size-uint64(off))])
}

// word reads a 32-bit number.
func (t *compactTable) word(off uint32) (uint32, bool) {
	var b [4]byte
	n := t.read(off, b[:])
	return t.im.order().Uint32(b[:]), n == len(b)
}

// find returns the function that contains the link-time address pc.
func (t *compactTable) find(pc uint64) (f compactFunction, ok bool) {
	off := pc - t.text
	if pc < t.text || off > 1<<32-1 || t.firstCount < 2 {
		return f, false
	}
	failed := false
	function := func(i int) uint64 {
		w, ok := t.word(t.first + compactFirstSize*uint32(i))
		failed = failed || !ok
		return uint64(w)
	}
	n := int(t.firstCount)
	i := sort.Search(n, func(i int) bool { return function(i) > off }) - 1
	if i < 0 || i >= n-1 || failed { // the last one is the end of the code
		return f, false
	}
	at, ok := t.word(t.first + compactFirstSize*uint32(i) + 4)
	if !ok || at == 0 {
		return f, false
	}
	page := make([]byte, compactPageSize)
	page = page[:t.read(at, page)]
	start, end, encoding, ok := t.inPage(page, function(i), function(i+1), off)
	return compactFunction{t.text + start, t.text + end, encoding}, ok && !failed && off >= start && off < end
}

// inPage finds the entry of a page for an offset. first and next are the first functions of this page and the next one.
func (t *compactTable) inPage(page []byte, first, next, off uint64) (start, end uint64, encoding uint32, ok bool) {
	o := t.im.order()
	if len(page) < 12 {
		return 0, 0, 0, false
	}
	kind, at, count := o.Uint32(page), int(o.Uint16(page[4:])), int(o.Uint16(page[6:]))
	size := 4
	if kind == compactPageRegular {
		size = 8
	} else if kind != compactPageCompressed {
		return 0, 0, 0, false
	}
	if at > len(page) {
		return 0, 0, 0, false
	}
	entries := page[at:]
	count = min(count, len(entries)/size)
	function := func(i int) uint64 {
		w := o.Uint32(entries[size*i:])
		if kind == compactPageCompressed {
			return first + uint64(w&0xffffff)
		}
		return uint64(w)
	}
	i := sort.Search(count, func(i int) bool { return function(i) > off }) - 1
	if i < 0 {
		return 0, 0, 0, false
	}
	if end = next; i+1 < count {
		end = function(i + 1)
	}
	if kind == compactPageRegular {
		return function(i), end, o.Uint32(entries[size*i+4:]), true
	}
	encoding, ok = t.encoding(page, o, o.Uint32(entries[size*i:])>>24)
	return function(i), end, encoding, ok
}

// encoding returns an encoding by its number: first come those of the whole table, then those of the page.
func (t *compactTable) encoding(page []byte, o binary.ByteOrder, index uint32) (uint32, bool) {
	if index < t.nCommon {
		return t.word(t.common + 4*index)
	}
	at, count := int(o.Uint16(page[8:])), uint32(o.Uint16(page[10:]))
	i := index - t.nCommon
	if at += 4 * int(i); i >= count || at+4 > len(page) {
		return 0, false
	}
	return o.Uint32(page[at:]), true
}

// Modes of an encoding.
const (
	compactModeMask = 0x0f000000

	compactX64Frame     = 0x01000000
	compactX64Immediate = 0x02000000
	compactX64Indirect  = 0x03000000
	compactX64DWARF     = 0x04000000

	compactARM64Frameless = 0x02000000
	compactARM64DWARF     = 0x03000000
	compactARM64Frame     = 0x04000000

	compactDWARFOffset = 0x00ffffff // of the FDE in __eh_frame
)

// byCompact finds the caller by the compact unwind information of a Mach-O image. It describes only the body of a function. For
// the innermost frame the effect of the first and last instructions is determined from the code.
func (p *Process) byCompact(s, next *state) outcome {
	m := p.moduleAt(s.regs.pc())
	if m < 0 || s.guess || p.Arch != context.AMD64 && p.Arch != context.ARM64 {
		return failed
	}
	im := p.image(m)
	t, ok := im.compactTable()
	if !ok {
		return failed
	}
	f, ok := t.find(s.lookup() - im.bias)
	mode := f.encoding & compactModeMask
	if !ok || mode == 0 { // the function has no unwind information
		return failed
	}
	if s.exact {
		if how := p.fromEpilog(s, next, im); how != failed {
			return how
		}
	}
	switch {
	case p.Arch == context.ARM64 && mode != compactARM64DWARF:
		return p.byCompactARM64(s, next, im, &f)
	case p.Arch == context.AMD64 && mode != compactX64DWARF:
		return p.byCompactX64(s, next, im, &f)
	}
	return p.byCompactDWARF(s, next, im, &f)
}

// fromEpilog finds the caller of the innermost function if that is about to return: its code is the rest of an epilog.
func (p *Process) fromEpilog(s, next *state, im *image) outcome {
	if p.Arch == context.ARM64 {
		r := armRegisters{p: p, regs: s.regs, sp: s.regs.sp()}
		if !r.epilog(s.regs.pc()) {
			return failed
		}
		next.regs.take(&r.regs, r.loaded)
		return p.returnARM64(next, &r.regs, r.sp)
	}
	u := unwinder{im: im, regs: s.regs, sp: s.regs.sp()}
	if !u.epilog(s.regs.pc()) {
		return failed
	}
	next.regs.take(&u.regs, u.loaded)
	return p.returnX64(next, u.sp)
}

// byCompactDWARF finds the caller by the FDE to which an encoding refers. Some linkers write no offset into the
// encoding; then byCFI finds the FDE.
func (p *Process) byCompactDWARF(s, next *state, im *image, c *compactFunction) outcome {
	off := uint64(c.encoding & compactDWARFOffset)
	if off >= im.ehFrameSection.size {
		return failed
	}
	t := im.ehFrameOfMachO()
	f, ok := t.fdeAt(t.start + off)
	vaddr := s.lookup() - im.bias
	if !ok || vaddr < f.start || vaddr >= f.end {
		return failed
	}
	return p.byFDE(s, next, t, &f, vaddr)
}

// ehFrameOfMachO returns the table in __TEXT,__eh_frame.
func (im *image) ehFrameOfMachO() *frameTable {
	return &frameTable{read: im.readLinked, order: im.order(), ptr: im.ptr, start: im.ehFrameSection.vaddr, size: im.ehFrameSection.size}
}
