package images

import (
	"minidump/pe"

	"minidump/internal/snapshot"
)

func isPE(b []byte) bool { return len(b) >= 2 && b[0] == 'M' && b[1] == 'Z' }

// identifyPE reads what identifies the ith module as a PE image, which Wine has mapped: the CodeView record, by which
// symbols are found, and the time stamp and size, by which the file is. It reports whether there is such an image. Not
// every one has a CodeView record, and a module without one is no error.
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
	if i+1 < s.Modules.N { // modules are in order of address
		end = min(end, s.Modules.At(i+1).Base)
	}
	m.End = max(m.End, end)
	var c pe.CodeView
	if record := im.Reader.CodeView(&c); record != nil {
		// The record lies in the scratch memory, of which it is all that stays.
		n := copy(b, record)
		m.CodeView = s.Bytes.Trim(scratch, n)
		return true
	}
	s.Bytes.Trim(scratch, 0)
	return true
}
