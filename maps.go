package minidump

import (
	"minidump/procfs"
)

// parseMaps fills the mapping table from the text of /proc/PID/maps.
func (s *snapshot) parseMaps(text []byte) {
	r := procfs.MapsReader{Rest: text}
	var line procfs.Mapping
	var lastName []byte
	var last span
	for r.Next(&line) {
		m := s.mappings.add()
		if m == nil {
			s.soft(opTruncated, 0, 0, line.Start)
			return
		}
		m.start, m.end, m.offset, m.inode = line.Start, line.End, line.Offset, line.Inode
		m.dev = uint64(line.Major)<<32 | uint64(line.Minor)
		m.perm = uint8(line.Perm) // the same bits
		if len(line.Name) == 0 {
			continue
		}
		m.kind, m.deleted = kindOf(&line)
		// The segments of one library stand together: one copy of the name serves them all.
		if string(line.Name) == string(lastName) {
			m.name = last
			continue
		}
		name, b := s.bytes.alloc(len(line.Name))
		if b == nil {
			s.soft(opTruncated, 0, 0, line.Start)
			return
		}
		n := copy(b, line.TrimDeleted())
		if m.kind == mapFile {
			n = procfs.UnescapeName(b, b[:n])
		}
		m.name = s.bytes.trim(name, n)
		lastName, last = line.Name, m.name
	}
	if r.Skipped > 0 {
		s.soft(opParseMaps, 0, 0, 0)
	}
}

func kindOf(m *procfs.Mapping) (kind mappingKind, deleted bool) {
	switch {
	case m.IsPath():
		return mapFile, m.Deleted()
	case m.IsVDSO():
		return mapVDSO, false
	case m.IsVsyscall(), len(m.Name) >= 5 && string(m.Name[:5]) == "[vvar": // also [vvar_vclock]
		return mapSpecial, false
	}
	return mapNamed, false
}
