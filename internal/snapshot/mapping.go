package snapshot

import "minidump/internal/arena"

// Mapping is one entry of the memory map.
type Mapping struct {
	Start, End, Offset uint64
	Inode              uint64
	Dev                uint64 // major<<32 | minor
	Perm               uint8
	Kind               MappingKind
	Deleted            bool
	Hidden             bool       // its owner excludes it from dumps (MADV_DONTDUMP), or it is a device
	Name               arena.Span // without " (deleted)", and with escapes such as "\012" resolved
}

// The bits of Mapping.Perm.
const (
	PermRead = 1 << iota
	PermWrite
	PermExec
	PermShared
)

// MappingKind is what a mapping maps.
type MappingKind uint8

// The kinds of mappings.
const (
	MapAnonymous MappingKind = iota // memory without a name
	MapFile                         // a file: Name is a path
	MapVDSO                         // the vDSO
	MapSpecial                      // memory of the kernel that must not be read: [vvar], [vsyscall]
	MapNamed                        // memory with a name: [heap], [stack], [anon:…]
)

// Find returns the mapping that contains addr, or nil. The mappings must be sorted by address.
func (s *Snapshot) Find(addr uint64) *Mapping {
	i := s.FindIndex(addr)
	if i < 0 {
		return nil
	}
	return &s.Mappings.All()[i]
}

// FindIndex returns the index of the mapping that contains addr, or -1.
func (s *Snapshot) FindIndex(addr uint64) int {
	maps := s.Mappings.All()
	if i := s.firstAbove(addr); i < len(maps) && maps[i].Start <= addr {
		return i
	}
	return -1
}

// firstAbove returns the index of the first mapping that ends above addr, or the number of mappings if there is none.
func (s *Snapshot) firstAbove(addr uint64) int {
	return arena.Search(s.Mappings.All(), addr, (*Mapping).end)
}

func (m *Mapping) end() uint64 { return m.End }
