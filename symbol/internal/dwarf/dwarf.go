// Package dwarf reads from DWARF debug information (versions 2 to 5) what a stack trace needs: for an address, the function, the
// calls that were inlined there, and the lines.
//
// It differs from debug/dwarf in three ways. It reads a section by ranges, through io.ReaderAt, so one lookup in a file of
// 500 MB reads the units that contain the address and not the rest. It has an index of units by address. And what it keeps
// is bounded: the input may be made by an attacker. No input makes it panic or loop. A Data is not safe for concurrent use.
//
// It never closes or keeps anything but what it has read. A read that fails counts as missing information.
//
// Sources: DWARF Debugging Information Format, versions 4 and 5, whose numbers are cited as "7.5.6". GNU's forms for dwz
// and for split DWARF are those of binutils' dwarf2.def.
package dwarf

import (
	"encoding/binary"
	"io"
)

// Limits of what is read and kept. Each is far above what compilers and linkers make.
const (
	MaxString   = 4096      // bytes of a name or path; longer ones are cut
	maxUnit     = 256 << 20 // bytes of one unit, one line program
	maxUnits    = 1 << 20
	maxAranges  = 256 << 20 // bytes of .debug_aranges
	maxScopes   = 2 << 20   // functions and inlined calls that are kept
	maxRanges   = 4 << 20   // address ranges that are kept, of scopes; and of the index
	maxRows     = 8 << 20   // rows of line tables that are kept
	maxFiles    = 1 << 20   // files or folders of one line table
	maxAbbrevs  = 256 << 20 // bytes of abbreviation tables that are parsed, over the life of a Data
	maxSteps    = 128 << 20 // entries of lists of ranges that are read, over the life of a Data
	maxHops     = 16        // from a function to the declaration that has its name
	maxInlining = 256       // inlined calls at one address
)

// Section is a section of debug information: *io.SectionReader, for example.
type Section interface {
	io.ReaderAt
	Size() int64
}

// Sections are the sections that a Data reads. What a file does not have is nil.
type Sections struct {
	Abbrev, Addr, Aranges, Info, Line, LineStr, Ranges, RngLists, Str, StrOffsets Section
}

// Frame is one function that an address lies in.
type Frame struct {
	Name    string // "" if unknown
	Linkage bool   // Name is the linker's: it may be mangled
	Start   uint64 // address from which offsets are counted
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
	byOffset  map[uint64]*unit // units that have been parsed
	aranges   index
	gotRanges bool
	rest      index // of the units that .debug_aranges does not mention
	gotRest   bool

	abbrevs     map[uint64]abbrevTable
	abbrevBytes int // that were parsed
	abbrevKept  int // of those in abbrevs
	scopes      int // that are kept in units
	ranges      int
	rows        int
	steps       int // entries of lists of ranges that were read

	Split bool // some unit has its functions in another file (.dwo), which is not read
	Alt   bool // some name is in another file, and there is no Supplement

	// Supplement is what dwz has moved to a file that several files share; nil if there is none. Set it before the first Lookup.
	Supplement *Data
}

// New returns the Data of sections, in the byte order of the file. It reads nothing yet.
func New(s Sections, order binary.ByteOrder) *Data {
	return &Data{s: s, order: order, byOffset: map[uint64]*unit{}, abbrevs: map[uint64]abbrevTable{}}
}

// Lookup returns the functions that addr lies in, the innermost first. If only a line is known, it is the one frame, without a
// name. It is nil if nothing is known.
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

// read returns n bytes at off of a section, or nil if it does not have them.
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

// readSome is read, with fewer bytes at the end of the section.
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
