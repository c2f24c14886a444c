package pe

// Bits of Section.Characteristics (winnt.h).
const (
	IMAGE_SCN_CNT_CODE               = 0x00000020
	IMAGE_SCN_CNT_INITIALIZED_DATA   = 0x00000040
	IMAGE_SCN_CNT_UNINITIALIZED_DATA = 0x00000080
	IMAGE_SCN_MEM_DISCARDABLE        = 0x02000000
	IMAGE_SCN_MEM_EXECUTE            = 0x20000000
	IMAGE_SCN_MEM_READ               = 0x40000000
	IMAGE_SCN_MEM_WRITE              = 0x80000000
)

const (
	// SectionSize is the size of IMAGE_SECTION_HEADER in bytes.
	SectionSize = 40
	// MaxSections bounds the section table. Windows' loader accepts at most 96 (PE Format, "COFF File Header"); mingw's debug
	// information adds some 20.
	MaxSections = 1024
)

// Section is IMAGE_SECTION_HEADER.
type Section struct {
	// ShortName is the name as in the table: 8 bytes, padded with NULs. A longer name is "/" and an offset in the string table of
	// the file: see Reader.SectionName.
	ShortName        [8]byte
	VirtualSize      uint32 // bytes, in memory
	VirtualAddress   uint32 // an RVA
	SizeOfRawData    uint32 // bytes, in the file
	PointerToRawData uint32 // offset in the file; 0: nothing of it is there
	Characteristics  uint32 // IMAGE_SCN_MEM_EXECUTE and so on
}

// Parse fills s in from the first SectionSize bytes of b. It returns false if b is shorter.
func (s *Section) Parse(b []byte) bool {
	if len(b) < SectionSize {
		*s = Section{}
		return false
	}
	copy(s.ShortName[:], b)
	s.VirtualSize, s.VirtualAddress = le.Uint32(b[8:]), le.Uint32(b[12:])
	s.SizeOfRawData, s.PointerToRawData = le.Uint32(b[16:]), le.Uint32(b[20:])
	s.Characteristics = le.Uint32(b[36:])
	return true
}

// Size returns the size of the section in memory, in bytes. Old linkers leave VirtualSize 0, and the loader then uses
// SizeOfRawData.
func (s *Section) Size() uint32 {
	if s.VirtualSize == 0 {
		return s.SizeOfRawData
	}
	return s.VirtualSize
}

// raw returns the offset in the file of the section's contents. The loader rounds the pointer down to a disk sector of 512 bytes,
// regardless of FileAlignment.
func (s *Section) raw() uint64 { return uint64(s.PointerToRawData &^ 511) }

// longName returns the offset in the string table for a name of the form "/123".
func (s *Section) longName() (off uint32, ok bool) {
	if s.ShortName[0] != '/' {
		return 0, false
	}
	for _, c := range s.ShortName[1:] {
		switch {
		case c >= '0' && c <= '9':
			off, ok = off*10+uint32(c-'0'), true
		case c == 0:
			return off, ok
		default:
			return 0, false
		}
	}
	return off, ok
}

// NumSections returns the number of sections of the open image: at most MaxSections.
func (r *Reader) NumSections() int { return min(int(r.Header.NumberOfSections), MaxSections) }

// Section reads the i-th entry of the section table into s. It returns false if there is none.
func (r *Reader) Section(i int, s *Section) bool {
	if i < 0 || i >= r.NumSections() {
		*s = Section{}
		return false
	}
	return s.Parse(r.cache.at(r.src, r.sections+uint64(i)*SectionSize, SectionSize, r.end))
}

// SectionName returns the name of s, as a subslice of s or of the Reader's scratch memory. Names of more than 8 bytes, which
// exist only in files, are in the string table after the COFF symbols; if that can't be read the name is the one in the section
// table, such as "/4".
func (r *Reader) SectionName(s *Section) []byte {
	if off, ok := s.longName(); ok && r.layout == File && r.Header.PointerToSymbolTable != 0 {
		// PE Format, "COFF String Table": it follows the symbols, 18 bytes each.
		at := uint64(r.Header.PointerToSymbolTable) + 18*uint64(r.Header.NumberOfSymbols) + uint64(off)
		if name, ok := cString(r.cache.upTo(r.src, at, MaxSectionName, r.end)); ok && len(name) > 0 {
			return name
		}
	}
	name, _ := cString(s.ShortName[:])
	return name
}

// MaxSectionName bounds the length of a section's name in bytes, with its NUL.
const MaxSectionName = 256

// FindSection reads the first section with that name into s. It returns false if there is none.
func (r *Reader) FindSection(name string, s *Section) bool {
	for i := range r.NumSections() {
		if !r.Section(i, s) {
			break
		}
		if string(r.SectionName(s)) == name {
			return true
		}
	}
	*s = Section{}
	return false
}

// cString cuts b at its first NUL. ok is false if it has none.
func cString(b []byte) (s []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i:i], true
		}
	}
	return b, false
}
