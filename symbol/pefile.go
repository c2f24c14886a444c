package symbol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"minidump/pe"
	"minidump/symbol/internal/dwarf"
)

// peFile is an open PE image.
type peFile struct {
	f    *os.File
	r    *pe.Reader
	left *Budget
}

// takePE accepts a PE image, or a file that has the debug information of one (objcopy --only-keep-debug).
func (l *loader) takePE(f *os.File, anyID bool) (taken bool, err error) {
	defer recovered(&err, "read "+f.Name())
	p := &peFile{f, pe.NewReader(nil), l.t.budget}
	if !p.r.Open(fileSource{f}, pe.File) {
		return false, fmt.Errorf("read %s: not a PE file", f.Name())
	}
	var c pe.CodeView
	var id identity
	if p.r.CodeView(&c) != nil {
		id = peIdentity(&c)
	}
	if !l.accepts(id, anyID) {
		return false, ErrOtherBuild
	}
	base := p.r.Header.ImageBase
	hadDWARF := l.hasDWARF
	if !hadDWARF {
		l.hasDWARF = l.addDWARF(f.Name(), binary.LittleEndian, func(rva uint64) uint64 { return rva + base }, p.dwarfSection) != nil
	}
	if l.hasImage && l.hasDWARF == hadDWARF {
		return false, nil
	}
	if !l.hasImage {
		l.t.other = f
	}
	l.hasImage = true
	l.add(rankLines, &lazyNamer{open: p.goNamer})
	l.add(rankSymbols, &lazyNamer{open: p.symbols})
	l.add(rankExported, &lazyNamer{open: p.exports})
	return true, nil
}

// contents returns a section of the file.
func (p *peFile) contents(s *pe.Section) *io.SectionReader {
	// Padding up to the file alignment is not part of a section.
	return io.NewSectionReader(p.f, int64(s.PointerToRawData), int64(min(s.SizeOfRawData, s.Size())))
}

func (p *peFile) dwarfSection(name string) dwarf.Section {
	var s pe.Section
	if p.r.FindSection(".debug_"+name, &s) && s.PointerToRawData != 0 {
		return p.contents(&s)
	}
	if p.r.FindSection(".zdebug_"+name, &s) && s.PointerToRawData != 0 {
		c := p.contents(&s)
		return oldCompressed(c, uint64(c.Size()), p.left)
	}
	return nil
}

// sectionEnd returns the RVA where the code section containing rva ends, or rva itself if there is none.
func (p *peFile) sectionEnd(rva uint64) uint64 {
	var s pe.Section
	for i := 0; p.r.Section(i, &s); i++ {
		if start := uint64(s.VirtualAddress); s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE != 0 && rva >= start && rva-start < uint64(s.Size()) {
			return start + uint64(s.Size())
		}
	}
	return rva
}

func same(rva uint64) uint64 { return rva }

// exports returns the namer of the exported functions.
func (p *peFile) exports() namer {
	var x pe.Exports
	if !p.r.Exports(&x) {
		return nil
	}
	t := &symtab{address: same}
	var names bytes.Buffer
	for e := range x.All(p.r) {
		at := uint64(e.RVA)
		if len(e.Name) == 0 || e.Forwarded || p.sectionEnd(at) == at || !p.left.take(uint64(len(e.Name)+32)) {
			continue
		}
		t.entries = append(t.entries, entry{addr: at, name: uint32(names.Len())})
		names.Write(e.Name)
		names.WriteByte(0)
	}
	t.names = bytes.NewReader(names.Bytes())
	t.finish(p.sectionEnd)
	return t
}

// Sizes and values of the COFF symbol table ("COFF Symbol Table" in Microsoft's PE Format).
const (
	coffSymbolSize     = 18
	coffClassExternal  = 2
	coffClassStatic    = 3
	coffTypeIsFunction = 0x20
)

// symbols returns the namer of the COFF symbols, which only GNU's and Go's linkers write to images.
func (p *peFile) symbols() namer {
	h := &p.r.Header
	size := uint64(h.NumberOfSymbols) * coffSymbolSize
	var length [4]byte
	if n, _ := p.f.ReadAt(length[:], int64(uint64(h.PointerToSymbolTable)+size)); h.PointerToSymbolTable == 0 || n < 4 {
		return nil
	}
	size += uint64(binary.LittleEndian.Uint32(length[:]))
	if size > 1<<31 || !p.left.take(3*size) {
		return nil
	}
	b, _ := readStream(io.NewSectionReader(p.f, int64(h.PointerToSymbolTable), int64(size)), size)
	starts := make([]uint64, 0, 96)
	var s pe.Section
	for i := 0; p.r.Section(i, &s); i++ {
		start := uint64(s.VirtualAddress)
		if s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE == 0 {
			start = 0
		}
		starts = append(starts, start)
	}
	t := &symtab{address: same}
	if h.Machine == pe.IMAGE_FILE_MACHINE_I386 {
		t.prefix = "_"
	}
	var names bytes.Buffer
	strings := uint64(h.NumberOfSymbols) * coffSymbolSize
	for i := uint64(0); i < uint64(h.NumberOfSymbols) && (i+1)*coffSymbolSize <= uint64(len(b)); i++ {
		x := b[i*coffSymbolSize:][:coffSymbolSize]
		e, ok := coffEntry(x, starts)
		if name := coffName(x, b, strings); ok && name != "" && name[0] != '.' {
			e.name = uint32(names.Len())
			names.WriteString(name)
			names.WriteByte(0)
			t.entries = append(t.entries, e)
		}
		i += uint64(x[17]) // auxiliary records of this symbol
	}
	t.names = bytes.NewReader(names.Bytes())
	t.finish(p.sectionEnd)
	return t
}

// coffEntry reads a symbol. starts has the RVAs of the sections, 0 for those without code.
func coffEntry(x []byte, starts []uint64) (e entry, ok bool) {
	section, class := int(int16(binary.LittleEndian.Uint16(x[12:]))), x[16]
	if section < 1 || section > len(starts) || starts[section-1] == 0 || class != coffClassExternal && class != coffClassStatic {
		return e, false
	}
	e.addr = starts[section-1] + uint64(binary.LittleEndian.Uint32(x[8:]))
	if class == coffClassExternal {
		e.rank = rankGlobal
	}
	if binary.LittleEndian.Uint16(x[14:]) == coffTypeIsFunction {
		e.rank += rankFunction
	}
	return e, true
}

// coffName returns the name of a symbol: 8 bytes, or an offset in the strings after the symbols.
func coffName(x, b []byte, strings uint64) string {
	if binary.LittleEndian.Uint32(x) != 0 {
		return cString(x[:8])
	}
	at := strings + uint64(binary.LittleEndian.Uint32(x[4:]))
	if at >= uint64(len(b)) {
		return ""
	}
	return cString(b[at:min(uint64(len(b)), at+MaxName)])
}

// goNamer returns the namer of a Go program. No section or symbol of a stripped program says where its table is, so the start of
// the table is searched for: pcHeader in runtime/symtab.go.
func (p *peFile) goNamer() namer {
	var text, data pe.Section
	if !p.r.FindSection(".text", &text) || !p.r.FindSection(".rdata", &data) {
		return nil
	}
	c := p.contents(&data)
	if size := uint64(c.Size()); size > MaxLoad/4 || !p.left.take(size) {
		return nil
	}
	b, _ := readStream(c, uint64(c.Size()))
	for _, magic := range []string{"\xf1\xff\xff\xff\x00\x00", "\xf0\xff\xff\xff\x00\x00"} {
		for at, tries := 0, 0; tries < 64; tries++ {
			i := bytes.Index(b[at:], []byte(magic))
			if i < 0 {
				break
			}
			at += i + len(magic)
			table := b[at-len(magic):]
			if len(table) < 64 || table[7] != 4 && table[7] != 8 || table[6] != 1 && table[6] != 2 && table[6] != 4 {
				continue
			}
			base := p.r.Header.ImageBase
			g := &goTable{data: table, order: binary.LittleEndian, text: base + uint64(text.VirtualAddress),
				entry: base + uint64(p.r.Header.AddressOfEntryPoint), address: func(rva uint64) uint64 { return rva + base }}
			if n := g.namer(); n != nil {
				return n
			}
		}
	}
	return nil
}
