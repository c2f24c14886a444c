// Package dwarf reads from DWARF debug information (versions 2 to 5) what a stack trace needs: for an address, the function, the
// calls that were inlined there, and the lines.
//
// It differs from debug/dwarf in three ways. It reads a section by ranges, through io.ReaderAt, so one lookup in a file of 500
// MB reads only the units that contain the address. It has an index of units by address. And what it keeps is limited, because
// the input may come from an attacker. No input makes it panic or loop. A Data is not safe for concurrent use.
//
// It does not close its sections. A read that fails counts as missing information.
//
// Sources: DWARF Debugging Information Format, versions 4 and 5, whose section numbers are cited as "7.5.6". GNU's forms for dwz
// and for split DWARF are those of binutils' dwarf2.def.
package dwarf

import (
	"encoding/binary"
	"io"
)

// Limits on what is read and kept. Each is far above what compilers and linkers produce.
const (
	MaxString   = 4096      // bytes of a name or path; longer ones are cut
	maxUnit     = 256 << 20 // bytes of one unit, one line program
	maxUnits    = 1 << 20
	maxAranges  = 256 << 20 // bytes of .debug_aranges
	maxScopes   = 2 << 20   // functions and inlined calls in memory
	maxRanges   = 4 << 20   // address ranges in memory, of scopes; and of the index
	maxRows     = 8 << 20   // rows of line tables in memory
	maxFiles    = 1 << 20   // files or folders of one line table
	maxAbbrevs  = 256 << 20 // bytes of abbreviation tables that are parsed during the life of a Data
	maxSteps    = 128 << 20 // entries of range lists that are read during the life of a Data
	maxHops     = 16        // from a function to the declaration that has its name
	maxInlining = 256       // inlined calls at one address
)

// Section is a section of debug information: *io.SectionReader, for example.
type Section interface {
	io.ReaderAt
	Size() int64
}

// Sections are the sections that a Data reads. Missing sections are nil.
type Sections struct {
	Abbrev, Addr, Aranges, Info, Line, LineStr, Ranges, RngLists, Str, StrOffsets Section
}

// Frame is one function that contains an address.
type Frame struct {
	Name    string // "" if unknown
	Linkage bool   // Name is the linker's name, which may be mangled
	Start   uint64 // address from which offsets count
	File    string // "" if unknown
	Line    int    // 0 if unknown
	Inlined bool   // inlined into the next frame
}

// Data is the debug information of one file.
type Data struct {
	s     Sections
	order binary.ByteOrder

	headers   []*unit // all units in the order of the section, once loaded
	gotUnits  bool
	byOffset  map[uint64]*unit // parsed units
	aranges   index
	gotRanges bool
	rest      index // of the units that are not in .debug_aranges
	gotRest   bool

	abbrevs     map[uint64]abbrevTable
	abbrevBytes int // bytes that were parsed
	abbrevKept  int // bytes of the tables in abbrevs
	scopes      int // number of scopes kept in units
	ranges      int
	rows        int
	steps       int // number of range list entries that were read

	Split bool // some unit has its functions in another file (.dwo), which is not read
	Alt   bool // some name is in another file, and there is no Supplement

	// Supplement is the debug information that dwz moved to a file shared by several files, or nil. It must be set before the first Lookup.
	Supplement *Data
}

// New returns the Data of sections, in the byte order of the file. It does not read anything yet.
func New(s Sections, order binary.ByteOrder) *Data {
	return &Data{s: s, order: order, byOffset: map[uint64]*unit{}, abbrevs: map[uint64]abbrevTable{}}
}

// Lookup returns the functions that contain addr, the innermost first. If only a line is known, it returns a single frame
// without a name. It returns nil if nothing is known.
func (d *Data) Lookup(addr uint64) []Frame {
	var best []Frame
	for _, x := range []func() *index{d.arangesIndex, d.restIndex} {
		for _, off := range x().find(addr) {
			u := d.unit(off)
			if u == nil {
				continue
			}
			frames := d.lookupUnit(u, addr)
			if len(frames) > 0 && frames[0].Name != "" {
				return frames
			}
			if best == nil {
				best = frames
			}
		}
	}
	return best
}

// lookupUnit is Lookup in one unit.
func (d *Data) lookupUnit(u *unit, addr uint64) []Frame {
	file, line := d.line(u, addr)
	chain := d.chain(u, addr)
	if len(chain) == 0 {
		if file == "" {
			return nil
		}
		return []Frame{{File: file, Line: line}}
	}
	frames := make([]Frame, 0, len(chain))
	for i := len(chain) - 1; i >= 0; i-- {
		s := chain[i]
		f := Frame{Start: s.start(u, addr), File: file, Line: line, Inlined: i > 0}
		f.Name, f.Linkage = d.name(u, s.die)
		frames = append(frames, f)
		file, line = d.fileName(u, uint64(s.callFile)), int(s.callLine)
	}
	return frames
}

// read returns n bytes at off of a section, or nil if the section is shorter.
func (d *Data) read(s Section, off, n uint64) []byte {
	if s == nil || n > maxUnit || off > uint64(s.Size()) || n > uint64(s.Size())-off {
		return nil
	}
	b := make([]byte, n)
	if got, _ := s.ReadAt(b, int64(off)); got != len(b) {
		return nil
	}
	return b
}

// readSome is read, but returns fewer bytes at the end of the section.
func (d *Data) readSome(s Section, off, n uint64) []byte {
	if s == nil || off >= uint64(s.Size()) {
		return nil
	}
	return d.read(s, off, min(n, uint64(s.Size())-off))
}

// text returns the string at off of a section.
func (d *Data) text(s Section, off uint64) string {
	for _, n := range []uint64{128, MaxString} {
		b := d.readSome(s, off, n)
		for i, c := range b {
			if c == 0 {
				return string(b[:i])
			}
		}
		if uint64(len(b)) < n || n == MaxString {
			return string(b)
		}
	}
	return ""
}
