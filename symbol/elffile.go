package symbol

import (
	stdelf "debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"minidump/elf"
)

// Limits on the headers of an ELF file, which debug/elf reads as a whole.
const (
	maxELFSections = 1 << 16
	maxELFNames    = 16 << 20 // bytes of the section names
)

// elfFile is an open ELF file.
type elfFile struct {
	*stdelf.File
	path  string
	id    []byte // build id or hash of the code; nil if there is none
	noted bool   // id is a build id
	base  uint64 // link-time address of the byte from which rvas count
	mask  uint64 // of addresses
	image bool   // it contains the code, not only debug information
	opd   bool   // function symbols refer to descriptors: the first ABI of ppc64
}

// fileSource is a file in the form that package elf and its siblings read.
type fileSource struct{ f io.ReaderAt }

func (s fileSource) ReadAt(p []byte, off uint64) int {
	if off > 1<<62 {
		return 0
	}
	n, _ := s.f.ReadAt(p, int64(off))
	return n
}

// openELF reads the headers of an ELF file.
func openELF(f *os.File) (*elfFile, error) { return readELF(f, f.Name()) }

// readELF is openELF for a file that may be in memory.
func readELF(f io.ReaderAt, name string) (e *elfFile, err error) {
	defer recovered(&err, "read "+name)
	r := elf.NewReader(make([]byte, 64<<10))
	if !r.Open(fileSource{f}, elf.Placement{}) {
		return nil, fmt.Errorf("read %s: not an ELF file", name)
	}
	if err := checkELF(f, &r.Header); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	e = &elfFile{path: name, base: -r.Image.Bias, mask: ^uint64(0)}
	if r.Header.Class == elf.Class32 {
		e.mask >>= 32
	}
	e.base &= e.mask
	id, kind := r.BuildID()
	e.id, e.noted = append([]byte(nil), id...), kind == elf.IDNote || kind == elf.IDSection
	e.opd = r.Header.Machine == uint16(stdelf.EM_PPC64) && r.Header.Flags&3 != 2 // e_flags: the ABI's version
	if e.File, err = stdelf.NewFile(f); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for _, s := range e.Sections {
		if s.Flags&stdelf.SHF_EXECINSTR != 0 && s.Type == stdelf.SHT_PROGBITS && s.Size > 0 {
			e.image = true
		}
	}
	if len(e.Sections) == 0 {
		e.image = len(e.Progs) > 0
	}
	return e, nil
}

// checkELF returns an error if the tables are larger than any linker makes them: debug/elf limits them only by the file's size.
func checkELF(f io.ReaderAt, h *elf.Header) error {
	size := uint64(elf.SectionSize32)
	if h.Class == elf.Class64 {
		size = elf.SectionSize64
	}
	if uint64(h.Shentsize) != size && h.Shoff != 0 {
		return errors.New("section headers have the wrong size")
	}
	read := func(i uint64) (s elf.Section) {
		b := make([]byte, size)
		if h.Shoff != 0 && h.Shoff < 1<<62 && i < maxELFSections {
			if n, _ := f.ReadAt(b, int64(h.Shoff+i*size)); n == len(b) {
				s, _ = h.Section(b, 0)
			}
		}
		return s
	}
	_, count, names := h.Extended(read(0))
	if s := read(uint64(names)); count > maxELFSections || s.Size > maxELFNames || s.Flags&elf.SHF_COMPRESSED != 0 {
		return errors.New("too many sections")
	}
	return nil
}

// recovered converts a panic to an error, in a deferred call.
func recovered(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: %v", doing, r)
	}
}

// address returns the link-time address of an rva.
func (e *elfFile) address(rva uint64) uint64 { return (rva + e.base) & e.mask }

// section returns a section that has contents in the file.
func (e *elfFile) section(name string) *stdelf.Section {
	s := e.Section(name)
	if s == nil || s.Type == stdelf.SHT_NOBITS || s.Size == 0 {
		return nil
	}
	return s
}

// debugLink returns the contents of .gnu_debuglink: the name of the debug file and the CRC32 of its contents.
func (e *elfFile) debugLink() (name string, crc uint32, ok bool) {
	s := e.section(".gnu_debuglink")
	if s == nil || s.Size > MaxName || s.ReaderAt == nil {
		return "", 0, false
	}
	b := make([]byte, s.Size)
	if n, _ := s.ReadAt(b, 0); n < len(b) {
		return "", 0, false
	}
	name = cString(b)
	at := (len(name) + 4) &^ 3
	if name == "" || at+4 > len(b) || baseName(name) != name {
		return "", 0, false
	}
	return name, e.ByteOrder.Uint32(b[at:]), true
}

// cString cuts b at its first NUL.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// readWhole reads a section into memory, decompressed, if that is within the budget.
func readWhole(s *stdelf.Section, left *Budget) ([]byte, error) {
	if s.Type == stdelf.SHT_NOBITS {
		return nil, fmt.Errorf("section %s has no contents", s.Name)
	}
	if !left.take(s.Size) {
		return nil, fmt.Errorf("section %s is too large", s.Name)
	}
	return readStream(s.Open(), s.Size)
}

// readStream reads size bytes. The buffer grows with the data read, because size may be wrong.
func readStream(r io.Reader, size uint64) ([]byte, error) {
	b := make([]byte, 0, min(size, 1<<20))
	for uint64(len(b)) < size {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(size, 2*uint64(cap(b)))), b...)
		}
		n, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
	}
	return b, nil
}
