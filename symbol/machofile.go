package symbol

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"minidump/macho"
	"minidump/symbol/internal/dwarf"
)

// Load commands (<mach-o/loader.h>).
const (
	lcSymtab     = 0x2
	lcUnixThread = 0x5
)

// Bits of n_type of struct nlist (<mach-o/nlist.h>).
const (
	nStab = 0xe0
	nType = 0x0e
	nSect = 0x0e // defined in a section
	nExt  = 0x01
)

// isMachO reports whether a file that starts with this magic may be Mach-O.
func isMachO(magic []byte) bool {
	switch binary.BigEndian.Uint32(magic) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe, macho.FAT_MAGIC, macho.FAT_MAGIC_64:
		return true
	}
	return false
}

// machFile is an image in a Mach-O file.
type machFile struct {
	f    *os.File
	off  uint64 // of the image in the file
	r    *macho.Reader
	base uint64 // link-time address of __TEXT
	left *Budget
}

// part is a file from an offset on.
type part struct {
	fileSource
	off uint64
}

func (s part) ReadAt(p []byte, off uint64) int {
	if off > 1<<62 {
		return 0
	}
	return s.fileSource.ReadAt(p, s.off+off)
}

// takeMachO accepts an image, or a file with the debug information of one (dSYM).
func (l *loader) takeMachO(f *os.File, anyID bool) (taken bool, err error) {
	defer recovered(&err, "read "+f.Name())
	offsets := []uint64{0}
	head := make([]byte, macho.FatHeaderSize+macho.MaxFatArchs*macho.FatArchSize64)
	n, _ := f.ReadAt(head, 0)
	if h, ok := macho.ParseFatHeader(head[:n]); ok {
		offsets = nil
		for i := range int(h.Narch) {
			if a, ok := h.Arch(head[macho.FatHeaderSize:n], i); ok && a.Off < 1<<62 {
				offsets = append(offsets, a.Off)
			}
		}
	}
	for _, off := range offsets {
		m := &machFile{f: f, off: off, r: macho.NewReader(make([]byte, 64<<10)), left: l.t.budget}
		if !m.r.OpenFile(part{fileSource{f}, off}, 0) {
			continue
		}
		text := m.r.Image.Segment("__TEXT")
		if text == nil || !m.r.Image.HasUUID && !anyID || anyID && len(offsets) > 1 {
			continue
		}
		if l.accepts(uuidIdentity(m.r.Image.UUID), anyID) {
			m.base = text.Addr
			return l.keepMachO(m), nil
		}
		err = ErrOtherBuild
	}
	if err == nil {
		err = fmt.Errorf("read %s: not a Mach-O image with an LC_UUID", f.Name())
	}
	return false, err
}

// keepMachO keeps a file that belongs to the module, and reports whether it is of use.
func (l *loader) keepMachO(m *machFile) bool {
	used := false
	if !l.hasDWARF {
		l.hasDWARF = l.addDWARF(m.f.Name(), m.r.Image.Header.Order, m.address, m.dwarfSection) != nil
		used = l.hasDWARF
	}
	if l.hasImage && !used {
		return false
	}
	if !l.hasImage && m.r.Image.Header.FileType != macho.MH_DSYM {
		l.t.other = io.NewSectionReader(m.f, int64(m.off), 1<<62)
	}
	l.hasImage = true
	var symbols *symtab
	table := &lazyNamer{open: func() namer {
		if symbols = m.symbols(); symbols == nil {
			return nil
		}
		return symbols
	}}
	l.add(rankSymbols, table)
	l.add(rankLines, &lazyNamer{open: func() namer {
		table.lookup(0)
		return m.goNamer(symbols)
	}})
	return true
}

func (m *machFile) address(rva uint64) uint64 { return rva + m.base }

// contents returns a section of the image.
func (m *machFile) contents(segment, name string) *io.SectionReader {
	s, ok := m.r.Section(segment, name[:min(len(name), 16)])
	if !ok || s.Off == 0 || s.Size > 1<<62 {
		return nil
	}
	return io.NewSectionReader(m.f, int64(m.off)+int64(s.Off), int64(s.Size))
}

func (m *machFile) dwarfSection(name string) dwarf.Section {
	if s := m.contents("__DWARF", "__debug_"+name); s != nil {
		return s
	}
	if s := m.contents("__DWARF", "__zdebug_"+name); s != nil {
		return oldCompressed(s, uint64(s.Size()), m.left)
	}
	return nil
}

// command returns the first load command of a kind, or nil if there is none.
func (m *machFile) command(kind uint32) []byte {
	h := &m.r.Image.Header
	commands := make([]byte, h.CommandsSize())
	n := part{fileSource{m.f}, m.off}.ReadAt(commands, uint64(h.Size()))
	for b := commands[:n]; ; {
		c, rest, ok := macho.NextCommand(b, h.Order)
		if !ok {
			return nil
		}
		if b = rest; c.Cmd == kind {
			return c.Data
		}
	}
}

// symbols returns the symbol table.
func (m *machFile) symbols() *symtab {
	c, o := m.command(lcSymtab), m.r.Image.Header.Order
	if len(c) < 24 {
		return nil
	}
	return m.symtab(o.Uint32(c[8:]), o.Uint32(c[12:]), o.Uint32(c[16:]), o.Uint32(c[20:]))
}

// entry returns the address at which the program starts, or 0 if that is unknown. For amd64 Go's linker writes the registers
// of the first thread instead of LC_MAIN.
func (m *machFile) entry() uint64 {
	const ip = 16 + 16*8 // of x86_thread_state64_t, after the header of the command
	if m.r.Image.HasEntry {
		return m.base + m.r.Image.Entry
	}
	if c := m.command(lcUnixThread); m.r.Image.Header.CPU == macho.CPU_TYPE_X86_64 && len(c) >= ip+8 {
		return m.r.Image.Header.Order.Uint64(c[ip:])
	}
	return 0
}

// symtab reads a symbol table: count symbols at offset off of the image, names at offset names.
func (m *machFile) symtab(off, count, names, nameSize uint32) *symtab {
	h := &m.r.Image.Header
	size := uint64(12)
	if h.Is64 {
		size = 16
	}
	total := size * uint64(count)
	if !m.left.take(3 * total) {
		return nil
	}
	b, _ := readStream(io.NewSectionReader(m.f, int64(m.off)+int64(off), int64(total)), total)
	text := m.r.Image.Segment("__TEXT")
	t := &symtab{address: m.address, prefix: "_", names: io.NewSectionReader(m.f, int64(m.off)+int64(names), int64(nameSize))}
	for ; uint64(len(b)) >= size; b = b[size:] {
		e := entry{name: h.Order.Uint32(b), addr: uint64(h.Order.Uint32(b[8:]))}
		if h.Is64 {
			e.addr = h.Order.Uint64(b[8:])
		}
		kind := b[4]
		if kind&nStab != 0 || kind&nType != nSect || e.name == 0 || e.addr < text.Addr || e.addr-text.Addr >= text.Size {
			continue
		}
		if e.addr == text.Addr {
			continue // __mh_execute_header, which is not a function
		}
		if kind&nExt != 0 {
			e.rank = rankGlobal
		}
		t.entries = append(t.entries, e)
	}
	t.finish(func(uint64) uint64 { return text.Addr + text.Size })
	return t
}

// goNamer returns the namer of a Go program.
func (m *machFile) goNamer(symbols *symtab) namer {
	var table *io.SectionReader
	for _, segment := range []string{"__TEXT", "__DATA_CONST", "__RODATA", "__DATA"} {
		if table == nil {
			table = m.contents(segment, "__gopclntab")
		}
	}
	text, ok := m.r.Section("__TEXT", "__text")
	if table == nil || !ok || table.Size() > MaxLoad/4 || !m.left.take(uint64(table.Size())) {
		return nil
	}
	b, err := readStream(table, uint64(table.Size()))
	if err != nil {
		return nil
	}
	g := &goTable{data: b, order: m.r.Image.Header.Order, text: text.Addr, entry: m.entry(), address: m.address}
	if symbols != nil {
		if g.start = symbols.named("runtime.text", text.Addr, text.Addr+text.Size); g.start == 0 {
			g.start = symbols.named("_runtime.text", text.Addr, text.Addr+text.Size)
		}
	}
	if n := g.namer(); n != nil {
		return n
	}
	return nil
}
