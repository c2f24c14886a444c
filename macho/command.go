package macho

import "encoding/binary"

// Load commands (<mach-o/loader.h>). LC_REQ_DYLD is a flag in the number of some.
const (
	LC_REQ_DYLD             = 0x80000000
	LC_SEGMENT              = 0x1
	LC_ID_DYLIB             = 0xd
	LC_LOAD_DYLINKER        = 0xe
	LC_ID_DYLINKER          = 0xf
	LC_SEGMENT_64           = 0x19
	LC_UUID                 = 0x1b
	LC_VERSION_MIN_MACOSX   = 0x24
	LC_VERSION_MIN_IPHONEOS = 0x25
	LC_MAIN                 = 0x28 | LC_REQ_DYLD
	LC_SOURCE_VERSION       = 0x2a
	LC_VERSION_MIN_TVOS     = 0x2f
	LC_VERSION_MIN_WATCHOS  = 0x30
	LC_BUILD_VERSION        = 0x32
)

// Sizes of structures in bytes (<mach-o/loader.h>).
const (
	commandHead   = 8  // struct load_command
	segmentSize32 = 56 // struct segment_command
	segmentSize64 = 72 // struct segment_command_64
	sectionSize32 = 68 // struct section
	sectionSize64 = 80 // struct section_64
)

// Command is a load command (struct load_command).
type Command struct {
	Cmd  uint32
	Data []byte // the whole command including its head of 8 bytes, a subslice
}

// NextCommand reads the first load command of b and returns it with the rest of b. It returns false at the end, and if the size
// in the command is less than 8 or exceeds b.
func NextCommand(b []byte, o binary.ByteOrder) (c Command, rest []byte, ok bool) {
	if len(b) < commandHead {
		return Command{}, nil, false
	}
	size := o.Uint32(b[4:])
	if size < commandHead || uint64(size) > uint64(len(b)) {
		return Command{}, nil, false
	}
	return Command{o.Uint32(b), b[:size:size]}, b[size:], true
}

// lcStr returns the offset in the command and the length, without its NUL, of the text of the union lc_str at off. head is the
// size of the structure that the text follows.
func (c *Command) lcStr(o binary.ByteOrder, off, head int) (at, size uint32) {
	if len(c.Data) < head {
		return 0, 0
	}
	at = o.Uint32(c.Data[off:])
	if at < commandHead || uint64(at) > uint64(len(c.Data)) {
		return 0, 0
	}
	return at, uint32(len(cString(c.Data[at:])))
}

// cString cuts b at its first NUL.
func cString(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i:i]
		}
	}
	return b
}

// Name is the name of a segment or section: up to 16 bytes, padded with NULs.
type Name [16]byte

// Is reports whether the name is s.
func (n *Name) Is(s string) bool { return string(cString(n[:])) == s }

// String returns the name without its padding. It allocates.
func (n *Name) String() string { return string(cString(n[:])) }

// Segment is a segment of an image (struct segment_command, struct segment_command_64). Addresses are those at link time:
// Image.Runtime converts them.
type Segment struct {
	Name          Name
	Addr, Size    uint64 // in memory, bytes
	Off, Filesz   uint64 // in the file, bytes; of an image in the shared cache, in the cache's file
	Maxprot, Prot uint32 // VM_PROT_READ 1, VM_PROT_WRITE 2, VM_PROT_EXECUTE 4
	Nsects        uint32
	Flags         uint32

	sections uint32 // offset of its sections in the load commands
	nsects   uint32 // number of sections that fit in the command
}

// holds reports whether the segment contains the size bytes at the link-time address addr.
func (s *Segment) holds(addr, size uint64) bool {
	off := addr - s.Addr
	return addr >= s.Addr && off <= s.Size && size <= s.Size-off
}

// owns reports whether a section lies in the segment: in its memory, or for a segment that is not loaded, such as __DWARF of a Go
// program, in its part of the file.
func (s *Segment) owns(x *Section) bool {
	if s.Size == 0 {
		off := uint64(x.Off) - s.Off
		return uint64(x.Off) >= s.Off && off <= s.Filesz && x.Size <= s.Filesz-off
	}
	return s.holds(x.Addr, x.Size)
}

// Section is a section of a segment (struct section, struct section_64).
type Section struct {
	Name, Segment Name
	Addr, Size    uint64 // address at link time, bytes
	Off           uint32 // in the file, bytes
	Align         uint32 // as a power of two
	Flags         uint32
}

// segment reads a segment command, which starts at offset at of the load commands. It returns false if c is not a segment command
// or is too short. size is the size that the command states, which may exceed c.Data.
func (h *Header) segment(c *Command, at, size uint32) (s Segment, ok bool) {
	b, o := c.Data, h.Order
	switch {
	case c.Cmd == LC_SEGMENT_64 && len(b) >= segmentSize64:
		s.Addr, s.Size, s.Off, s.Filesz = o.Uint64(b[24:]), o.Uint64(b[32:]), o.Uint64(b[40:]), o.Uint64(b[48:])
		s.Maxprot, s.Prot, s.Nsects, s.Flags = o.Uint32(b[56:]), o.Uint32(b[60:]), o.Uint32(b[64:]), o.Uint32(b[68:])
		s.sections, s.nsects = at+segmentSize64, min(s.Nsects, (size-segmentSize64)/sectionSize64)
	case c.Cmd == LC_SEGMENT && len(b) >= segmentSize32:
		s.Addr, s.Size = uint64(o.Uint32(b[24:])), uint64(o.Uint32(b[28:]))
		s.Off, s.Filesz = uint64(o.Uint32(b[32:])), uint64(o.Uint32(b[36:]))
		s.Maxprot, s.Prot, s.Nsects, s.Flags = o.Uint32(b[40:]), o.Uint32(b[44:]), o.Uint32(b[48:]), o.Uint32(b[52:])
		s.sections, s.nsects = at+segmentSize32, min(s.Nsects, (size-segmentSize32)/sectionSize32)
	default:
		return Segment{}, false
	}
	// The command's number determines the structure of the sections, which must be that of the header.
	if h.Is64 != (c.Cmd == LC_SEGMENT_64) {
		s.nsects = 0
	}
	copy(s.Name[:], b[8:24])
	return s, true
}

// sectionSize returns the size of a section in bytes.
func (h *Header) sectionSize() int {
	if h.Is64 {
		return sectionSize64
	}
	return sectionSize32
}

// section reads a section. b has sectionSize bytes.
func (h *Header) section(b []byte) (x Section) {
	o := h.Order
	copy(x.Name[:], b[:16])
	copy(x.Segment[:], b[16:32])
	t := b[40:]
	if h.Is64 {
		x.Addr, x.Size, t = o.Uint64(b[32:]), o.Uint64(b[40:]), b[48:]
	} else {
		x.Addr, x.Size = uint64(o.Uint32(b[32:])), uint64(o.Uint32(b[36:]))
	}
	x.Off, x.Align, x.Flags = o.Uint32(t), o.Uint32(t[4:]), o.Uint32(t[16:])
	return x
}
