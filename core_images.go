package minidump

import (
	"minidump/elf"
)

// Bounds on the search for images without NT_FILE: how many, and how many mappings are looked at for them in all.
const (
	maxCoreImages = 4096
	maxImageSteps = 1 << 22
)

// findImages makes up for a missing NT_FILE: where a segment starts with an ELF header there is an image, whose program
// headers tell which of the following memory is its own. Its name is known by the dynamic linker's list, the program's by
// AT_EXECFN.
func (c *core) findImages(s *snapshot) {
	page := s.target.pageSize
	maps := s.mappings.all()
	images, steps := 0, 0
	for i := range maps {
		m := &maps[i]
		if m.kind != mapAnonymous {
			continue
		}
		if images == maxCoreImages || steps >= maxImageSteps {
			s.soft(opTruncated, 0, 0, m.start)
			return
		}
		b := c.buf[:min(uint64(len(c.buf)), m.end-m.start, firstHeaderRead)]
		b = b[:c.mem.read(m.start, b)]
		h, ok := elf.ParseHeader(b)
		if !ok || h.Type != elf.ET_EXEC && h.Type != elf.ET_DYN {
			continue
		}
		table := tail(b, h.Phoff)
		table = table[:min(len(table), h.ProgTableSize())]
		var im elf.Image
		im.Scan(&h, table, m.start, page)
		if im.Loads == 0 || im.End() <= m.start {
			continue
		}
		images++
		name := c.nameOfImage(s, &im)
		for j := i; j < len(maps) && maps[j].start < im.End(); j++ {
			if steps++; steps >= maxImageSteps {
				break
			}
			if off, ok := fileOffset(&h, table, maps[j].start-im.Bias, page); ok && maps[j].kind == mapAnonymous {
				maps[j].kind, maps[j].name, maps[j].offset = mapFile, name, off
			}
		}
	}
}

// fileOffset tells the offset in its file of what an image has at a page's link-time address; ok is false for what comes
// from no file.
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

// nameOfImage finds the path of an image.
func (c *core) nameOfImage(s *snapshot, im *elf.Image) span {
	for _, lm := range s.linkMaps.all() {
		if im.Dynamic.Size > 0 && lm.ld == im.Dynamic.Addr && lm.name.len > 0 {
			return lm.name
		}
	}
	if im.Base <= c.auxv.Phdr && c.auxv.Phdr < im.End() {
		return c.programPath(s)
	}
	return s.bytes.put(unknownName)
}

var unknownName = []byte("unknown")

// programPath gives the path of the program as it was executed, else the name of the process.
func (c *core) programPath(s *snapshot) span {
	if c.auxv.Execfn != 0 {
		path, b := s.bytes.alloc(4096) // PATH_MAX
		if b != nil {
			n := c.mem.read(c.auxv.Execfn, b)
			if path = s.bytes.trim(path, len(untilNUL(b[:n]))); path.len > 0 {
				return path
			}
		}
	}
	if c.comm.len > 0 {
		return c.comm
	}
	return s.bytes.put(unknownName)
}
