package corefile

import (
	"cmp"
	"io"
	"slices"

	"minidump/elf"
	"minidump/internal/errtext"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// A segment is a PT_LOAD of a core file: [start, end) of the process's address space. Its first present bytes are at
// off in the file. The rest of its contents is not known: the kernel leaves out what the process's coredump_filter
// excludes (core(5)), and a truncated file lacks more.
type segment struct {
	start, end uint64
	off        uint64
	present    uint64
	perm       uint8
}

// memory reads the memory of the process from a core file.
type memory struct {
	snapshot.Whole // Read determines what is missing from the file
	file           io.ReaderAt
	size           uint64               // of the file
	segments       arena.Table[segment] // sorted by address, not overlapping
}

// firstAbove returns the index of the first segment that ends above addr, or the number of segments if there is none.
func (m *memory) firstAbove(addr uint64) int {
	return arena.Search(m.segments.All(), addr, func(s *segment) uint64 { return s.end })
}

// Read implements snapshot.Memory.
func (m *memory) Read(addr uint64, p []byte) (n int) {
	segs := m.segments.All()
	for i := m.firstAbove(addr); n < len(p) && i < len(segs); i++ {
		s := &segs[i]
		if addr < s.start || addr-s.start >= s.present {
			break
		}
		into := addr - s.start
		want := int(min(s.present-into, uint64(len(p)-n)))
		got := m.readFile(s.off+into, p[n:n+want])
		n += got
		addr += uint64(got)
		if got < want {
			break
		}
	}
	return n
}

// ReadV implements snapshot.Memory.
func (m *memory) ReadV(reqs []snapshot.ReadRequest) {
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// readFile reads the file at offset off and returns how many bytes it read: fewer than len(p) at the end of the file and after an error.
func (m *memory) readFile(off uint64, p []byte) int {
	if off >= m.size {
		return 0
	}
	p = p[:min(uint64(len(p)), m.size-off)]
	n, _ := m.file.ReadAt(p, int64(off))
	return max(0, min(n, len(p)))
}

// A region is a piece of the file.
type region struct{ off, size, align uint64 }

// maxNoteSegments is the maximum number of PT_NOTE segments that are read. The kernel and gdb write one.
const maxNoteSegments = 16

// readSegments reads the program headers. c.head must be set. It records in c.truncated and c.missingFrom what is missing from the file.
func (c *Notes) readSegments() error {
	h := &c.head
	size := uint64(elf.ProgSize64)
	if h.Class == elf.Class32 {
		size = elf.ProgSize32
	}
	if h.Phoff == 0 || uint64(h.Phentsize) != size {
		return errtext.Wrap(ErrNotCore, "minidump: ", c.name, " has no program headers")
	}
	count := uint64(h.Phnum)
	if h.Phnum == elf.PN_XNUM {
		sec := c.buf[:elf.SectionSize64]
		if sec0, ok := h.Section(sec[:c.mem.readFile(h.Shoff, sec)], 0); ok && h.Shoff != 0 {
			n, _, _ := h.Extended(sec0)
			count = uint64(n)
		}
		// gdb puts the section headers at the end. If they were cut off, the first 65,535 segments are used.
	}
	most := (c.mem.size - min(c.mem.size, h.Phoff)) / size
	if count > most {
		count, c.truncated = most, true
	}
	perRead := uint64(len(c.buf)) / size
	for first := uint64(0); first < count; first += perRead {
		b := c.buf[:min(perRead, count-first)*size]
		b = b[:c.mem.readFile(h.Phoff+first*size, b)]
		for i := 0; uint64(i) < uint64(len(b))/size; i++ {
			p, ok := h.Prog(b, i)
			if !ok {
				break
			}
			switch p.Type {
			case elf.PT_NOTE:
				c.addNotes(&p)
			case elf.PT_LOAD:
				if !c.addSegment(&p) {
					c.full = true
					c.sortSegments()
					return nil
				}
			}
		}
	}
	c.sortSegments()
	return nil
}

// addNotes records a PT_NOTE.
func (c *Notes) addNotes(p *elf.Prog) {
	r := region{off: p.Off, size: p.Filesz, align: p.Align}
	if r.off >= c.mem.size || r.size > c.mem.size-r.off {
		c.truncated = true
		r.size = c.mem.size - min(c.mem.size, r.off)
	}
	if r.size > 0 && len(c.noteSegments) < maxNoteSegments {
		c.noteSegments = append(c.noteSegments, r)
	}
}

// addSegment records a PT_LOAD. It returns false if the table is full.
func (c *Notes) addSegment(p *elf.Prog) bool {
	top := ^uint64(0)
	if c.head.Class == elf.Class32 {
		top = 1 << 32
	}
	if p.Memsz == 0 || p.Vaddr >= top {
		return true
	}
	s := c.mem.segments.Add()
	if s == nil {
		return false
	}
	*s = segment{start: p.Vaddr, end: p.Vaddr + min(p.Memsz, top-p.Vaddr), off: p.Off}
	s.present = min(p.Filesz, s.end-s.start)
	if s.present > 0 && (s.off >= c.mem.size || s.present > c.mem.size-s.off) {
		s.present = c.mem.size - min(c.mem.size, s.off)
		if !c.truncated || s.start+s.present < c.missingFrom {
			c.missingFrom = s.start + s.present
		}
		c.truncated = true
	}
	s.perm = permOfFlags(p.Flags)
	return true
}

// sortSegments sorts the segments. Memory that two segments claim belongs to the earlier one. In total the segments
// have no more bytes than the file, so segments that share their bytes cannot turn a small file into a large dump.
func (c *Notes) sortSegments() {
	segs := c.mem.segments.All()
	slices.SortStableFunc(segs, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	n := 0
	end, room := uint64(0), c.mem.size
	for i := range segs {
		s := segs[i]
		if s.end <= end {
			continue
		}
		if cut := end - min(end, s.start); cut > 0 {
			s.start += cut
			s.off += cut // cannot wrap: present bytes lie below the file's size
			s.present -= min(s.present, cut)
		}
		if s.present > room {
			c.truncated = true
			s.present = room
		}
		room -= s.present
		end = s.end
		segs[n] = s
		n++
	}
	c.mem.segments.N = n
}
