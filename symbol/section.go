package symbol

import (
	"bytes"
	"compress/zlib"
	stdelf "debug/elf"
	"encoding/binary"
	"io"

	"minidump/symbol/internal/dwarf"
)

// lazySection is a compressed section that is decompressed at the first read. If that fails, it reads as empty.
type lazySection struct {
	size uint64 // decompressed size according to the file
	open func() (io.Reader, error)
	left *Budget
	b    []byte
	done bool
}

// Size implements dwarf.Section.
func (s *lazySection) Size() int64 { return int64(min(s.size, MaxLoad)) }

// ReadAt implements dwarf.Section.
func (s *lazySection) ReadAt(p []byte, off int64) (int, error) {
	if !s.done {
		s.done = true
		if s.left.take(s.size) {
			if r, err := s.open(); err == nil {
				s.b, _ = readStream(r, s.size)
			}
		}
	}
	return bytes.NewReader(s.b).ReadAt(p, off)
}

// dwarfSection returns a section of debug information of an ELF file, or nil if it has none. name has no prefix.
func (e *elfFile) dwarfSection(name string, left *Budget) dwarf.Section {
	if s := e.section(".debug_" + name); s != nil {
		if s.Flags&stdelf.SHF_COMPRESSED == 0 && s.ReaderAt != nil {
			return io.NewSectionReader(s.ReaderAt, 0, int64(min(s.Size, 1<<62)))
		}
		return &lazySection{size: s.Size, left: left, open: func() (io.Reader, error) { return s.Open(), nil }}
	}
	if s := e.section(".zdebug_" + name); s != nil && s.ReaderAt != nil {
		return oldCompressed(s.ReaderAt, s.Size, left)
	}
	return nil
}

// oldCompressed returns a section that is compressed in GNU's old format: "ZLIB", the size in 8 bytes, big-endian, and a zlib stream.
func oldCompressed(r io.ReaderAt, size uint64, left *Budget) dwarf.Section {
	head := make([]byte, 12)
	if n, _ := r.ReadAt(head, 0); n < len(head) || string(head[:4]) != "ZLIB" {
		return nil
	}
	return &lazySection{size: binary.BigEndian.Uint64(head[4:]), left: left, open: func() (io.Reader, error) {
		return zlib.NewReader(io.NewSectionReader(r, 12, int64(min(size, 1<<62))-12))
	}}
}

// dwarfSections collects the sections that package dwarf reads. find must return a nil interface for a missing section.
func dwarfSections(find func(name string) dwarf.Section) (s dwarf.Sections, ok bool) {
	s = dwarf.Sections{
		Abbrev: find("abbrev"), Addr: find("addr"), Aranges: find("aranges"), Info: find("info"), Line: find("line"),
		LineStr: find("line_str"), Ranges: find("ranges"), RngLists: find("rnglists"), Str: find("str"), StrOffsets: find("str_offsets"),
	}
	return s, s.Info != nil && s.Abbrev != nil
}

// dwarfNamer finds names in DWARF debug information.
type dwarfNamer struct {
	data    *dwarf.Data
	path    string
	address func(rva uint64) uint64
}

func (n *dwarfNamer) lookup(rva uint64) []Frame {
	addr := n.address(rva)
	var frames []Frame
	for _, f := range n.data.Lookup(addr) {
		name := f.Name
		if f.Linkage {
			name = readable(name)
		}
		frames = append(frames, Frame{Function: name, Offset: addr - f.Start, File: f.File, Line: f.Line, Inlined: f.Inlined})
	}
	if len(frames) == 1 && frames[0].Function == "" {
		frames[0].Offset = 0
	}
	return frames
}

// notes returns what the lookups so far encountered and could not read.
func (n *dwarfNamer) notes() (notes []string) {
	if n.data.Split {
		notes = append(notes, n.path+": debug information in separate .dwo files is not supported")
	}
	if n.data.Alt {
		notes = append(notes, n.path+": the supplementary debug file (.gnu_debugaltlink) was not found")
	}
	return notes
}
