package macho

import "encoding/binary"

// Magic numbers of thin files, as a reader of the file's own byte order sees them (<mach-o/loader.h>).
const (
	MH_MAGIC    = 0xfeedface
	MH_MAGIC_64 = 0xfeedfacf
)

// File types (<mach-o/loader.h>).
const (
	MH_OBJECT   = 1
	MH_EXECUTE  = 2
	MH_DYLIB    = 6
	MH_DYLINKER = 7
	MH_BUNDLE   = 8
	MH_DSYM     = 10
)

// MH_DYLIB_IN_CACHE is set in Flags of an image in the dyld shared cache (<mach-o/loader.h>). Its segments are not adjacent to
// the header.
const MH_DYLIB_IN_CACHE = 0x80000000

// CPU types and a mask for CPU subtypes (<mach/machine.h>).
const (
	CPU_TYPE_X86     = 7
	CPU_TYPE_X86_64  = 0x01000007
	CPU_TYPE_ARM     = 12
	CPU_TYPE_ARM64   = 0x0100000c
	CPU_TYPE_POWERPC = 18

	CPU_SUBTYPE_MASK = 0xff000000 // the bits of a subtype that state capabilities
)

// Sizes of the structures in bytes, and a bound.
const (
	HeaderSize32 = 28 // struct mach_header
	HeaderSize64 = 32 // struct mach_header_64

	// MaxCommands bounds the load commands of an image in bytes. Those of large programs have some 20 KiB.
	MaxCommands = 1 << 20
)

// Header is the header of an image (struct mach_header, struct mach_header_64).
type Header struct {
	Is64       bool
	Order      binary.ByteOrder // of the image, not of this machine
	CPU        uint32           // cputype
	SubCPU     uint32           // cpusubtype, with the capability bits in its highest byte
	FileType   uint32           // MH_EXECUTE and so on
	Ncmds      uint32
	Sizeofcmds uint32 // bytes
	Flags      uint32
}

// ParseHeader reads a Mach-O header. HeaderSize64 bytes are enough for every image. It returns false if b is too short or has
// another magic; for fat files use ParseFatHeader.
func ParseHeader(b []byte) (Header, bool) {
	if len(b) < HeaderSize32 {
		return Header{}, false
	}
	var h Header
	switch binary.LittleEndian.Uint32(b) {
	case MH_MAGIC:
		h.Order = binary.LittleEndian
	case MH_MAGIC_64:
		h.Is64, h.Order = true, binary.LittleEndian
	case 0xcefaedfe: // MH_CIGAM
		h.Order = binary.BigEndian
	case 0xcffaedfe: // MH_CIGAM_64
		h.Is64, h.Order = true, binary.BigEndian
	default:
		return Header{}, false
	}
	if len(b) < h.Size() {
		return Header{}, false
	}
	o := h.Order
	h.CPU, h.SubCPU, h.FileType = o.Uint32(b[4:]), o.Uint32(b[8:]), o.Uint32(b[12:])
	h.Ncmds, h.Sizeofcmds, h.Flags = o.Uint32(b[16:]), o.Uint32(b[20:]), o.Uint32(b[24:])
	return h, true
}

// Size returns the size of the header in bytes. The load commands follow it.
func (h *Header) Size() int {
	if h.Is64 {
		return HeaderSize64
	}
	return HeaderSize32
}

// CommandsSize returns the size in bytes of the load commands, which follow the header: at most MaxCommands.
func (h *Header) CommandsSize() int { return int(min(h.Sizeofcmds, MaxCommands)) }

// InSharedCache reports whether the image is in the dyld shared cache.
func (h *Header) InSharedCache() bool { return h.Flags&MH_DYLIB_IN_CACHE != 0 }

// mask is the largest address of the image. Sums of addresses are masked with it, as they would wrap in the task itself.
func (h *Header) mask() uint64 {
	if h.Is64 {
		return ^uint64(0)
	}
	return 1<<32 - 1
}
