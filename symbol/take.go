package symbol

import (
	"bytes"
	"cmp"
	stdelf "debug/elf"
	"encoding/binary"
	"os"
	"slices"

	"minidump/symbol/internal/dwarf"
	"minidump/symbol/internal/xz"
)

// The ranks of namers. Of two namers with the same rank, the one found first is called first.
const (
	rankDWARF    = iota // functions, inlined calls, lines
	rankLines           // Go's table, Breakpad's files
	rankSymbols         // a whole symbol table
	rankExported        // what other modules may use
	rankPublic          // PUBLIC of Breakpad's files: no sizes
)

// ranked is a namer that was found.
type ranked struct {
	rank int
	namer
}

func (l *loader) add(rank int, n namer) { l.found = append(l.found, ranked{rank, n}) }

// finish sorts what was found.
func (l *loader) finish() {
	slices.SortStableFunc(l.found, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	for _, r := range l.found {
		l.t.namers = append(l.t.namers, r.namer)
	}
}

// lazyNamer reads its file at the first lookup.
type lazyNamer struct {
	open func() namer // returns nil if the file has no names
	n    namer
}

func (z *lazyNamer) lookup(rva uint64) []Frame {
	if open := z.open; open != nil {
		z.open = nil
		z.n = open()
	}
	if z.n == nil {
		return nil
	}
	return z.n.lookup(rva)
}

// take reads the headers of a file of any format, and reports whether the file is of use. The error is ErrOtherBuild if the
// file does not belong to the module.
func (l *loader) take(f *os.File, anyID bool) (taken bool, err error) {
	magic := make([]byte, 4)
	if n, _ := f.ReadAt(magic, 0); n < len(magic) {
		return false, nil
	}
	switch {
	case string(magic) == "\x7fELF":
		return l.takeELF(f, anyID)
	case string(magic[:2]) == "MZ":
		return l.takePE(f, anyID)
	case isMachO(magic):
		return l.takeMachO(f, anyID)
	case string(magic) == "MODU":
		return l.takeBreakpad(f)
	case string(magic) == "Micr": // "Microsoft C/C++ MSF 7.00"
		l.t.note(f.Name() + ": PDB files are not supported")
	}
	return false, nil
}

// accepts reports whether a file with the identity got belongs to the module. With anyID it does, and the module adopts its identity.
func (l *loader) accepts(got identity, anyID bool) bool {
	if anyID {
		l.id = got
		return true
	}
	return l.id.is(got)
}

// takeELF accepts an image, or a file with debug information alone.
func (l *loader) takeELF(f *os.File, anyID bool) (bool, error) {
	e, err := openELF(f)
	if err != nil {
		return false, err
	}
	if !l.accepts(elfIdentity(e.id), anyID) {
		return false, ErrOtherBuild
	}
	return l.keepELF(e), nil
}

// keepELF keeps a file that belongs to the module, and reports whether it is the first of its kind.
func (l *loader) keepELF(e *elfFile) bool {
	switch {
	case e.image && l.elf == nil:
		l.elf, l.hasImage = e, true
	case l.debug == nil && (!e.image || e.hasDWARF() || e.SectionByType(stdelf.SHT_SYMTAB) != nil && l.elf.SectionByType(stdelf.SHT_SYMTAB) == nil):
		l.debug = e // perhaps the image before it was stripped
	default:
		return false
	}
	l.hasDWARF = l.hasDWARF || e.hasDWARF()
	return true
}

// hasDWARF reports whether the file has debug information.
func (e *elfFile) hasDWARF() bool {
	return e.section(".debug_info") != nil || e.section(".zdebug_info") != nil
}

// addELF adds the namers of the ELF files.
func (l *loader) addELF() {
	if l.elf != nil {
		l.t.image = l.elf.File
	}
	if l.debug != nil {
		l.t.debug = l.debug.File
		if l.elf != nil {
			l.debug.base, l.debug.mask = l.elf.base, l.elf.mask
		}
	}
	for _, e := range []*elfFile{l.debug, l.elf} {
		if e == nil {
			continue
		}
		left := l.t.budget
		if n := l.addDWARF(e.path, e.ByteOrder, e.address, func(name string) dwarf.Section { return e.dwarfSection(name, left) }); n != nil {
			n.data.Supplement = l.supplement(e)
		}
		var symbols *symtab
		full := &lazyNamer{open: func() namer {
			if symbols = e.symtab(stdelf.SHT_SYMTAB, left); symbols == nil {
				return nil
			}
			return symbols
		}}
		l.add(rankSymbols, full)
		l.add(rankLines, &lazyNamer{open: func() namer {
			full.lookup(0) // Go's table may need a symbol
			if n := e.goTable(symbols, left).namer(); n != nil {
				return n
			}
			return nil
		}})
		l.add(rankExported, &lazyNamer{open: func() namer {
			if t := e.symtab(stdelf.SHT_DYNSYM, left); t != nil {
				return t
			}
			return nil
		}})
		l.add(rankSymbols, &lazyNamer{open: func() namer { return l.mini(e) }})
	}
}

// mini returns the namer of .gnu_debugdata: an ELF file, compressed with xz, with the symbols that .dynsym lacks. (MiniDebugInfo in
// gdb's manual.)
func (l *loader) mini(e *elfFile) namer {
	s := e.section(".gnu_debugdata")
	if s == nil {
		return nil
	}
	packed, err := readWhole(s, l.t.budget)
	if err != nil {
		return nil
	}
	b, err := xz.Decode(packed, int(min(l.t.budget.left.Load(), maxMini)))
	l.t.budget.take(uint64(len(b)))
	if err == nil {
		var inner *elfFile
		if inner, err = readELF(bytes.NewReader(b), e.path+": .gnu_debugdata"); err == nil {
			inner.base, inner.mask = e.base, e.mask
			if t := inner.symtab(stdelf.SHT_SYMTAB, l.t.budget); t != nil {
				// A symbol without a size would extend to the next one in this table, over symbols of the other table.
				t.entries = slices.DeleteFunc(t.entries, func(x entry) bool { return x.size == 0 })
				t.finish(e.sectionEnd)
				return t
			}
			return nil
		}
	}
	l.t.note(e.path + ": read .gnu_debugdata: " + err.Error())
	return nil
}

// maxMini is the maximum size in bytes of the file in .gnu_debugdata. That of the largest programs has about 10 MB.
const maxMini = 128 << 20

// addDWARF adds the namer of debug information, and returns it, or nil if there is none.
func (l *loader) addDWARF(path string, o binary.ByteOrder, address func(uint64) uint64, find func(string) dwarf.Section) *dwarfNamer {
	sections, ok := dwarfSections(find)
	if !ok {
		return nil
	}
	n := &dwarfNamer{data: dwarf.New(sections, o), path: path, address: address}
	l.add(rankDWARF, n)
	return n
}
