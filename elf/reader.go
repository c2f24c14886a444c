package elf

// Placement states where the bytes of an image lie in a Source.
//
// The zero value is a file: offset 0 is the ELF header, everything lies at its file offset. If Memory is set the Source is a
// loaded image: offset 0 is the byte at runtime address Base, where the ELF header lies, and every segment lies where the program
// headers put it.
type Placement struct {
	Memory   bool
	Base     uint64 // runtime address of the ELF header; needed to recognize relocated addresses
	PageSize uint64 // of the target; 0 is 4096
}

const (
	// MinScratch is the minimum size of the scratch memory of a Reader or a ZipReader in bytes.
	MinScratch = 8192
	// MaxSoname bounds the length of a SONAME in bytes.
	MaxSoname = 1024
)

// Reader reads one image through a Source. It is for what the batch functions can't find, because the bytes lie too far apart. It
// owns scratch memory and never allocates after NewReader.
//
// First Open an image. Bytes that a method returns are in the scratch memory and valid until the next call.
type Reader struct {
	Header Header // of the open image
	Image  Image  // of the open image; for a file its addresses are relative to the start of the image

	src       Source
	placement Placement
	table     window // program and section headers
	data      window // notes, strings, code
	hash      [16]byte
}

// NewReader returns a Reader with that scratch memory, or with its own if scratch is shorter than MinScratch. More scratch memory
// means fewer reads.
func NewReader(scratch []byte) *Reader {
	if len(scratch) < MinScratch {
		scratch = make([]byte, MinScratch)
	}
	r := new(Reader)
	r.Init(scratch)
	return r
}

// Init initializes r as NewReader does, for a Reader that is part of something larger. It allocates nothing, and panics if
// scratch is shorter than MinScratch.
func (r *Reader) Init(scratch []byte) {
	_ = scratch[MinScratch-1]
	half := len(scratch) / 2
	r.table, r.data = window{buf: scratch[:half:half]}, window{buf: scratch[half:]}
}

// Open reads the ELF header and the program headers. It returns false if there is no ELF header at offset 0. A table that can't
// be read completely is no failure: Image then has what could be read.
func (r *Reader) Open(src Source, placement Placement) bool {
	if p := placement.PageSize; p == 0 || p&(p-1) != 0 {
		placement.PageSize = 4096
	}
	r.src, r.placement = src, placement
	r.table.n, r.data.n = 0, 0
	b := r.table.at(src, 0, HeaderSize64)
	if b == nil {
		b = r.table.at(src, 0, HeaderSize32)
	}
	var ok bool
	if r.Header, ok = ParseHeader(b); !ok {
		r.Image = Image{}
		return false
	}
	base := uint64(0)
	if placement.Memory {
		base = placement.Base
	}
	r.Image = Image{Class: r.Header.Class, Base: base}
	s := newScan(&r.Image, placement.PageSize)
	for i := 0; i < r.numProgs(); i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		s.add(&p)
	}
	s.finish()
	return true
}

// Close drops the reference to the Source.
func (r *Reader) Close() { r.src = nil }

func (r *Reader) numProgs() int {
	if stride := r.Header.progStride(); stride != 0 {
		return r.Header.ProgTableSize() / stride
	}
	return 0
}

func (r *Reader) prog(i int) (Prog, bool) {
	stride := r.Header.progStride()
	off := r.Header.Phoff + uint64(i)*uint64(stride)
	if off < r.Header.Phoff {
		return Prog{}, false
	}
	return r.Header.Prog(r.table.at(r.src, off, stride), 0)
}

// place returns the offset in the source of a piece of the image with the file offset off and the link-time address vaddr, both
// from one segment or section header.
func (r *Reader) place(off, vaddr uint64) uint64 {
	if r.placement.Memory {
		return (r.Image.Runtime(vaddr) - r.placement.Base) & r.Image.Class.mask()
	}
	return off
}

// placeAddr returns the offset in the source of the runtime address addr (of the image as Scan laid it out).
func (r *Reader) placeAddr(addr uint64) (uint64, bool) {
	mask := r.Image.Class.mask()
	if r.placement.Memory {
		return (addr - r.placement.Base) & mask, true
	}
	vaddr := (addr - r.Image.Bias) & mask
	for i := 0; i < r.numProgs(); i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type == PT_LOAD && vaddr >= p.Vaddr && vaddr-p.Vaddr < p.Filesz {
			return p.Off + (vaddr - p.Vaddr), true
		}
	}
	return 0, false
}

// placeOff returns the offset in the source of the file offset off. In memory that is where a PT_LOAD maps it: whole pages are
// mapped, so the file contents after the segment in its last page are there too, unless they were cleared for .bss.
func (r *Reader) placeOff(off uint64) (uint64, bool) {
	if !r.placement.Memory {
		return off, true
	}
	page := r.placement.PageSize
	for i := 0; i < r.numProgs(); i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type != PT_LOAD || p.Filesz == 0 || p.Off+p.Filesz+page < p.Off {
			continue
		}
		end := p.Off + p.Filesz
		if p.Memsz <= p.Filesz {
			end = (end + page - 1) &^ (page - 1)
		}
		if off >= p.Off&^(page-1) && off < end {
			return r.place(off, p.Vaddr+(off-p.Off)), true
		}
	}
	return 0, false
}

// sectionTable states where the section headers and their names lie in the source.
type sectionTable struct {
	off      uint64 // of header 0
	n        int
	names    uint64 // offset of the string table with the names
	namesLen uint64 // bytes; 0 if there are no names, and sections can be found by type only
}

// sections locates the section headers; false if there are none or they are not mapped.
func (r *Reader) sections() (t sectionTable, ok bool) {
	h := &r.Header
	if h.sectionStride() == 0 || h.Shoff == 0 {
		return t, false
	}
	if t.off, ok = r.placeOff(h.Shoff); !ok {
		return t, false
	}
	first, ok := r.section(t.off, 0)
	if !ok || first.Type != SHT_NULL {
		return t, false
	}
	_, num, strndx := h.Extended(first)
	t.n = int(min(num, MaxSections))
	if int64(strndx) < int64(t.n) {
		if s, ok := r.section(t.off, int(strndx)); ok && s.Type == SHT_STRTAB {
			if at, ok := r.placeOff(s.Off); ok && at+s.Size >= at {
				t.names, t.namesLen = at, s.Size
			}
		}
	}
	return t, true
}

func (r *Reader) section(at uint64, i int) (Section, bool) {
	stride := r.Header.sectionStride()
	off := at + uint64(i)*uint64(stride)
	if off < at {
		return Section{}, false
	}
	return r.Header.Section(r.table.at(r.src, off, stride), 0)
}

// placeSection returns the offset in the source of the contents of a section.
func (r *Reader) placeSection(s *Section) (uint64, bool) {
	if r.placement.Memory && s.Flags&SHF_ALLOC != 0 {
		return r.place(s.Off, s.Addr), true
	}
	return r.placeOff(s.Off)
}

// named reports whether the section name at offset i of the name table is that name.
func (r *Reader) named(t *sectionTable, i uint32, name string) bool {
	if uint64(i)+uint64(len(name)) >= t.namesLen {
		return false
	}
	if t.namesLen <= uint64(len(r.data.buf)) {
		r.data.at(r.src, t.names, int(t.namesLen)) // the whole table at once: the names are in any order
	}
	b := r.data.at(r.src, t.names+uint64(i), len(name)+1)
	return b != nil && b[len(name)] == 0 && string(b[:len(name)]) == name
}

// note finds a note in size bytes at off of the source, no matter how many other notes precede it, and returns its descriptor.
func (r *Reader) note(off, size, align uint64, name string, typ uint32) []byte {
	_, desc := r.noteAt(off, size, align, name, typ)
	return desc
}

// noteAt is note, but also returns the offset of the descriptor in the source.
func (r *Reader) noteAt(off, size, align uint64, name string, typ uint32) (where uint64, desc []byte) {
	for _, a := range [2]uint64{align, otherAlign(align)} {
		at, left := off, min(size, MaxSegmentRead)
		for left != 0 {
			b := r.data.piece(r.src, at, left)
			begin := len(b)
			for {
				n, rest, ok := NextNote(b, a, r.Header.Order)
				if !ok {
					break
				}
				if n.Type == typ && string(n.Name) == name && len(n.Desc) != 0 {
					return at + uint64(begin-len(b)) + descOffset(b, a, r.Header.Order), n.Desc
				}
				b = rest
			}
			done := uint64(begin - len(b))
			if done == 0 {
				break // nothing more, or a note larger than the scratch memory
			}
			at += done
			left -= done
		}
	}
	return 0, nil
}

// piece returns the available bytes at off: at most size bytes and at most one window.
func (w *window) piece(src Source, off, size uint64) []byte {
	if b := w.have(off, int(min(size, uint64(len(w.buf))))); b != nil {
		return b
	}
	w.off, w.n = off, w.fill(src, off)
	return w.buf[:min(uint64(w.n), size)]
}
