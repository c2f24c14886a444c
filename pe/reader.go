package pe

// Layout states how an image is laid out in a Source.
type Layout uint8

const (
	// File is an image as written by a linker: the section table states the offsets of its parts.
	File Layout = iota
	// Loaded is an image in the memory of a process: offset 0 is its base address, and every part is at its RVA.
	Loaded
)

// MinScratch is the minimum size of the scratch memory of a Reader in bytes. A quarter of the scratch memory is the largest piece
// that can be read: a longer CodeView record, version resource or exported name is cut to that size.
const MinScratch = 8192

// ownScratch is the size of the scratch memory that NewReader allocates if the caller has none.
const ownScratch = 64 << 10

// Reader reads one image after another. It owns scratch memory and never allocates after NewReader.
//
// First open an image. Bytes that a method returns are in the scratch memory and valid until the next call of a method. A Reader
// is not for concurrent use.
type Reader struct {
	Header Header // of the open image

	src      Source
	layout   Layout
	sections uint64 // offset of the section table in the source
	end      uint64 // no part of the image is beyond this offset
	cache    cache
	piece    piece // the piece that place found last
}

// piece is a part of the image that is contiguous in the source.
type piece struct {
	rva, size uint32 // size 0: none
	off       uint64 // in the source
}

// NewReader returns a Reader with that scratch memory, or with 64 KiB of its own if scratch is shorter than MinScratch. More
// scratch memory means fewer reads.
func NewReader(scratch []byte) *Reader {
	if len(scratch) < MinScratch {
		scratch = make([]byte, ownScratch)
	}
	r := new(Reader)
	r.Init(scratch)
	return r
}

// Init initializes r as NewReader does, for a Reader that is part of something larger. It allocates nothing, and panics if
// scratch is shorter than MinScratch.
func (r *Reader) Init(scratch []byte) {
	_ = scratch[MinScratch-1]
	r.cache.init(scratch)
	r.Close()
}

// Open reads the headers of the image in src. It returns false if there is none: r then has no open image, and all methods behave
// as if it were empty.
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
		// In memory, the data beyond the image belongs to something else.
		r.end = uint64(r.Header.SizeOfImage)
		return r.sections <= r.end
	}
	return true
}

// Close drops the references to the open image and its Source.
func (r *Reader) Close() {
	r.Header = Header{}
	r.src, r.sections, r.end = nothing, 0, 0
	r.cache.forget()
	r.piece = piece{}
}

// nothing is the Source of a Reader without an open image.
var nothing Source = new(Bytes)

// Offset returns the offset in the source of the byte at rva. ok is false if the byte is not there: beyond the image, or in a
// part of the image that has no bytes in the file.
func (r *Reader) Offset(rva uint32) (off uint64, ok bool) {
	off, left := r.place(rva)
	return off, left > 0
}

// place returns the offset in the source of the byte at rva, and the number of contiguous bytes there; 0: none.
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

// ReadAt reads at most len(p) bytes of the image at rva and returns the number of bytes read. In a file it does not read beyond
// the end of the section with rva, in memory not beyond the end of the image.
func (r *Reader) ReadAt(p []byte, rva uint32) int {
	off, left := r.place(rva)
	if left == 0 || len(p) == 0 {
		return 0
	}
	p = p[:min(uint64(len(p)), left)]
	return max(0, min(r.src.ReadAt(p, off), len(p)))
}

// entry returns the size bytes at rva, or nil.
func (r *Reader) entry(rva uint64, size int) []byte {
	off, left := r.placed(rva)
	if uint64(size) > left {
		return nil
	}
	return r.cache.at(r.src, off, size, off+left)
}

// bytes returns the available bytes at rva, at most size.
func (r *Reader) bytes(rva uint64, size int) []byte {
	off, left := r.placed(rva)
	if left == 0 || size <= 0 {
		return nil
	}
	return r.cache.upTo(r.src, off, int(min(uint64(size), left)), off+left)
}

// placed is place for a computed RVA, which may have more than 32 bits.
func (r *Reader) placed(rva uint64) (off, left uint64) {
	if rva > 0xffffffff {
		return 0, 0
	}
	return r.place(uint32(rva))
}
