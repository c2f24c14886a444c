package images

import (
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// ParseMaps fills the mapping table from the text of /proc/PID/maps. Lines that it cannot parse are left out, and
// recorded in one soft error.
func ParseMaps(s *snapshot.Snapshot, text []byte) {
	r := procfs.MapsReader{Rest: text}
	var line procfs.Mapping
	var lastName []byte
	var last arena.Span
	for r.Next(&line) {
		m := s.Mappings.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, line.Start)
			return
		}
		m.Start, m.End, m.Offset, m.Inode = line.Start, line.End, line.Offset, line.Inode
		m.Dev = uint64(line.Major)<<32 | uint64(line.Minor)
		m.Perm = uint8(line.Perm) // the same bits
		if len(line.Name) == 0 {
			continue
		}
		m.Kind, m.Deleted = KindOf(&line)
		// The segments of one library are on adjacent lines and share one copy of the name.
		if string(line.Name) == string(lastName) {
			m.Name = last
			continue
		}
		name, b := s.Bytes.Alloc(len(line.Name))
		if b == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, line.Start)
			return
		}
		n := copy(b, line.TrimDeleted())
		if m.Kind == snapshot.MapFile {
			n = procfs.UnescapeName(b, b[:n])
		}
		m.Name = s.Bytes.Trim(name, n)
		lastName, last = line.Name, m.Name
	}
	if r.Skipped > 0 {
		s.Soft(snapshot.OpParseMaps, 0, 0, 0)
	}
}

// KindOf returns the kind of a mapping that has a name, and whether its file was deleted.
func KindOf(m *procfs.Mapping) (kind snapshot.MappingKind, deleted bool) {
	switch {
	case m.IsPath():
		return snapshot.MapFile, m.Deleted()
	case m.IsVDSO():
		return snapshot.MapVDSO, false
	case m.IsVsyscall(), len(m.Name) >= 5 && string(m.Name[:5]) == "[vvar": // also [vvar_vclock]
		return snapshot.MapSpecial, false
	}
	return snapshot.MapNamed, false
}
