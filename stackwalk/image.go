package stackwalk

import (
	stdelf "debug/elf"
	"encoding/binary"
	"io"
)

// load is a segment of an image: PT_LOAD, or a section of a PE file.
type load struct {
	vaddr, off, filesz, memsz uint64
	exec, writable            bool
	file                      io.ReaderAt // its contents in the file; nil: only in memory
}

// image is what is known about a module: the addresses of its parts, and its tables.
type image struct {
	p     *Process
	m     *Module
	bias  uint64 // runtime address minus link-time address
	loads []load
	big   bool
	ptr   int // size of an address in its tables, in bytes

	ehFrameHdr, exidx segment // link-time addresses
	pdata             segment // of a PE image: its exception directory

	compact, ehFrameSection segment // of a Mach-O image: __unwind_info and __eh_frame

	tables  []*frameTable // DWARF tables, the preferred one first
	scanned bool          // tables has been filled in
}

// segment is a part of an image at link-time addresses.
type segment struct{ vaddr, size uint64 }

// image returns what is known about module m. The first call determines it.
func (p *Process) image(m int) *image {
	if len(p.images) != len(p.Modules) {
		p.images = make([]*image, len(p.Modules))
	}
	if p.images[m] == nil {
		im := &image{p: p, m: &p.Modules[m], ptr: p.facts.word, big: p.order() == binary.ByteOrder(binary.BigEndian)}
		p.images[m] = im // before Load and the reads below, which may call image again
		if p.Load != nil {
			p.Load(m)
		}
		im.find()
	}
	return p.images[m]
}

// find reads the headers of the image, from the file or else from memory.
func (im *image) find() {
	if f := im.m.Image; f != nil {
		im.ptr = 4
		if f.Class == stdelf.ELFCLASS64 {
			im.ptr = 8
		}
		for _, g := range f.Progs {
			im.add(&g.ProgHeader, g.ReaderAt)
		}
	} else if !im.fromMemory() {
		if !im.findMachO() {
			im.findPE()
		}
		return
	}
	im.setBias()
}

// maxPhdrs is how many program headers are read from memory.
const maxPhdrs = 128

// fromMemory reads the program headers from memory, and reports whether there is an ELF header.
func (im *image) fromMemory() bool {
	var h [64]byte
	if n := im.read(im.m.Base, h[:]); n < 52 || string(h[:4]) != stdelf.ELFMAG {
		return false
	}
	o := im.order()
	phoff, size, count := uint64(o.Uint32(h[28:])), 32, int(o.Uint16(h[44:]))
	if h[4] == byte(stdelf.ELFCLASS64) {
		phoff, size, count = o.Uint64(h[32:]), 56, int(o.Uint16(h[56:]))
		im.ptr = 8
	} else {
		im.ptr = 4
	}
	b := make([]byte, min(count, maxPhdrs)*size)
	b = b[:im.read(im.m.Base+phoff, b)]
	for ; len(b) >= size; b = b[size:] {
		var g stdelf.ProgHeader
		if size == 56 {
			g = stdelf.ProgHeader{Type: stdelf.ProgType(o.Uint32(b)), Flags: stdelf.ProgFlag(o.Uint32(b[4:])), Off: o.Uint64(b[8:]),
				Vaddr: o.Uint64(b[16:]), Filesz: o.Uint64(b[32:]), Memsz: o.Uint64(b[40:])}
		} else {
			g = stdelf.ProgHeader{Type: stdelf.ProgType(o.Uint32(b)), Off: uint64(o.Uint32(b[4:])), Vaddr: uint64(o.Uint32(b[8:])),
				Filesz: uint64(o.Uint32(b[16:])), Memsz: uint64(o.Uint32(b[20:])), Flags: stdelf.ProgFlag(o.Uint32(b[24:]))}
		}
		im.add(&g, nil)
	}
	return true
}

// add records a program header.
func (im *image) add(g *stdelf.ProgHeader, file io.ReaderAt) {
	const armExidx = stdelf.ProgType(0x70000001) // PT_ARM_EXIDX
	switch {
	case g.Type == stdelf.PT_LOAD && g.Vaddr+g.Memsz >= g.Vaddr:
		im.loads = append(im.loads, load{vaddr: g.Vaddr, off: g.Off, filesz: min(g.Filesz, g.Memsz), memsz: g.Memsz,
			exec: g.Flags&stdelf.PF_X != 0, writable: g.Flags&stdelf.PF_W != 0, file: file})
	case g.Type == stdelf.PT_GNU_EH_FRAME:
		im.ehFrameHdr = segment{g.Vaddr, g.Memsz}
	case g.Type == armExidx && im.p.facts.word == 4:
		im.exidx = segment{g.Vaddr, g.Memsz}
	}
}

// setBias sets bias from the segment that maps the start of the file, where the module begins, or else from the first segment.
func (im *image) setBias() {
	const pageMask = 0xfff // all page sizes are multiples of 0x1000
	for i := range im.loads {
		l := &im.loads[i]
		if l.off <= pageMask && l.off <= l.vaddr {
			im.bias = im.m.Base - (l.vaddr - l.off)
			return
		}
	}
	if len(im.loads) > 0 {
		im.bias = im.m.Base - im.loads[0].vaddr&^pageMask
	}
}

func (im *image) order() binary.ByteOrder { return im.p.order() }

// read calls Process.read.
func (im *image) read(addr uint64, b []byte) int { return im.p.read(addr, b) }

// readLinked is read at a link-time address.
func (im *image) readLinked(vaddr uint64, b []byte) int { return im.p.read(vaddr+im.bias, b) }

// readAt reads read-only memory from the file.
func (im *image) readAt(addr uint64, b []byte) int {
	if im.m.Mapped != nil && addr >= im.m.Base {
		if off := addr - im.m.Base; off < im.m.Size && off < 1<<62 {
			n, _ := im.m.Mapped.ReadAt(b, int64(off))
			return max(0, min(n, len(b)))
		}
	}
	vaddr := addr - im.bias
	for i := range im.loads {
		l := &im.loads[i]
		if l.file == nil || l.writable || vaddr < l.vaddr || vaddr-l.vaddr >= l.filesz || vaddr-l.vaddr >= 1<<62 {
			continue
		}
		n, _ := l.file.ReadAt(b[:min(uint64(len(b)), l.filesz-(vaddr-l.vaddr))], int64(vaddr-l.vaddr))
		return max(0, n)
	}
	return 0
}

// isCode reports whether addr is in an executable segment.
func (im *image) isCode(addr uint64) bool {
	vaddr := addr - im.bias
	for i := range im.loads {
		if l := &im.loads[i]; l.exec && vaddr >= l.vaddr && vaddr-l.vaddr < l.memsz {
			return true
		}
	}
	return false
}
