package macho

import "encoding/binary"

// Magic numbers of fat files, which are always big-endian (<mach-o/fat.h>).
const (
	FAT_MAGIC    = 0xcafebabe
	FAT_MAGIC_64 = 0xcafebabf
)

// Sizes of the structures of <mach-o/fat.h> in bytes, and a bound.
const (
	FatHeaderSize = 8  // struct fat_header
	FatArchSize   = 20 // struct fat_arch
	FatArchSize64 = 32 // struct fat_arch_64

	// MaxFatArchs bounds the slices of a fat file. A Java class file has the same magic, followed by a version of 45 or more in
	// place of the count.
	MaxFatArchs = 32
)

// FatHeader is the header of a file with one image for each of several CPUs.
type FatHeader struct {
	Is64  bool   // FAT_MAGIC_64: offsets and sizes of 64 bits
	Narch uint32 // 1 to MaxFatArchs
}

// FatArch is one slice of a fat file.
type FatArch struct {
	CPU, SubCPU uint32
	Off, Size   uint64 // in the file, bytes
	Align       uint32 // as a power of two
}

// ParseFatHeader reads the header of a fat file. It returns false if b is too short, has another magic, or states no slice
// or more than MaxFatArchs.
func ParseFatHeader(b []byte) (FatHeader, bool) {
	if len(b) < FatHeaderSize {
		return FatHeader{}, false
	}
	h := FatHeader{Narch: binary.BigEndian.Uint32(b[4:])}
	switch binary.BigEndian.Uint32(b) {
	case FAT_MAGIC:
	case FAT_MAGIC_64:
		h.Is64 = true
	default:
		return FatHeader{}, false
	}
	if h.Narch == 0 || h.Narch > MaxFatArchs {
		return FatHeader{}, false
	}
	return h, true
}

// archSize returns the size of the description of a slice in bytes.
func (h FatHeader) archSize() int {
	if h.Is64 {
		return FatArchSize64
	}
	return FatArchSize
}

// TableSize returns the size in bytes of the slice descriptions that follow the header.
func (h FatHeader) TableSize() int { return int(h.Narch) * h.archSize() }

// Arch reads slice i from the bytes that follow the header. It returns false if there is none.
func (h FatHeader) Arch(table []byte, i int) (FatArch, bool) {
	size := h.archSize()
	if i < 0 || i >= int(h.Narch) || i >= len(table)/size {
		return FatArch{}, false
	}
	b, o := table[i*size:], binary.BigEndian
	a := FatArch{CPU: o.Uint32(b), SubCPU: o.Uint32(b[4:])}
	if h.Is64 {
		a.Off, a.Size, a.Align = o.Uint64(b[8:]), o.Uint64(b[16:]), o.Uint32(b[24:])
	} else {
		a.Off, a.Size, a.Align = uint64(o.Uint32(b[8:])), uint64(o.Uint32(b[12:])), o.Uint32(b[16:])
	}
	return a, true
}
