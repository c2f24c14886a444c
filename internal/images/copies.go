package images

import (
	"minidump/elf"

	"minidump/internal/snapshot"
)

// maxCopies is the maximum number of copies of code that are examined.
const maxCopies = 1024

// isCopy reports whether a module is an additional mapping of a file's code that does not begin at the start of the file.
// Programs map code again when they want it near other code, as V8 does with its built-in functions.
func isCopy(s *snapshot.Snapshot, m *snapshot.Module) bool {
	return !m.VDSO && !m.PE && !m.InArchive && s.Mappings.At(int(m.MapIndex)).Offset != 0 && !isELF(s.Bytes.Get(m.Headers))
}

// identifyCopies identifies copies of code by the image of the same file that is mapped as a whole. A copy's symbol
// addresses count from where the start of that image would be if the image were where the copy is: lowerPacked moves the
// base there. A copy of a file without such an image has no build id, because a reader would find wrong names by it.
func identifyCopies(s *snapshot.Snapshot) {
	maps, mods := s.Mappings.All(), s.Modules.All()
	copies := 0
	for i := range mods {
		m := &mods[i]
		if !isCopy(s, m) {
			continue
		}
		m.Copy = true
		first := &maps[m.MapIndex]
		if copies++; copies <= maxCopies {
			for j := range mods {
				image := &mods[j]
				if im := &maps[image.MapIndex]; im.Offset != 0 || !sameFile(im, first) || image.VDSO {
					continue
				}
				if distance, ok := addressOfOffset(s, image, first.Offset); ok {
					m.Packed, m.ID, m.Name = distance, image.ID, image.Name
					m.Version, m.HasVersion = image.Version, image.HasVersion
					break
				}
			}
		}
		if m.ID.Len == 0 {
			s.SoftModule(snapshot.OpModule, m)
		}
	}
}

// addressOfOffset returns the distance from the base of an image to the page at an offset in its file.
func addressOfOffset(s *snapshot.Snapshot, m *snapshot.Module, offset uint64) (distance uint64, ok bool) {
	b := s.Bytes.Get(m.Headers)
	h, ok := elf.ParseHeader(b)
	if !ok {
		return 0, false
	}
	table := Tail(b, h.Phoff)
	if len(table) < h.ProgTableSize() {
		table = s.Bytes.Get(m.Progs)
	}
	page := s.Target.PageSize
	lowest := ^uint64(0)
	for k := 0; ; k++ {
		p, more := h.Prog(table, k)
		if !more {
			return 0, false
		}
		if p.Type != elf.PT_LOAD {
			continue
		}
		start, off := p.Vaddr&^(page-1), p.Off&^(page-1)
		lowest = min(lowest, start)
		// Code may share a page with the segment before it, which does not contain the code: the later segment is right.
		if p.Flags&elf.PF_X != 0 && off <= offset && offset < p.Off+p.Filesz {
			return start - lowest + offset - off, true
		}
	}
}
