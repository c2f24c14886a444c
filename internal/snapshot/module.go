package snapshot

import (
	"minidump/pe"

	"minidump/internal/arena"
)

// Module is one loaded image.
type Module struct {
	Base, End  uint64
	MapIndex   int32      // index of its first mapping
	Main       bool       // the main program
	VDSO       bool       // the vDSO
	InArchive  bool       // mapped from inside an APK or zip
	User       bool       // from Want.UserModules
	PE         bool       // a PE image, mapped by Wine
	Copy       bool       // code of a file that is mapped again, not from the start of the file
	Path       arena.Span // of its mapping
	Name       arena.Span // as written to the dump
	ID         arena.Span // build id
	CodeView   arena.Span // a finished CodeView record, for an image without a build id
	Fixed      arena.Span // VS_FIXEDFILEINFO of a PE image, as it is written; used instead of Version
	TimeStamp  uint32     // TimeDateStamp of a PE image; else 0
	CheckSum   uint32     // CheckSum of a PE image; else 0
	HasVersion bool
	Version    [4]uint32
	Bias       uint64
	Packed     uint64 // distance from Base down to the address from which its symbols count: of a Copy, or with Android's packed relocations
	// Scratch of package images.
	Phsize     uint32     // size of the program headers
	Headers    arena.Span // the first bytes of the image
	Progs      arena.Span // its program headers, if they are not in Headers
	Notes      arena.Span
	Dynamic    arena.Span
	NotesAddr  uint64
	NotesSize  uint64
	NotesAlign uint64
	DynAddr    uint64
	DynSize    uint64
	Limit      uint64 // its end according to its program headers; the highest address if they do not have it
	SonameAddr uint64
	Soname     arena.Span // DT_SONAME, or the last part of its name in the archive
}

// LinkMap is an entry of the dynamic linker's list of loaded objects (struct link_map of link.h).
type LinkMap struct {
	Addr, Ld uint64
	Name     arena.Span
}

// DSODebug is what the dynamic linker provides for debuggers (struct r_debug of link.h).
type DSODebug struct {
	Have    bool
	Version int32
	Brk     uint64
	LdBase  uint64
	Dynamic uint64
	DynData arena.Span
}

// PEImage is a PE image in the memory of a process, such as one mapped by Wine. It is part of a snapshot because
// allocating one for each image would use the Go heap.
type PEImage struct {
	Reader pe.Reader
	mem    Memory
	base   uint64
}

// Open opens the image at base, as mapped in memory. scratch must have at least pe.MinScratch bytes.
func (p *PEImage) Open(mem Memory, base uint64, scratch []byte) bool {
	p.mem, p.base = mem, base
	p.Reader.Init(scratch)
	return p.Reader.Open(p, pe.Loaded)
}

// Close releases the reference to the memory.
func (p *PEImage) Close() {
	p.Reader.Close()
	p.mem = nil
}

// ReadAt implements pe.Source.
func (p *PEImage) ReadAt(b []byte, off uint64) int { return p.mem.Read(p.base+off, b) }
