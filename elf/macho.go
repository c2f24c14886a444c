package elf

import "encoding/binary"

// Magic numbers of Mach-O files, as the host that made them sees them (<mach-o/loader.h>, <mach-o/fat.h>).
const (
	MH_MAGIC     = 0xfeedface
	MH_MAGIC_64  = 0xfeedfacf
	FAT_MAGIC    = 0xcafebabe // always big-endian
	FAT_MAGIC_64 = 0xcafebabf
)

// File types of Mach-O headers.
const (
	MH_EXECUTE  = 2
	MH_DYLIB    = 6
	MH_DYLINKER = 7
	MH_BUNDLE   = 8
)

// CPU types of Mach-O headers (<mach/machine.h>).
const (
	CPU_TYPE_X86    = 7
	CPU_TYPE_X86_64 = 0x01000007
	CPU_TYPE_ARM    = 12
	CPU_TYPE_ARM64  = 0x0100000c
)

// Load commands. LC_REQ_DYLD is a flag in the number of some.
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
	LC_VERSION_MIN_TVOS     = 0x2f
	LC_VERSION_MIN_WATCHOS  = 0x30
	LC_BUILD_VERSION        = 0x32
)

// Platforms of LC_BUILD_VERSION.
const (
	PLATFORM_MACOS   = 1
	PLATFORM_IOS     = 2
	PLATFORM_TVOS    = 3
	PLATFORM_WATCHOS = 4
)

// Sizes of Mach-O structures in bytes, and bounds.
const (
	MachHeaderSize32 = 28 // struct mach_header
	MachHeaderSize64 = 32 // struct mach_header_64
	FatHeaderSize    = 8  // struct fat_header
	FatArchSize      = 20 // struct fat_arch
	FatArchSize64    = 32 // struct fat_arch_64

	// MaxMachCommands bounds the load commands of an image in bytes. Those of large programs have some 20 KiB.
	MaxMachCommands = 1 << 20
	// MaxFatArchs bounds the slices of a fat file. A Java class file has the same magic, and a version of 45 or more
	// where the count stands.
	MaxFatArchs = 32

	machSegmentSize32 = 56 // struct segment_command
	machSegmentSize64 = 72 // struct segment_command_64
	machSectionSize32 = 68 // struct section
	machSectionSize64 = 80 // struct section_64
)

// MachHeader is the header of a Mach-O image (struct mach_header, struct mach_header_64).
type MachHeader struct {
	Class      Class
	Order      binary.ByteOrder
	CPU        uint32 // cputype
	SubCPU     uint32 // cpusubtype, with the capability bits in its highest byte
	FileType   uint32 // MH_EXECUTE and its like
	Ncmds      uint32
	Sizeofcmds uint32 // bytes
	Flags      uint32
}

// ParseMachHeader reads a Mach-O header of either class and byte order. It returns false if b is too short or has
// another magic: fat files are for ParseFatHeader.
func ParseMachHeader(b []byte) (MachHeader, bool) {
	if len(b) < MachHeaderSize32 {
		return MachHeader{}, false
	}
	var h MachHeader
	switch binary.LittleEndian.Uint32(b) {
	case MH_MAGIC:
		h.Class, h.Order = Class32, binary.LittleEndian
	case MH_MAGIC_64:
		h.Class, h.Order = Class64, binary.LittleEndian
	case 0xcefaedfe: // MH_CIGAM
		h.Class, h.Order = Class32, binary.BigEndian
	case 0xcffaedfe: // MH_CIGAM_64
		h.Class, h.Order = Class64, binary.BigEndian
	default:
		return MachHeader{}, false
	}
	if len(b) < h.HeaderSize() {
		return MachHeader{}, false
	}
	o := h.Order
	h.CPU, h.SubCPU, h.FileType = o.Uint32(b[4:]), o.Uint32(b[8:]), o.Uint32(b[12:])
	h.Ncmds, h.Sizeofcmds, h.Flags = o.Uint32(b[16:]), o.Uint32(b[20:]), o.Uint32(b[24:])
	return h, true
}

// HeaderSize returns the size of the header in bytes; the load commands follow it.
func (h *MachHeader) HeaderSize() int {
	if h.Class == Class64 {
		return MachHeaderSize64
	}
	return MachHeaderSize32
}

// CommandsSize returns how many bytes of load commands follow the header: at most MaxMachCommands.
func (h *MachHeader) CommandsSize() int { return int(min(h.Sizeofcmds, MaxMachCommands)) }

// MachCommand is a load command (struct load_command).
type MachCommand struct {
	Cmd  uint32
	Data []byte // all of it with its 8 bytes of head, a subslice
}

// NextMachCommand reads the first load command of b and returns it with the rest of b. ok is false at the end and when
// the size in the command is less than 8 or runs past b.
func NextMachCommand(b []byte, o binary.ByteOrder) (c MachCommand, rest []byte, ok bool) {
	if len(b) < 8 {
		return MachCommand{}, nil, false
	}
	size := o.Uint32(b[4:])
	if size < 8 || uint64(size) > uint64(len(b)) {
		return MachCommand{}, nil, false
	}
	return MachCommand{o.Uint32(b), b[:size:size]}, b[size:], true
}

// lcStr returns the text of a union lc_str, whose offset in the command stands at off.
func (c *MachCommand) lcStr(o binary.ByteOrder, off, head int) []byte {
	if len(c.Data) < head {
		return nil
	}
	at := o.Uint32(c.Data[off:])
	if at < 8 || uint64(at) > uint64(len(c.Data)) {
		return nil
	}
	return cString(c.Data[at:])
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

// MachSegment is LC_SEGMENT or LC_SEGMENT_64.
type MachSegment struct {
	Name           []byte // at most 16 bytes, a subslice
	Vmaddr, Vmsize uint64 // address at link time, bytes
	Off, Filesz    uint64 // in the file, bytes
	Maxprot, Prot  uint32
	Nsects         uint32
	Flags          uint32
	class          Class
	order          binary.ByteOrder
	sections       []byte
}

// MachSection is one section of a segment.
type MachSection struct {
	Name, Segname []byte // at most 16 bytes each, subslices
	Addr, Size    uint64 // address at link time, bytes
	Off           uint32 // in the file
	Align         uint32 // power of two
	Flags         uint32
}

// Segment reads a segment command; false if c is no such or too short.
func (h *MachHeader) Segment(c MachCommand) (MachSegment, bool) {
	b, o := c.Data, h.Order
	switch {
	case c.Cmd == LC_SEGMENT_64 && len(b) >= machSegmentSize64:
		return MachSegment{
			Name: cString(b[8:24]), Vmaddr: o.Uint64(b[24:]), Vmsize: o.Uint64(b[32:]), Off: o.Uint64(b[40:]), Filesz: o.Uint64(b[48:]),
			Maxprot: o.Uint32(b[56:]), Prot: o.Uint32(b[60:]), Nsects: o.Uint32(b[64:]), Flags: o.Uint32(b[68:]),
			class: Class64, order: o, sections: b[machSegmentSize64:],
		}, true
	case c.Cmd == LC_SEGMENT && len(b) >= machSegmentSize32:
		return MachSegment{
			Name: cString(b[8:24]), Vmaddr: uint64(o.Uint32(b[24:])), Vmsize: uint64(o.Uint32(b[28:])),
			Off: uint64(o.Uint32(b[32:])), Filesz: uint64(o.Uint32(b[36:])),
			Maxprot: o.Uint32(b[40:]), Prot: o.Uint32(b[44:]), Nsects: o.Uint32(b[48:]), Flags: o.Uint32(b[52:]),
			class: Class32, order: o, sections: b[machSegmentSize32:],
		}, true
	}
	return MachSegment{}, false
}

// Section reads section i of the segment; false if there is none or the command ends before it.
func (s *MachSegment) Section(i int) (MachSection, bool) {
	size := machSectionSize32
	if s.class == Class64 {
		size = machSectionSize64
	}
	if i < 0 || uint64(i) >= uint64(s.Nsects) || i >= len(s.sections)/size {
		return MachSection{}, false
	}
	b, o := s.sections[i*size:(i+1)*size], s.order
	x := MachSection{Name: cString(b[:16]), Segname: cString(b[16:32])}
	t := b[40:]
	if s.class == Class64 {
		x.Addr, x.Size, t = o.Uint64(b[32:]), o.Uint64(b[40:]), b[48:]
	} else {
		x.Addr, x.Size = uint64(o.Uint32(b[32:])), uint64(o.Uint32(b[36:]))
	}
	x.Off, x.Align, x.Flags = o.Uint32(t), o.Uint32(t[4:]), o.Uint32(t[16:])
	return x, true
}

// SectionNamed returns the section of that name in the segment.
func (s *MachSegment) SectionNamed(name string) (MachSection, bool) {
	for i := 0; ; i++ {
		x, ok := s.Section(i)
		if !ok || string(x.Name) == name {
			return x, ok
		}
	}
}

// MachImage is what the load commands say of an image. Byte slices are subslices of the commands.
type MachImage struct {
	UUID    [16]byte // LC_UUID
	HasUUID bool

	Text    MachSegment // the segment __TEXT, which begins with the header
	HasText bool
	Data    MachSegment // the segment __DATA
	HasData bool

	DylibName      []byte // LC_ID_DYLIB: the install name
	CurrentVersion uint32 // of LC_ID_DYLIB, X.Y.Z in nibbles: 16, 8, 8 bits
	CompatVersion  uint32
	DylibTime      uint32 // timestamp of LC_ID_DYLIB
	IsDylib        bool   // there is an LC_ID_DYLIB

	Dylinker   []byte // path in LC_LOAD_DYLINKER or LC_ID_DYLINKER
	IsDylinker bool   // LC_ID_DYLINKER: this image is the dynamic linker

	Platform   uint32 // PLATFORM_MACOS and its like, 0 if not said
	MinOS, SDK uint32 // X.Y.Z in 16, 8, 8 bits
	Entry      uint64 // LC_MAIN: offset of main in the file
	HasEntry   bool
	Commands   int // load commands read
}

// Scan reads the load commands, the bytes that follow the header. It stops at the first that is malformed, after Ncmds
// of them, or where cmds ends. If a command stands there twice the first counts.
func (h *MachHeader) Scan(cmds []byte) MachImage {
	var m MachImage
	o := h.Order
	cmds = cmds[:min(len(cmds), h.CommandsSize())]
	for m.Commands < int(min(h.Ncmds, MaxMachCommands/8)) {
		c, rest, ok := NextMachCommand(cmds, o)
		if !ok {
			break
		}
		cmds = rest
		m.Commands++
		switch c.Cmd {
		case LC_UUID:
			if len(c.Data) >= 24 && !m.HasUUID {
				m.UUID, m.HasUUID = [16]byte(c.Data[8:24]), true
			}
		case LC_SEGMENT, LC_SEGMENT_64:
			s, ok := h.Segment(c)
			if !ok {
				break
			}
			if !m.HasText && string(s.Name) == "__TEXT" {
				m.Text, m.HasText = s, true
			}
			if !m.HasData && string(s.Name) == "__DATA" {
				m.Data, m.HasData = s, true
			}
		case LC_ID_DYLIB: // struct dylib_command
			if len(c.Data) >= 24 && !m.IsDylib {
				m.IsDylib = true
				m.DylibName = c.lcStr(o, 8, 24)
				m.DylibTime, m.CurrentVersion, m.CompatVersion = o.Uint32(c.Data[12:]), o.Uint32(c.Data[16:]), o.Uint32(c.Data[20:])
			}
		case LC_LOAD_DYLINKER, LC_ID_DYLINKER: // struct dylinker_command
			if m.Dylinker == nil {
				m.Dylinker = c.lcStr(o, 8, 12)
				m.IsDylinker = c.Cmd == LC_ID_DYLINKER
			}
		case LC_BUILD_VERSION: // struct build_version_command
			if len(c.Data) >= 24 && m.Platform == 0 {
				m.Platform, m.MinOS, m.SDK = o.Uint32(c.Data[8:]), o.Uint32(c.Data[12:]), o.Uint32(c.Data[16:])
			}
		case LC_VERSION_MIN_MACOSX, LC_VERSION_MIN_IPHONEOS, LC_VERSION_MIN_TVOS, LC_VERSION_MIN_WATCHOS:
			if len(c.Data) >= 16 && m.Platform == 0 { // struct version_min_command, before LC_BUILD_VERSION existed
				m.MinOS, m.SDK = o.Uint32(c.Data[8:]), o.Uint32(c.Data[12:])
				switch c.Cmd {
				case LC_VERSION_MIN_MACOSX:
					m.Platform = PLATFORM_MACOS
				case LC_VERSION_MIN_IPHONEOS:
					m.Platform = PLATFORM_IOS
				case LC_VERSION_MIN_TVOS:
					m.Platform = PLATFORM_TVOS
				default:
					m.Platform = PLATFORM_WATCHOS
				}
			}
		case LC_MAIN: // struct entry_point_command
			if len(c.Data) >= 24 && !m.HasEntry {
				m.Entry, m.HasEntry = o.Uint64(c.Data[8:]), true
			}
		}
	}
	return m
}

// Slide returns what was added to the addresses of an image whose header lies at address load. It wraps.
func (m *MachImage) Slide(load uint64) uint64 { return load - m.Text.Vmaddr }

// FatHeader is the header of a file that holds one image for each of several CPUs.
type FatHeader struct {
	Class Class  // Class64 for FAT_MAGIC_64: 64-bit offsets
	Narch uint32 // 1 to MaxFatArchs
}

// FatArch is one slice of a fat file.
type FatArch struct {
	CPU, SubCPU uint32
	Off, Size   uint64 // in the file, bytes
	Align       uint32 // power of two
}

// ParseFatHeader reads the header of a fat file. It returns false if b is too short, has another magic, or states
// no slice or more than MaxFatArchs.
func ParseFatHeader(b []byte) (FatHeader, bool) {
	if len(b) < FatHeaderSize {
		return FatHeader{}, false
	}
	h := FatHeader{Narch: binary.BigEndian.Uint32(b[4:])}
	switch binary.BigEndian.Uint32(b) {
	case FAT_MAGIC:
		h.Class = Class32
	case FAT_MAGIC_64:
		h.Class = Class64
	default:
		return FatHeader{}, false
	}
	if h.Narch == 0 || h.Narch > MaxFatArchs {
		return FatHeader{}, false
	}
	return h, true
}

// TableSize returns how many bytes of slice descriptions follow the header.
func (h FatHeader) TableSize() int {
	if h.Class == Class64 {
		return int(h.Narch) * FatArchSize64
	}
	return int(h.Narch) * FatArchSize
}

// Arch reads slice i out of the bytes that follow the header; false if there is none.
func (h FatHeader) Arch(table []byte, i int) (FatArch, bool) {
	size := FatArchSize
	if h.Class == Class64 {
		size = FatArchSize64
	}
	if i < 0 || i >= int(h.Narch) || i >= len(table)/size {
		return FatArch{}, false
	}
	b, o := table[i*size:], binary.BigEndian
	a := FatArch{CPU: o.Uint32(b), SubCPU: o.Uint32(b[4:])}
	if h.Class == Class64 {
		a.Off, a.Size, a.Align = o.Uint64(b[8:]), o.Uint64(b[16:]), o.Uint32(b[24:])
	} else {
		a.Off, a.Size, a.Align = uint64(o.Uint32(b[8:])), uint64(o.Uint32(b[12:])), o.Uint32(b[16:])
	}
	return a, true
}
