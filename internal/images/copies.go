package images

import (
	"minidump/elf"

	"minidump/internal/snapshot"
)

// maxCopies bounds how many copies of code are looked into.
const maxCopies = 1024

// isCopy reports whether a module is code of a file that is mapped once more, not from the start of the file: programs do
// that with code that they want near other code, as V8 does with its built-in functions.
func isCopy(s *snapshot.Snapshot, m *snapshot.Module) bool {
	return !m.VDSO && !m.PE && !m.InArchive && s.Mappings.At(int(m.MapIndex)).Offset != 0 && !isELF(s.Bytes.Get(m.Headers))
}

// identifyCopies names copies of code by the image of the same file that is mapped as a whole. The addresses of its
// symbols count from where the start of that image would be, if it were where the copy is: lowerPacked moves the base there.
// A copy of a file without such an image stays without a build id, by which a reader would find the wrong names.
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

// addressOfOffset returns how far from the base of an image the page is that comes from an offset in its file.
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
		// Code may have a page in common with the segment before it, in which it is not: the later segment is right.
		if p.Flags&elf.PF_X != 0 && off <= offset && offset < p.Off+p.Filesz {
			return start - lowest + offset - off, true
		}
	}
}
