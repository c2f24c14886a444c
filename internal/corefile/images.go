package corefile

import (
	"minidump/elf"

	"minidump/internal/arena"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// Bounds on the search for images without NT_FILE: the number of images, and of mappings examined for all of them.
const (
	maxImages     = 4096
	maxImageSteps = 1 << 22
)

// findImages replaces a missing NT_FILE. A segment that starts with an ELF header is an image, and the image's
// program headers say which of the memory after it belongs to it. An image's name comes from the dynamic linker's
// list, the program's name from AT_EXECFN.
func (c *Source) findImages(s *snapshot.Snapshot) {
	page := s.Target.PageSize
	maps := s.Mappings.All()
	found, steps := 0, 0
	for i := range maps {
		m := &maps[i]
		if m.Kind != snapshot.MapAnonymous {
			continue
		}
		if found == maxImages || steps >= maxImageSteps {
			s.Soft(snapshot.OpTruncated, 0, 0, m.Start)
			return
		}
		b := c.buf[:min(uint64(len(c.buf)), m.End-m.Start, images.FirstRead)]
		b = b[:c.mem.Read(m.Start, b)]
		h, ok := elf.ParseHeader(b)
		if !ok || h.Type != elf.ET_EXEC && h.Type != elf.ET_DYN {
			continue
		}
		table := images.Tail(b, h.Phoff)
		table = table[:min(len(table), h.ProgTableSize())]
		var im elf.Image
		im.Scan(&h, table, m.Start, page)
		if im.Loads == 0 || im.End() <= m.Start {
			continue
		}
		found++
		name := c.nameOfImage(s, &im)
		for j := i; j < len(maps) && maps[j].Start < im.End(); j++ {
			if steps++; steps >= maxImageSteps {
				break
			}
			if off, ok := fileOffset(&h, table, maps[j].Start-im.Bias, page); ok && maps[j].Kind == snapshot.MapAnonymous {
				maps[j].Kind, maps[j].Name, maps[j].Offset = snapshot.MapFile, name, off
			}
		}
	}
}

// fileOffset returns the offset in the image's file of the page at the link-time address vaddr; ok is false if the page
// does not come from the file.
func fileOffset(h *elf.Header, table []byte, vaddr, page uint64) (off uint64, ok bool) {
	for k := 0; ; k++ {
		p, more := h.Prog(table, k)
		if !more {
			return 0, false
		}
		first := p.Vaddr &^ (page - 1)
		if p.Type == elf.PT_LOAD && first <= vaddr && vaddr < p.Vaddr+p.Filesz {
			return p.Off&^(page-1) + (vaddr - first), true
		}
	}
}

// nameOfImage returns the path of an image, or "unknown" if it is not known.
func (c *Source) nameOfImage(s *snapshot.Snapshot, im *elf.Image) arena.Span {
	for _, lm := range s.LinkMaps.All() {
		if im.Dynamic.Size > 0 && lm.Ld == im.Dynamic.Addr && lm.Name.Len > 0 {
			return lm.Name
		}
	}
	if im.Base <= c.auxv.Phdr && c.auxv.Phdr < im.End() {
		return c.programPath(s)
	}
	return s.Bytes.Put(unknownName)
}

var unknownName = []byte("unknown")

// programPath returns the path by which the program was executed, or else the name of the process.
func (c *Source) programPath(s *snapshot.Snapshot) arena.Span {
	if c.auxv.Execfn != 0 {
		path, b := s.Bytes.Alloc(4096) // PATH_MAX
		if b != nil {
			n := c.mem.Read(c.auxv.Execfn, b)
			if path = s.Bytes.Trim(path, len(untilNUL(b[:n]))); path.Len > 0 {
				return path
			}
		}
	}
	if c.comm.Len > 0 {
		return c.comm
	}
	return s.Bytes.Put(unknownName)
}
