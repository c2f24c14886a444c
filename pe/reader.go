package pe

// Layout says how an image lies in a Source.
type Layout uint8

const (
	// File is an image as a linker wrote it: the parts lie where the section table says.
	File Layout = iota
	// Loaded is an image in the memory of a process: offset 0 is its base address, and every part lies at its RVA.
	Loaded
)

// MinScratch is the least scratch memory of a Reader in bytes. A quarter of the scratch memory bounds what is read in one
// piece: a CodeView record, a version resource or an exported name is cut to that size.
const MinScratch = 8192

// ownScratch is what NewReader takes where the caller has none.
const ownScratch = 64 << 10

// Reader looks at one image after another. It owns scratch memory and never allocates after NewReader.
//
// Open an image, then ask. What a method returns as bytes lies in the scratch memory and is valid until the next call
// of a method. A Reader is not for concurrent use.
type Reader struct {
	Header Header // of the open image

	src      Source
	layout   Layout
	sections uint64 // offset of the section table in the source
	end      uint64 // no part of the image lies past this offset
	cache    cache
	piece    piece // the one that place found last
}

// piece is a run of the image that lies in the source in one piece.
type piece struct {
	rva, size uint32 // size 0: none
	off       uint64 // in the source
}

// NewReader returns a Reader with that scratch memory, or with 64 KiB of its own if scratch is shorter than MinScratch.
// More scratch means fewer reads.
func NewReader(scratch []byte) *Reader {
	if len(scratch) < MinScratch {
		scratch = make([]byte, ownScratch)
	}
	r := new(Reader)
	r.Init(scratch)
	return r
}

// Init makes of r what NewReader returns, for a Reader that is part of something larger. It allocates nothing, and
// panics if scratch is shorter than MinScratch.
func (r *Reader) Init(scratch []byte) {
	_ = scratch[MinScratch-1]
	r.cache.init(scratch)
	r.Close()
}

// Open reads the headers of the image in src. It reports whether there is one; if not, r has no open image, and every
// method reports that nothing is there.
func (r *Reader) Open(src Source, layout Layout) bool {
	r.Close()
	r.src, r.layout, r.end = src, layout, ^uint64(0)
	if !r.open() {
		r.Close()
		return false
	}
	return true
}

func (r *Reader) open() bool {
	nt, ok := NTHeaderOffset(r.cache.at(r.src, 0, DOSHeaderSize, r.end))
	if !ok || !r.Header.Parse(r.cache.upTo(r.src, uint64(nt), MaxNTHeaders, r.end)) {
		return false
	}
	r.sections = uint64(nt) + 4 + fileHeaderSize + uint64(r.Header.SizeOfOptionalHeader)
	if r.layout == Loaded {
		// What lies past the image in memory is another's.
		r.end = uint64(r.Header.SizeOfImage)
		return r.sections <= r.end
	}
	return true
}

// Close forgets the open image and its Source.
func (r *Reader) Close() {
	r.Header = Header{}
	r.src, r.sections, r.end = nothing, 0, 0
	r.cache.forget()
	r.piece = piece{}
}

// nothing is the Source of a Reader without an open image.
var nothing Source = new(Bytes)

// Offset returns where the byte at rva lies in the source. ok is false if it lies nowhere: past the image, or in a part
// of it that has no bytes in the file.
func (r *Reader) Offset(rva uint32) (off uint64, ok bool) {
	off, left := r.place(rva)
	return off, left > 0
}

// place returns where the byte at rva lies in the source, and how many bytes lie there in one piece; 0: none.
func (r *Reader) place(rva uint32) (off, left uint64) {
	if r.layout == Loaded {
		if uint64(rva) >= r.end {
			return 0, 0
		}
		return uint64(rva), r.end - uint64(rva)
	}
	if rva < r.Header.SizeOfHeaders {
		return uint64(rva), uint64(r.Header.SizeOfHeaders - rva)
	}
	if d := rva - r.piece.rva; rva >= r.piece.rva && d < r.piece.size {
		return r.piece.off + uint64(d), uint64(r.piece.size - d)
	}
	var s Section
	for i := range r.NumSections() {
		if !r.Section(i, &s) {
			break
		}
		if rva < s.VirtualAddress || s.PointerToRawData == 0 {
			continue
		}
		if d := rva - s.VirtualAddress; d < s.SizeOfRawData {
			r.piece = piece{s.VirtualAddress, s.SizeOfRawData, s.raw()}
			return s.raw() + uint64(d), uint64(s.SizeOfRawData - d)
		}
	}
	return 0, 0
}

// ReadAt reads at most len(p) bytes of the image at rva and returns how many it has read. It reads no further than the
// section that rva lies in goes in the file, and in memory no further than the image.
func (r *Reader) ReadAt(p []byte, rva uint32) int {
	off, left := r.place(rva)
	if left == 0 || len(p) == 0 {
		return 0
	}
	p = p[:min(uint64(len(p)), left)]
	return max(0, min(r.src.ReadAt(p, off), len(p)))
}

// entry returns size bytes at rva, or nil.
func (r *Reader) entry(rva uint64, size int) []byte {
	off, left := r.placed(rva)
	if uint64(size) > left {
		return nil
	}
	return r.cache.at(r.src, off, size, off+left)
}

// bytes returns the bytes at rva that are there, at most size.
func (r *Reader) bytes(rva uint64, size int) []byte {
	off, left := r.placed(rva)
	if left == 0 || size <= 0 {
		return nil
	}
	return r.cache.upTo(r.src, off, int(min(uint64(size), left)), off+left)
}

// placed is place for an RVA that was computed and may have more than 32 bits.
func (r *Reader) placed(rva uint64) (off, left uint64) {
	if rva > 0xffffffff {
		return 0, 0
	}
	return r.place(uint32(rva))
}
