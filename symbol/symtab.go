package symbol

import (
	"cmp"
	stdelf "debug/elf"
	"io"
	"slices"
	"strings"

	"minidump/symbol/demangle"
)

// entry is a function in a symbol table.
type entry struct {
	addr, size uint64 // size 0: up to the next entry
	name       uint32 // offset in the names
	rank       uint8  // of two entries at one address, the one with the greater rank is used
}

// Ranks of symbols; they add up. A size counts most: most names without one were made by assembly code or the linker.
const (
	rankWeak     = 1
	rankGlobal   = 2
	rankFunction = 4
	rankSized    = 8
)

// symtab is a symbol table, sorted by address.
type symtab struct {
	entries []entry
	most    []uint64 // the greatest end of the sized entries up to this one
	limit   func(addr uint64) uint64
	names   io.ReaderAt
	address func(rva uint64) uint64
	prefix  string // prefix of every name that must be cut: "_" in Mach-O files
}

// maxBack is how many entries before an address are examined.
const maxBack = 4096

// finish sorts the entries. limit returns the end of the section that contains an address, where symbols without a size end.
func (t *symtab) finish(limit func(addr uint64) uint64) {
	slices.SortFunc(t.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.rank, b.rank), cmp.Compare(b.name, a.name))
	})
	t.most, t.limit = make([]uint64, len(t.entries)), limit
	var most uint64
	for i, e := range t.entries {
		most = max(most, e.addr+e.size)
		t.most[i] = most
	}
}

func (t *symtab) lookup(rva uint64) []Frame {
	addr := t.address(rva)
	e := t.find(addr)
	if e == nil {
		return nil
	}
	name := t.name(e.name)
	if name == "" {
		return nil
	}
	return []Frame{{Function: readable(name), Offset: addr - e.addr}}
}

// find returns the entry for addr: the last sized one that contains addr, or else the last one without a size.
func (t *symtab) find(addr uint64) *entry {
	end, _ := slices.BinarySearchFunc(t.entries, addr, func(e entry, addr uint64) int {
		if e.addr <= addr {
			return -1
		}
		return 1
	})
	for i := end; i > 0 && end-i < maxBack && t.most[i-1] > addr; i-- {
		if e := &t.entries[i-1]; addr-e.addr < e.size {
			return e
		}
	}
	if end == 0 {
		return nil
	}
	// A function without a size extends to the next symbol, whatever that is.
	e := &t.entries[end-1]
	if e.size != 0 || addr >= t.limit(e.addr) {
		return nil
	}
	return e
}

// name reads the name at an offset.
func (t *symtab) name(off uint32) string {
	b := make([]byte, 256)
	for {
		n, _ := t.names.ReadAt(b, int64(off))
		s := cString(b[:n])
		if len(s) < n || n < len(b) || len(b) == MaxName {
			s, _, _ = strings.Cut(strings.TrimPrefix(s, t.prefix), "@") // the version, such as memcpy@@GLIBC_2.14
			return s
		}
		b = make([]byte, MaxName)
	}
}

// readable returns the human-readable form of a linker's name, of limited length.
func readable(name string) string {
	if len(name) > MaxName {
		return name[:MaxName]
	}
	return demangle.Name(name)
}

// elfSymtab reads a symbol table of an ELF file: SHT_SYMTAB or SHT_DYNSYM. It returns nil if there is none.
func (e *elfFile) symtab(kind stdelf.SectionType, left *Budget) *symtab {
	for _, s := range e.Sections {
		if s.Type != kind || s.Size == 0 || uint64(s.Link) >= uint64(len(e.Sections)) {
			continue
		}
		names := e.Sections[s.Link]
		if names.ReaderAt == nil || names.Type != stdelf.SHT_STRTAB {
			return nil
		}
		b, err := readWhole(s, left)
		if err != nil && len(b) == 0 {
			return nil
		}
		t := &symtab{names: names.ReaderAt, address: e.address}
		if names.Flags&stdelf.SHF_COMPRESSED != 0 || !left.take(s.Size) {
			return nil
		}
		t.entries = withoutMarks(e.entries(b), t.names)
		t.finish(e.sectionEnd)
		return t
	}
	return nil
}

// sectionEnd returns the end of the section that contains addr, or addr itself if there is none.
func (e *elfFile) sectionEnd(addr uint64) uint64 {
	for _, s := range e.Sections {
		if s.Flags&stdelf.SHF_ALLOC != 0 && addr >= s.Addr && addr-s.Addr < s.Size {
			return s.Addr + s.Size
		}
	}
	return addr
}

// entries returns the functions in the bytes of a symbol table.
func (e *elfFile) entries(b []byte) []entry {
	size := stdelf.Sym64Size
	if e.Class == stdelf.ELFCLASS32 {
		size = stdelf.Sym32Size
	}
	code := make([]bool, len(e.Sections))
	for i, s := range e.Sections {
		code[i] = s.Flags&stdelf.SHF_EXECINSTR != 0
	}
	opd := e.descriptors()
	list := make([]entry, 0, len(b)/size)
	for ; len(b) >= size; b = b[size:] {
		var x entry
		var info byte
		var index uint16
		o := e.ByteOrder
		x.name = o.Uint32(b)
		if e.Class == stdelf.ELFCLASS32 {
			x.addr, x.size, info, index = uint64(o.Uint32(b[4:])), uint64(o.Uint32(b[8:])), b[12], o.Uint16(b[14:])
		} else {
			x.addr, x.size, info, index = o.Uint64(b[8:]), o.Uint64(b[16:]), b[4], o.Uint16(b[6:])
		}
		if x.name == 0 || index == 0 || int(index) >= len(code) {
			continue
		}
		var ok bool
		if x.rank, ok = rank(info, x.size); !ok {
			continue
		}
		if !code[index] {
			if x.addr, ok = opd(x.addr); !ok || x.rank&rankFunction == 0 {
				continue
			}
		}
		if e.Machine == stdelf.EM_ARM && x.rank&rankFunction != 0 {
			x.addr &^= 1 // the function is in Thumb code
		}
		if x.addr+x.size < x.addr {
			x.size = 0
		}
		list = append(list, x)
	}
	return list
}

// rank returns the rank of a symbol according to its st_info, and whether it can be a function.
func rank(info byte, size uint64) (uint8, bool) {
	var r uint8
	switch stdelf.ST_TYPE(info) {
	case stdelf.STT_FUNC, stdelf.STT_GNU_IFUNC:
		r = rankFunction
	case stdelf.STT_NOTYPE:
	default:
		return 0, false
	}
	switch stdelf.ST_BIND(info) {
	case stdelf.STB_GLOBAL:
		r += rankGlobal
	case stdelf.STB_WEAK:
		r += rankWeak
	}
	if size > 0 {
		r += rankSized
	}
	return r, true
}

// withoutMarks removes mapping symbols, such as $a and $d on Arm and RISC-V, which mark the kind of the following bytes, and
// labels of the compiler.
func withoutMarks(list []entry, names io.ReaderAt) []entry {
	b := make([]byte, 2)
	return slices.DeleteFunc(list, func(x entry) bool {
		if x.rank != 0 {
			return false
		}
		n, _ := names.ReadAt(b, int64(x.name))
		return n == 0 || b[0] == '$' || n == 2 && string(b) == ".L"
	})
}

// descriptors returns a function that looks up the code address of a function descriptor in .opd. (64-bit PowerPC ELF
// ABI Supplement 1.9, 3.2.5.)
func (e *elfFile) descriptors() func(addr uint64) (uint64, bool) {
	s := e.section(".opd")
	if !e.opd || s == nil || s.ReaderAt == nil {
		return func(uint64) (uint64, bool) { return 0, false }
	}
	return func(addr uint64) (uint64, bool) {
		b := make([]byte, 8)
		if addr < s.Addr || addr-s.Addr >= s.Size {
			return 0, false
		}
		if n, _ := s.ReadAt(b, int64(addr-s.Addr)); n < len(b) {
			return 0, false
		}
		code := e.ByteOrder.Uint64(b)
		return code, code != 0
	}
}
