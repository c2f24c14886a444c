package images

import (
	"minidump/pe"

	"minidump/internal/snapshot"
)

func isPE(b []byte) bool { return len(b) >= 2 && b[0] == 'M' && b[1] == 'Z' }

// identifyPE reads what identifies the ith module as a PE image mapped by Wine: the CodeView record, by which symbols
// are found, and the time stamp and size, by which the file is found. It reports whether the module is such an image.
// Some images have no CodeView record, which is not an error.
func identifyPE(s *snapshot.Snapshot, mem snapshot.Memory, i int) bool {
	m := s.Modules.At(i)
	if !isPE(s.Bytes.Get(m.Headers)) {
		return false
	}
	scratch, b := s.Bytes.Alloc(pe.MinScratch)
	if b == nil {
		return false
	}
	im := &s.PE
	defer im.Close()
	if !im.Open(mem, m.Base, b) {
		s.Bytes.Trim(scratch, 0)
		return false
	}
	h := &im.Reader.Header
	m.PE, m.TimeStamp, m.CheckSum = true, h.TimeDateStamp, h.CheckSum
	end := m.Base + uint64(h.SizeOfImage)
	if i+1 < s.Modules.N { // modules are sorted by address
		end = min(end, s.Modules.At(i+1).Base)
	}
	m.End = max(m.End, end)
	var c pe.CodeView
	if record := im.Reader.CodeView(&c); record != nil {
		// The record is in the scratch memory, and nothing else there is kept.
		n := copy(b, record)
		m.CodeView = s.Bytes.Trim(scratch, n)
		return true
	}
	s.Bytes.Trim(scratch, 0)
	return true
}
