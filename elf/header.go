package elf

import "encoding/binary"

// Class is the word size of an image: EI_CLASS of the ELF identification.
type Class uint8

const (
	Class32 Class = 1 // ELFCLASS32
	Class64 Class = 2 // ELFCLASS64
)

// WordSize returns the size of an address in bytes: 4 or 8.
func (c Class) WordSize() int {
	if c == Class64 {
		return 8
	}
	return 4
}

// mask is the largest address of the class. Sums of addresses are masked with it, as they would wrap in the process itself.
func (c Class) mask() uint64 {
	if c == Class64 {
		return ^uint64(0)
	}
	return 1<<32 - 1
}

// word reads an address-sized integer at off. The caller has checked the length.
func (c Class) word(o binary.ByteOrder, b []byte, off int) uint64 {
	if c == Class64 {
		return o.Uint64(b[off:])
	}
	return uint64(o.Uint32(b[off:]))
}

// Sizes of the structures of elf.h in bytes.
const (
	HeaderSize32  = 52 // Elf32_Ehdr
	HeaderSize64  = 64 // Elf64_Ehdr
	ProgSize32    = 32 // Elf32_Phdr
	ProgSize64    = 56 // Elf64_Phdr
	SectionSize32 = 40 // Elf32_Shdr
	SectionSize64 = 64 // Elf64_Shdr
)

// Bounds on the tables of an image.
const (
	// MaxProgTable bounds the program header table of an image, in bytes. The kernel does not load an image with a larger one
	// (load_elf_phdrs in fs/binfmt_elf.c).
	MaxProgTable = 64 << 10
	// MaxSections bounds the number of section headers read. Linked images have fewer than 100.
	MaxSections = 4096
	// maxEntsize bounds e_phentsize and e_shentsize. The ABI allows larger entries; none has appeared in 30 years.
	maxEntsize = 1024
)

// File types (e_type).
const (
	ET_REL  = 1
	ET_EXEC = 2
	ET_DYN  = 3
	ET_CORE = 4
)

// EF_MIPS_ABI2 of e_flags marks a file of the n32 ABI of MIPS.
const EF_MIPS_ABI2 = 0x20

// Machines (e_machine) that differ in something that this package reads.
const (
	EM_386       = 3
	EM_MIPS      = 8
	EM_PPC       = 20
	EM_PPC64     = 21
	EM_S390      = 22
	EM_ARM       = 40
	EM_X86_64    = 62
	EM_AARCH64   = 183
	EM_RISCV     = 243
	EM_LOONGARCH = 258
)

// Extended numbering: values of e_phnum and e_shstrndx that refer to section header 0.
const (
	PN_XNUM    = 0xffff
	SHN_XINDEX = 0xffff
)

// Segment types and flags (p_type, p_flags).
const (
	PT_LOAD         = 1
	PT_DYNAMIC      = 2
	PT_INTERP       = 3
	PT_NOTE         = 4
	PT_PHDR         = 6
	PT_TLS          = 7
	PT_GNU_EH_FRAME = 0x6474e550
	PT_GNU_RELRO    = 0x6474e552

	PF_X = 1
	PF_W = 2
	PF_R = 4
)

// Section types and flags (sh_type, sh_flags).
const (
	SHT_NULL     = 0
	SHT_PROGBITS = 1
	SHT_STRTAB   = 3
	SHT_DYNAMIC  = 6
	SHT_NOTE     = 7
	SHT_NOBITS   = 8

	SHF_WRITE      = 1
	SHF_ALLOC      = 2
	SHF_EXECINSTR  = 4
	SHF_COMPRESSED = 0x800
)

// Header is the ELF header (Elf32_Ehdr, Elf64_Ehdr) of an image.
type Header struct {
	Class            Class
	Order            binary.ByteOrder // of the image, not of the host
	OSABI            uint8            // EI_OSABI
	Type, Machine    uint16
	Entry            uint64 // address at link time
	Phoff, Shoff     uint64 // file offsets of the tables; 0 is none
	Flags            uint32
	Phentsize, Phnum uint16 // Phnum is PN_XNUM if the count does not fit: see Extended
	Shentsize        uint16
	Shnum, Shstrndx  uint16 // 0 with Shoff != 0, and SHN_XINDEX: see Extended
}

// IsN32 reports whether the file is of the n32 ABI of MIPS: class 32, with 64-bit registers. A core file written by the kernel
// may lack the flag.
func (h *Header) IsN32() bool {
	return h.Machine == EM_MIPS && h.Class == Class32 && h.Flags&EF_MIPS_ABI2 != 0
}

// ParseHeader reads an ELF header from the first bytes of an image: HeaderSize64 bytes are enough for both classes, and
// HeaderSize32 for a 32-bit image. It returns false if b is too short, is not ELF, or has an unknown class, byte order or
// version.
//
// An e_phnum of PN_XNUM (only core files have so many segments) is returned unchanged; ProgTableSize and Scan then read at most
// MaxProgTable bytes. Extended returns the true numbers.
func ParseHeader(b []byte) (Header, bool) {
	var h Header
	if len(b) < HeaderSize32 || b[0] != 0x7f || b[1] != 'E' || b[2] != 'L' || b[3] != 'F' {
		return h, false
	}
	h.Class = Class(b[4])
	if h.Class != Class32 && (h.Class != Class64 || len(b) < HeaderSize64) {
		return Header{}, false
	}
	switch b[5] {
	case 1: // ELFDATA2LSB
		h.Order = binary.LittleEndian
	case 2: // ELFDATA2MSB
		h.Order = binary.BigEndian
	default:
		return Header{}, false
	}
	o := h.Order
	if b[6] != 1 || o.Uint32(b[20:]) != 1 { // EI_VERSION, e_version: EV_CURRENT
		return Header{}, false
	}
	h.OSABI = b[7]
	f := h.fields(b[16:])
	h.Type, h.Machine = f.u16(), f.u16()
	f.u32() // e_version
	h.Entry, h.Phoff, h.Shoff = f.word(), f.word(), f.word()
	h.Flags = f.u32()
	f.u16() // e_ehsize
	h.Phentsize, h.Phnum, h.Shentsize, h.Shnum, h.Shstrndx = f.u16(), f.u16(), f.u16(), f.u16(), f.u16()
	return h, true
}

// HeaderSize returns the size of the ELF header in bytes, by class.
func (h *Header) HeaderSize() int {
	if h.Class == Class64 {
		return HeaderSize64
	}
	return HeaderSize32
}

// progStride returns the distance between two program headers in bytes, or 0 if e_phentsize is invalid.
func (h *Header) progStride() int {
	least := ProgSize32
	if h.Class == Class64 {
		least = ProgSize64
	}
	if n := int(h.Phentsize); n >= least && n <= maxEntsize {
		return n
	}
	return 0
}

// sectionStride returns the distance between two section headers in bytes, or 0 if e_shentsize is invalid.
func (h *Header) sectionStride() int {
	least := SectionSize32
	if h.Class == Class64 {
		least = SectionSize64
	}
	if n := int(h.Shentsize); n >= least && n <= maxEntsize {
		return n
	}
	return 0
}

// ProgTableSize returns the size in bytes of the program header table at file offset Phoff: at most MaxProgTable, and 0 if there
// is no table or e_phentsize is invalid. In a memory image the table is at base+Phoff.
func (h *Header) ProgTableSize() int {
	stride := h.progStride()
	if stride == 0 || h.Phoff == 0 {
		return 0
	}
	return min(int(h.Phnum), MaxProgTable/stride) * stride
}

// SectionTableSize returns the size in bytes of the section header table at file offset Shoff, for at most MaxSections headers.
// It returns 0 if there is none, e_shentsize is invalid, or the number of sections does not fit in the ELF header.
func (h *Header) SectionTableSize() int {
	if h.Shoff == 0 {
		return 0
	}
	return min(int(h.Shnum), MaxSections) * h.sectionStride()
}

// Prog is a program header (Elf32_Phdr, Elf64_Phdr).
type Prog struct {
	Type, Flags   uint32
	Off           uint64 // in the file, bytes
	Vaddr, Paddr  uint64 // addresses at link time
	Filesz, Memsz uint64 // bytes
	Align         uint64
}

// Prog reads entry i of table, the bytes of the program header table. It returns false if table does not contain that entry. Only
// table bounds i, e_phnum does not, so that the table of a core file with more than 65,534 segments (see Extended) can be read
// piece by piece.
func (h *Header) Prog(table []byte, i int) (p Prog, ok bool) {
	stride := h.progStride()
	if stride == 0 || i < 0 || i >= len(table)/stride {
		return p, false
	}
	f := h.fields(table[i*stride:])
	p.Type = f.u32()
	if f.wide {
		p.Flags = f.u32()
	}
	p.Off, p.Vaddr, p.Paddr, p.Filesz, p.Memsz = f.word(), f.word(), f.word(), f.word(), f.word()
	if !f.wide {
		p.Flags = f.u32()
	}
	p.Align = f.word()
	return p, true
}

// Section is a section header (Elf32_Shdr, Elf64_Shdr).
type Section struct {
	Name       uint32 // offset in the section name string table
	Type       uint32
	Flags      uint64
	Addr       uint64 // address at link time, 0 if not loaded
	Off, Size  uint64 // in the file, bytes
	Link, Info uint32
	Align      uint64
	Entsize    uint64
}

// Section reads entry i of table, the bytes of the section header table. It returns false if table does not contain that entry.
// Only table bounds i.
func (h *Header) Section(table []byte, i int) (t Section, ok bool) {
	stride := h.sectionStride()
	if stride == 0 || i < 0 || i >= len(table)/stride {
		return t, false
	}
	f := h.fields(table[i*stride:])
	t.Name, t.Type = f.u32(), f.u32()
	t.Flags, t.Addr, t.Off, t.Size = f.word(), f.word(), f.word(), f.word()
	t.Link, t.Info = f.u32(), f.u32()
	t.Align, t.Entsize = f.word(), f.word()
	return t, true
}

// fields reads the fields of a record in order. The caller has checked that b contains all of them. Its methods have so many
// callers that they are not inlined.
type fields struct {
	b    []byte
	o    binary.ByteOrder
	wide bool // words have 64 bits
}

func (h *Header) fields(b []byte) fields { return fields{b, h.Order, h.Class == Class64} }

//go:noinline
func (f *fields) u16() uint16 {
	v := f.o.Uint16(f.b)
	f.b = f.b[2:]
	return v
}

//go:noinline
func (f *fields) u32() uint32 {
	v := f.o.Uint32(f.b)
	f.b = f.b[4:]
	return v
}

//go:noinline
func (f *fields) word() uint64 {
	if !f.wide {
		return uint64(f.u32())
	}
	v := f.o.Uint64(f.b)
	f.b = f.b[8:]
	return v
}

// Extended returns the true numbers of segments and sections and the true index of the section name table, given section header
// 0, which contains those that do not fit in the ELF header (gABI, "Extended numbering"). The results are not bounded: the caller
// must do that.
func (h *Header) Extended(section0 Section) (phnum uint32, shnum uint64, shstrndx uint32) {
	phnum, shnum, shstrndx = uint32(h.Phnum), uint64(h.Shnum), uint32(h.Shstrndx)
	if phnum == PN_XNUM {
		phnum = section0.Info
	}
	if shnum == 0 && h.Shoff != 0 {
		shnum = section0.Size
	}
	if shstrndx == SHN_XINDEX {
		shstrndx = section0.Link
	}
	return phnum, shnum, shstrndx
}
