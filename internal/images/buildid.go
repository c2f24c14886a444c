package images

import (
	"minidump/elf"

	"minidump/internal/snapshot"
)

// findBuildIDs finds the build ids. Program headers or notes that were not in the first bytes of their image
// require one more batch each.
func findBuildIDs(s *snapshot.Snapshot, mem snapshot.Memory) {
	readProgs(s, mem)
	scanImages(s, mem)
	readNotes(s, mem)
}

// readProgs reads program headers that are not in the first bytes of their image.
func readProgs(s *snapshot.Snapshot, mem snapshot.Memory) {
	s.Batch.Clear()
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		if h, ok := elf.ParseHeader(s.Bytes.Get(m.Headers)); ok {
			size := h.ProgTableSize()
			m.Phsize = uint32(size)
			if len(Tail(s.Bytes.Get(m.Headers), h.Phoff)) < size {
				s.Batch.Want(s, m.Base+h.Phoff, size, &m.Progs)
			}
		}
	}
	s.Batch.Read(mem)
}

// scanImages finds dynamic sections and notes through the program headers, and records the build ids that are in the first bytes.
func scanImages(s *snapshot.Snapshot, mem snapshot.Memory) {
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		b := s.Bytes.Get(m.Headers)
		h, ok := elf.ParseHeader(b)
		if !ok {
			if !m.VDSO && !identifyPE(s, mem, i) && !isCopy(s, m) {
				s.SoftModule(snapshot.OpModule, m)
			}
			continue
		}
		table := Tail(b, h.Phoff)
		if len(table) < h.ProgTableSize() {
			table = s.Bytes.Get(m.Progs)
		}
		im := &s.Image
		im.Scan(&h, table, m.Base, s.Target.PageSize)
		m.Bias = im.Bias
		m.DynAddr, m.DynSize = im.Dynamic.Addr, min(im.Dynamic.Size, maxDynamic)
		if id := im.BuildIDIn(&h, b, m.Base); id != nil {
			m.ID = s.Put(id)
			continue
		}
		for j := range im.NumNotes {
			if n := im.Notes[j]; n.In(b, m.Base) == nil {
				m.NotesAddr, m.NotesSize, m.NotesAlign = n.Addr, min(n.Size, maxNotes), n.Align
				break
			}
		}
	}
}

// readNotes reads the notes that were not in the first bytes, and records the build ids in them.
func readNotes(s *snapshot.Snapshot, mem snapshot.Memory) {
	s.Batch.Clear()
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		switch {
		case m.ID.Len > 0 || m.Phsize == 0:
		case m.NotesSize > 0 && m.NotesAddr-m.Base >= firstPage:
			s.Batch.Want(s, m.NotesAddr, int(m.NotesSize), &m.Notes)
		default: // Go's linker puts the id at the end of the first page
			s.Batch.Want(s, m.Base, int(min(m.End-m.Base, firstPage)), &m.Notes)
			m.NotesSize = 0
		}
	}
	s.Batch.Read(mem)
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		if m.Notes.Len == 0 {
			continue
		}
		b := s.Bytes.Get(m.Notes)
		var id []byte
		if m.NotesSize > 0 {
			id = elf.BuildID(b, m.NotesAlign, s.Target.Order)
		} else if h, ok := elf.ParseHeader(b); ok {
			im := &s.Image
			im.Scan(&h, Tail(b, h.Phoff), m.Base, s.Target.PageSize)
			h.AddNoteSections(im, Tail(b, h.Shoff))
			id = im.BuildIDIn(&h, b, m.Base)
		}
		if id != nil && !elf.IsAllZero(id) {
			m.ID = s.Put(id)
		}
	}
}

// Tail returns b[off:], or nil if b is shorter than off.
func Tail(b []byte, off uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	return b[off:]
}
