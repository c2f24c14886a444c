package images

import (
	"math"

	"minidump/elf"
	"minidump/procfs"

	"minidump/internal/snapshot"
)

// splitArchives removes modules that are not images, and splits archives. A file that does not start with an ELF header
// may be an archive (an Android APK) from which libraries are mapped: each library starts at an ELF header, and includes
// the following mappings of the file up to the end given by its program headers. Any other file is removed unless code
// of it is mapped. Code that a program has generated in named memory (memfd, Android's ashmem) is not a module either.
func splitArchives(s *snapshot.Snapshot, mem snapshot.Memory) {
	maps := s.Mappings.All()
	n := s.Modules.N
	var lib *snapshot.Module // the last image
	for i := range n {
		m := *s.Modules.At(i)
		first := &maps[m.MapIndex]
		elfHere := isELF(s.Bytes.Get(m.Headers))
		if lib != nil && m.Base < lib.Limit && !m.VDSO && (lib.InArchive || !elfHere) &&
			sameFile(&maps[lib.MapIndex], first) && first.Offset >= maps[lib.MapIndex].Offset {
			lib.End = m.End
			continue
		}
		if !m.VDSO && !elfHere {
			inner, ok := addInside(s, mem, &m)
			if !ok {
				return
			}
			if inner != nil {
				lib = inner
				continue
			}
			if !groupExecutable(s, &m) || inMemory(s.Bytes.Get(m.Path)) {
				continue
			}
		}
		m.InArchive = !m.VDSO && elfHere && first.Offset != 0
		kept := s.Modules.Add()
		if kept == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, m.Base)
			return
		}
		*kept = m
		kept.Limit = imageEnd(s, kept)
		if lib = kept; m.VDSO || !elfHere {
			lib = nil
		}
	}
	mods := s.Modules.All()
	s.Modules.N = copy(mods, mods[n:])
}

// addInside adds the images that start at mappings of m after the first. It returns the last one, or nil if there is
// none. ok is false if the table is full.
func addInside(s *snapshot.Snapshot, mem snapshot.Memory, m *snapshot.Module) (lib *snapshot.Module, ok bool) {
	maps := s.Mappings.All()
	for i := int(m.MapIndex) + 1; i < len(maps) && maps[i].Start < m.End; i++ {
		p := &maps[i]
		if !sameFile(p, &maps[m.MapIndex]) {
			continue
		}
		if lib != nil && p.Start < lib.Limit && p.Offset >= maps[lib.MapIndex].Offset {
			lib.End = p.End
			continue
		}
		if p.Perm&(snapshot.PermRead|snapshot.PermExec) == 0 {
			continue
		}
		h, b := s.Bytes.Alloc(int(min(p.End-p.Start, FirstRead)))
		if b == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, p.Start)
			return lib, true
		}
		h = s.Bytes.Trim(h, mem.Read(p.Start, b))
		if !isELF(s.Bytes.Get(h)) {
			s.Bytes.Trim(h, 0)
			continue
		}
		if lib = s.Modules.Add(); lib == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, p.Start)
			return nil, false
		}
		lib.Base, lib.End, lib.MapIndex, lib.Path, lib.Headers = p.Start, p.End, int32(i), m.Path, h
		lib.InArchive = p.Offset != 0
		lib.Limit = imageEnd(s, lib)
	}
	return lib, true
}

// imageEnd returns the end of an image according to its program headers, in whole pages, or the highest address if they were not all read.
func imageEnd(s *snapshot.Snapshot, m *snapshot.Module) uint64 {
	b := s.Bytes.Get(m.Headers)
	h, ok := elf.ParseHeader(b)
	if !ok {
		return m.End
	}
	table := Tail(b, h.Phoff)
	im := &s.Image
	im.Scan(&h, table, m.Base, s.Target.PageSize)
	if im.Loads == 0 || len(table) < h.ProgTableSize() {
		return ^uint64(0)
	}
	size := im.End() - m.Base
	if h.Class == elf.Class32 { // a 64-bit process may have mapped it above 4 GB in order to read it
		size &= math.MaxUint32
	}
	return (m.Base + size + s.Target.PageSize - 1) &^ (s.Target.PageSize - 1)
}

func isELF(b []byte) bool {
	return len(b) >= 4 && b[0] == 0x7f && b[1] == 'E' && b[2] == 'L' && b[3] == 'F'
}

// inMemory reports whether the path is that of named memory, not that of a file.
func inMemory(path []byte) bool {
	m := procfs.Mapping{Name: path}
	_, sysv := m.SysV()
	return sysv || m.IsMemfd() || m.IsAshmem() || m.IsDevZero()
}

// groupExecutable reports whether any mapping of the module is executable.
func groupExecutable(s *snapshot.Snapshot, m *snapshot.Module) bool {
	maps := s.Mappings.All()
	for i := int(m.MapIndex); i < len(maps) && maps[i].Start < m.End; i++ {
		if maps[i].Perm&snapshot.PermExec != 0 && sameFile(&maps[i], &maps[m.MapIndex]) {
			return true
		}
	}
	return false
}
