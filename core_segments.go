package minidump

import (
	"io"
	"slices"

	"minidump/elf"
	"minidump/internal/errtext"
)

// A coreSegment is a PT_LOAD of a core file: [start, end) of the process's address space, of which the first present
// bytes lie in the file from off on. What the rest held is not known: the kernel leaves out what the process's
// coredump_filter says (core(5)), and a file that was cut short lacks the most.
type coreSegment struct {
	start, end uint64
	off        uint64
	present    uint64
	perm       uint8
}

// coreMemory reads memory out of a core file.
type coreMemory struct {
	file     io.ReaderAt
	size     uint64             // of the file
	segments table[coreSegment] // in order of address, not overlapping
}

// find returns the index of the first segment that ends above addr.
func (m *coreMemory) find(addr uint64) int {
	segs := m.segments.all()
	lo, hi := 0, len(segs)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if segs[mid].end <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (m *coreMemory) read(addr uint64, p []byte) (n int) {
	segs := m.segments.all()
	for i := m.find(addr); n < len(p) && i < len(segs); i++ {
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

func (m *coreMemory) readv(reqs []readRequest) {
	for i := range reqs {
		reqs[i].got = m.read(reqs[i].addr, reqs[i].dst)
	}
}

// readFile reads bytes of the file itself; fewer at its end and where it can't be read.
func (m *coreMemory) readFile(off uint64, p []byte) int {
	if off >= m.size {
		return 0
	}
	p = p[:min(uint64(len(p)), m.size-off)]
	n, _ := m.file.ReadAt(p, int64(off))
	return max(0, min(n, len(p)))
}

// A coreRegion is a piece of the file.
type coreRegion struct{ off, size, align uint64 }

// maxCoreNoteSegments bounds the PT_NOTE segments of a core file that are looked at; the kernel and gdb write one.
const maxCoreNoteSegments = 16

// readSegments reads the program headers. It needs c.head and notes what is missing of the file in c.lost.
func (c *core) readSegments() error {
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
		// gdb puts the section headers at the end: of a file that was cut short the first 65,535 segments are used.
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

func (c *core) addNotes(p *elf.Prog) {
	r := coreRegion{off: p.Off, size: p.Filesz, align: p.Align}
	if r.off >= c.mem.size || r.size > c.mem.size-r.off {
		c.truncated = true
		r.size = c.mem.size - min(c.mem.size, r.off)
	}
	if r.size > 0 && len(c.noteSegments) < maxCoreNoteSegments {
		c.noteSegments = append(c.noteSegments, r)
	}
}

// addSegment enters a PT_LOAD; false when the table is full.
func (c *core) addSegment(p *elf.Prog) bool {
	top := ^uint64(0)
	if c.head.Class == elf.Class32 {
		top = 1 << 32
	}
	if p.Memsz == 0 || p.Vaddr >= top {
		return true
	}
	s := c.mem.segments.add()
	if s == nil {
		return false
	}
	*s = coreSegment{start: p.Vaddr, end: p.Vaddr + min(p.Memsz, top-p.Vaddr), off: p.Off}
	s.present = min(p.Filesz, s.end-s.start)
	if s.present > 0 && (s.off >= c.mem.size || s.present > c.mem.size-s.off) {
		s.present = c.mem.size - min(c.mem.size, s.off)
		if !c.truncated || s.start+s.present < c.lost {
			c.lost = s.start + s.present
		}
		c.truncated = true
	}
	s.perm = permOfFlags(p.Flags)
	return true
}

// sortSegments puts the segments in order and lets the earlier one have what two claim. Together they have no more
// memory than the file has bytes: so segments that share their bytes can't make a large dump of a small file.
func (c *core) sortSegments() {
	segs := c.mem.segments.all()
	slices.SortStableFunc(segs, func(a, b coreSegment) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	n := 0
	end, room := uint64(0), c.mem.size
	for i := range segs {
		s := segs[i]
		if s.end <= end {
			continue
		}
		if cut := end - min(end, s.start); cut > 0 {
			s.start += cut
			s.off += cut // present bytes are below the file's size, so that this can't wrap
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
	c.mem.segments.n = n
}
