package images

import (
	"bytes"

	"minidump/elf"

	"minidump/internal/snapshot"
)

// findSonames finds the SONAMEs of all images.
func findSonames(s *snapshot.Snapshot, mem snapshot.Memory) {
	readDynamic(s, mem)
	findStrings(s)
	readSonames(s, mem)
}

// readDynamic reads the dynamic sections.
func readDynamic(s *snapshot.Snapshot, mem snapshot.Memory) {
	s.Batch.Clear()
	for i := range s.Modules.All() {
		if m := s.Modules.At(i); m.DynSize > 0 && !m.VDSO {
			s.Batch.Want(s, m.DynAddr, int(m.DynSize), &m.Dynamic)
		}
	}
	s.Batch.Read(mem)
}

// findStrings finds the addresses of the SONAMEs through the dynamic sections, and the images that have packed relocations.
func findStrings(s *snapshot.Snapshot) {
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		if m.Dynamic.Len == 0 {
			continue
		}
		h, ok := elf.ParseHeader(s.Bytes.Get(m.Headers))
		if !ok {
			continue
		}
		d := h.ParseDynamic(s.Bytes.Get(m.Dynamic))
		im := &s.Image
		im.Class, im.Base, im.Bias = h.Class, m.Base, m.Bias
		m.Packed = m.Base - im.EffectiveBase(&h, &d)
		if !d.HasSoname || d.Strtab == 0 {
			continue
		}
		// DT_STRTAB is an address if the loader relocated the section, otherwise an offset.
		m.SonameAddr = d.Strtab
		if d.Strtab < m.Base || d.Strtab >= m.End {
			m.SonameAddr += m.Bias
		}
		m.SonameAddr += d.Soname
	}
}

// readSonames reads the SONAMEs.
func readSonames(s *snapshot.Snapshot, mem snapshot.Memory) {
	s.Batch.Clear()
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		if m.SonameAddr == 0 {
			continue
		}
		// The strings of a small library are in the bytes that were read first.
		b := Tail(s.Bytes.Get(m.Headers), m.SonameAddr-m.Base)
		if bytes.IndexByte(b, 0) >= 0 {
			m.Soname, m.SonameAddr = s.Put(b[:sonameLen(b)]), 0
		} else {
			s.Batch.Want(s, m.SonameAddr, maxSoname, &m.Soname)
		}
	}
	s.Batch.Read(mem)
	for i := range s.Modules.All() {
		if m := s.Modules.At(i); m.SonameAddr != 0 {
			m.Soname.Len = uint32(sonameLen(s.Bytes.Get(m.Soname)))
		}
	}
}

// sonameLen returns the length of the SONAME at the start of b, or 0 if it does not end in b, is too long or is a path.
func sonameLen(b []byte) int {
	n := bytes.IndexByte(b, 0)
	if n <= 0 || n >= maxSoname || bytes.IndexByte(b[:n], '/') >= 0 {
		return 0
	}
	return n
}
