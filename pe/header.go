package pe

import "encoding/binary"

// le is the byte order of every PE image (PE Format, "General Concepts").
var le = binary.LittleEndian

// Signatures of images (winnt.h).
const (
	IMAGE_DOS_SIGNATURE           = 0x5a4d     // "MZ"
	IMAGE_NT_SIGNATURE            = 0x00004550 // "PE\0\0"
	IMAGE_NT_OPTIONAL_HDR32_MAGIC = 0x10b      // PE32
	IMAGE_NT_OPTIONAL_HDR64_MAGIC = 0x20b      // PE32+
)

// Machines of images (winnt.h).
const (
	IMAGE_FILE_MACHINE_UNKNOWN = 0
	IMAGE_FILE_MACHINE_I386    = 0x014c
	IMAGE_FILE_MACHINE_ARMNT   = 0x01c4
	IMAGE_FILE_MACHINE_AMD64   = 0x8664
	IMAGE_FILE_MACHINE_ARM64   = 0xaa64
)

// Bits of Header.Characteristics (winnt.h).
const (
	IMAGE_FILE_RELOCS_STRIPPED     = 0x0001
	IMAGE_FILE_EXECUTABLE_IMAGE    = 0x0002
	IMAGE_FILE_LARGE_ADDRESS_AWARE = 0x0020
	IMAGE_FILE_DEBUG_STRIPPED      = 0x0200
	IMAGE_FILE_DLL                 = 0x2000
)

// Indices into Header.Directories (winnt.h).
const (
	IMAGE_DIRECTORY_ENTRY_EXPORT         = 0
	IMAGE_DIRECTORY_ENTRY_IMPORT         = 1
	IMAGE_DIRECTORY_ENTRY_RESOURCE       = 2
	IMAGE_DIRECTORY_ENTRY_EXCEPTION      = 3
	IMAGE_DIRECTORY_ENTRY_SECURITY       = 4
	IMAGE_DIRECTORY_ENTRY_BASERELOC      = 5
	IMAGE_DIRECTORY_ENTRY_DEBUG          = 6
	IMAGE_DIRECTORY_ENTRY_TLS            = 9
	IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG    = 10
	IMAGE_DIRECTORY_ENTRY_IAT            = 12
	IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR = 14
	IMAGE_NUMBEROF_DIRECTORY_ENTRIES     = 16
)

// Sizes of structures in bytes, and bounds.
const (
	DOSHeaderSize = 64 // IMAGE_DOS_HEADER
	// MaxNTHeaders is the largest number of bytes that Header.Parse reads: IMAGE_NT_HEADERS64 with all its directories.
	MaxNTHeaders = 4 + fileHeaderSize + optionalSize64 + IMAGE_NUMBEROF_DIRECTORY_ENTRIES*directorySize
	// MaxHeaderOffset bounds e_lfanew, as RtlImageNtHeaderEx of Windows does.
	MaxHeaderOffset = 256 << 20

	fileHeaderSize = 20 // IMAGE_FILE_HEADER
	optionalSize32 = 96 // IMAGE_OPTIONAL_HEADER32 without DataDirectory
	optionalSize64 = 112
	directorySize  = 8 // IMAGE_DATA_DIRECTORY
)

// Directory is IMAGE_DATA_DIRECTORY: the place of a part of the image. A Directory with Size 0 is absent.
type Directory struct {
	RVA  uint32 // except of IMAGE_DIRECTORY_ENTRY_SECURITY, where it is an offset in the file
	Size uint32 // bytes
}

// Header has the fields of IMAGE_NT_HEADERS32 or IMAGE_NT_HEADERS64 that a reader of images needs.
type Header struct {
	Machine              uint16 // IMAGE_FILE_MACHINE_AMD64 and so on
	NumberOfSections     uint16
	TimeDateStamp        uint32 // seconds since 1970, or a hash in a reproducible build
	PointerToSymbolTable uint32 // offset in the file of the COFF symbols; 0: none
	NumberOfSymbols      uint32
	SizeOfOptionalHeader uint16 // bytes
	Characteristics      uint16 // IMAGE_FILE_DLL and so on

	Magic               uint16 // IMAGE_NT_OPTIONAL_HDR32_MAGIC or IMAGE_NT_OPTIONAL_HDR64_MAGIC
	AddressOfEntryPoint uint32 // an RVA; 0: none
	ImageBase           uint64 // preferred address; in memory the loader has replaced it with the actual one
	SectionAlignment    uint32 // bytes, in memory
	FileAlignment       uint32 // bytes, in the file
	SizeOfImage         uint32 // bytes, in memory
	SizeOfHeaders       uint32 // bytes
	CheckSum            uint32 // of the file; 0: not computed
	Subsystem           uint16
	DllCharacteristics  uint16
	Directories         [IMAGE_NUMBEROF_DIRECTORY_ENTRIES]Directory
}

// NTHeaderOffset returns e_lfanew, the offset of the NT headers, from the first DOSHeaderSize bytes of an image. ok is false if b
// is shorter or has no "MZ", or if the offset is below 4 or at least MaxHeaderOffset.
func NTHeaderOffset(b []byte) (off uint32, ok bool) {
	if len(b) < DOSHeaderSize || le.Uint16(b) != IMAGE_DOS_SIGNATURE {
		return 0, false
	}
	off = le.Uint32(b[60:])
	return off, off >= 4 && off < MaxHeaderOffset
}

// Parse fills h in from the NT headers, which start with "PE\0\0". It returns false, with h zero, if b does not have a whole
// header with a known magic. Directories beyond the end of b, SizeOfOptionalHeader or NumberOfRvaAndSizes are absent.
func (h *Header) Parse(b []byte) bool {
	*h = Header{}
	const opt = 4 + fileHeaderSize
	if len(b) < opt+optionalSize32 || le.Uint32(b) != IMAGE_NT_SIGNATURE {
		return false
	}
	f, o := b[4:], b[opt:]
	size := int(le.Uint16(f[16:]))
	magic, fixed := le.Uint16(o), optionalSize32
	switch magic {
	case IMAGE_NT_OPTIONAL_HDR32_MAGIC:
		h.ImageBase = uint64(le.Uint32(o[28:]))
	case IMAGE_NT_OPTIONAL_HDR64_MAGIC:
		fixed = optionalSize64
		h.ImageBase = le.Uint64(o[24:])
	default:
		return false
	}
	if size < fixed || len(o) < fixed {
		*h = Header{}
		return false
	}
	h.Machine, h.NumberOfSections, h.TimeDateStamp = le.Uint16(f), le.Uint16(f[2:]), le.Uint32(f[4:])
	h.PointerToSymbolTable, h.NumberOfSymbols = le.Uint32(f[8:]), le.Uint32(f[12:])
	h.SizeOfOptionalHeader, h.Characteristics = uint16(size), le.Uint16(f[18:])
	h.Magic = magic
	h.AddressOfEntryPoint = le.Uint32(o[16:])
	h.SectionAlignment, h.FileAlignment = le.Uint32(o[32:]), le.Uint32(o[36:])
	h.SizeOfImage, h.SizeOfHeaders, h.CheckSum = le.Uint32(o[56:]), le.Uint32(o[60:]), le.Uint32(o[64:])
	h.Subsystem, h.DllCharacteristics = le.Uint16(o[68:]), le.Uint16(o[70:])
	n := min(le.Uint32(o[fixed-4:]), IMAGE_NUMBEROF_DIRECTORY_ENTRIES) // NumberOfRvaAndSizes
	dirs := o[fixed:min(size, len(o))]
	for i := range h.Directories[:n] {
		if len(dirs) < directorySize {
			break
		}
		h.Directories[i] = Directory{le.Uint32(dirs), le.Uint32(dirs[4:])}
		dirs = dirs[directorySize:]
	}
	return true
}

// Is64 reports whether the image is PE32+ and so has 64-bit addresses.
func (h *Header) Is64() bool { return h.Magic == IMAGE_NT_OPTIONAL_HDR64_MAGIC }

// AppendCodeID appends the code id of the image to dst, under which symbol servers store it: TimeDateStamp as eight capital
// digits, then SizeOfImage without leading zeros, both in hexadecimal, such as "5EC5DB2E1d000".
func (h *Header) AppendCodeID(dst []byte) []byte {
	dst = appendHex(dst, uint64(h.TimeDateStamp), 8, capitals)
	return appendHex(dst, uint64(h.SizeOfImage), 1, lower)
}

// The digits for appendHex.
const (
	lower    = "0123456789abcdef"
	capitals = "0123456789ABCDEF"
)

// appendHex appends v with at least width digits.
func appendHex(dst []byte, v uint64, width int, digits string) []byte {
	n := width
	for n < 16 && v>>(4*n) != 0 {
		n++
	}
	for n--; n >= 0; n-- {
		dst = append(dst, digits[v>>(4*n)&15])
	}
	return dst
}
