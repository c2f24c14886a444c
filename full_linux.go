package minidump

// chooseFull notes every readable mapping, to be streamed. Where only part of one can be read (a file that is shorter
// than its mapping) that part is taken; where nothing can, the mapping is skipped, and both are told.
func (l *live) chooseFull(w *Writer) {
	s := &w.snap
	page := s.target.pageSize
	maps := s.mappings.all()
	for i := range maps {
		m := &maps[i]
		if m.perm&permRead == 0 || m.kind == mapSpecial {
			continue
		}
		size := m.end - m.start
		if m.inode != 0 || m.perm&permShared != 0 { // pages behind the end of the file can't be read
			size = l.readableSize(m, page)
		} else if !l.canRead(m.start) {
			size = 0
		}
		if size < m.end-m.start {
			if e := s.soft(opFull, 0, 0, m.start+size); e != nil {
				e.text = m.name
			}
		}
		if size == 0 {
			continue
		}
		r := s.full.add()
		if r == nil {
			s.soft(opTruncated, 0, 0, m.start)
			continue
		}
		*r = memoryRange{start: m.start, size: size}
	}
}

func (l *live) canRead(addr uint64) bool { return l.mem.read(addr, l.scratch[:1]) == 1 }

// readableSize finds how many bytes of a mapping, from its start, can be read: all, or up to a page behind which
// there is no file any more.
func (l *live) readableSize(m *mapping, page uint64) uint64 {
	n := (m.end - m.start) / page
	if n == 0 || l.canRead(m.end-page) {
		return m.end - m.start
	}
	lo, hi := uint64(0), n // pages below lo can be read; page hi-1 can't
	for lo < hi {
		mid := (lo + hi) / 2
		if l.canRead(m.start + mid*page) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo * page
}
