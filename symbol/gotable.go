package symbol

import (
	stdelf "debug/elf"
	"encoding/binary"
	"strings"
)

// goNamer finds names in the table of functions and lines that a Go program has for its own use, which strip does not remove. The
// table does not record inlined calls: inlined code has the file and line of the inlined function and the name of the surrounding one.
type goNamer struct {
	table   *pclntab
	address func(rva uint64) uint64
}

func (n *goNamer) lookup(rva uint64) []Frame {
	addr := n.address(rva)
	fn, ok := n.table.find(addr)
	if !ok {
		return nil
	}
	file, line := n.table.line(fn, addr)
	return []Frame{{Function: n.table.name(fn), Offset: addr - fn.entry, File: file, Line: line}}
}

// goTable is the table of a Go program. The table does not say where the code starts.
type goTable struct {
	data    []byte
	order   binary.ByteOrder
	text    uint64                  // address of the section .text
	entry   uint64                  // address at which the program starts; 0 in a library
	start   uint64                  // runtime.text according to the symbols, 0 if unknown
	search  func() uint64           // finds runtime.text elsewhere; may be nil
	address func(rva uint64) uint64 // at link time
}

// namer returns the namer of the table, or nil if it can't be used. Functions in the table are relative to the symbol
// runtime.text. In a stripped program that is the start of .text if Go's linker made the program, but not if the C linker did.
// An address is accepted only if the functions then make sense: a wrong name is worse than none.
func (g *goTable) namer() *goNamer {
	if g == nil {
		return nil
	}
	if g.start != 0 {
		if n := g.at(g.start); n != nil {
			return n
		}
	}
	for _, start := range []uint64{g.text, g.headerText()} {
		if start == 0 {
			continue
		}
		n := g.at(start)
		if n == nil {
			continue
		}
		// The entry point of a program made by Go's linker is _rt0_amd64_linux, for example. If it is the C library's, the
		// function is not in the table.
		if fn, ok := n.table.find(g.entry); ok && fn.entry == g.entry && strings.HasPrefix(n.table.name(fn), "_rt0_") {
			return n
		}
	}
	if g.search != nil {
		if start := g.search(); start != 0 {
			return g.at(start)
		}
	}
	if start := g.headerText(); start != 0 && start >= g.text {
		return g.at(start)
	}
	return nil
}

// at returns the namer if the code starts at the given address.
func (g *goTable) at(start uint64) *goNamer {
	if t := newPclntab(g.data, g.order, start); t != nil {
		return &goNamer{t, g.address}
	}
	return nil
}

// headerText returns where the code starts according to the header of the table (pcHeader.textStart in runtime/symtab.go), or 0
// if the header does not say. It is 0 in a position-independent program and since Go 1.26.
func (g *goTable) headerText() uint64 {
	if len(g.data) < 8+3*8 {
		return 0
	}
	switch g.order.Uint32(g.data) {
	case pclntab118, pclntab120:
	default:
		return 0
	}
	switch g.data[7] {
	case 4:
		return uint64(g.order.Uint32(g.data[8+2*4:]))
	case 8:
		return g.order.Uint64(g.data[8+2*8:])
	}
	return 0
}

// goTable returns the table of an ELF file, or nil if it has none.
func (e *elfFile) goTable(symbols *symtab, left *Budget) *goTable {
	var s *stdelf.Section
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s == nil {
			s = e.section(name)
		}
	}
	text := e.Section(".text")
	if s == nil || text == nil || s.Size > MaxLoad/4 {
		return nil
	}
	b, err := readWhole(s, left)
	if err != nil {
		return nil
	}
	g := &goTable{data: b, order: e.ByteOrder, text: text.Addr, entry: e.Entry, address: e.address}
	g.search = func() uint64 { return e.goText(s, left) }
	if symbols != nil {
		g.start = symbols.named("runtime.text", text.Addr, text.Addr+text.Size)
	}
	return g
}

// named returns the address of the symbol with the given name in a range of addresses, or 0 if there is none.
func (t *symtab) named(name string, lo, hi uint64) uint64 {
	b := make([]byte, len(name)+1)
	for _, e := range t.entries {
		if e.addr < lo || e.addr >= hi || e.rank&rankSized != 0 {
			continue
		}
		if n, _ := t.names.ReadAt(b, int64(e.name)); n == len(b) && string(b[:len(name)]) == name && b[len(name)] == 0 {
			return e.addr
		}
	}
	return 0
}
