package minidump

import (
	"slices"
	"strconv"

	"minidump/context"
	"minidump/elf"
)

// A coreFileMapping is an entry of NT_FILE.
type coreFileMapping struct {
	start, end uint64
	off        uint64 // in the file, bytes
	name       span
	deleted    bool
	kind       mappingKind
}

// permUnknown marks, while the map is made, a mapping that NT_FILE has and no PT_LOAD.
const permUnknown = 1 << 7

// Bounds on names, in bytes, which a small file could have in thousands of places: of one (PATH_MAX), and the text of the
// memory map.
const (
	maxCoreName = 4096
	maxCoreMaps = 256 << 20
)

// vsyscallPage is where the kernel shows amd64 programs its oldest system calls; not memory of the process.
const vsyscallPage = 0xffffffffff600000

// readFileNote parses NT_FILE: the number of entries and the size of the units of offsets, each a word; of each entry start,
// end and offset; then the names, each with a NUL (fill_files_note in the kernel's fs/binfmt_elf.c).
func (c *core) readFileNote(s *snapshot) {
	c.files.clear()
	notes := c.notes.all()
	i := slices.IndexFunc(notes, func(n coreNote) bool { return n.typ == ntFile && !n.linux })
	if i < 0 {
		s.soft(opParseMaps, 0, 0, 0) // a kernel before 3.7, or a file that was cut short
		return
	}
	all := c.noteBytes(s, &notes[i], maxFileNote)
	b := s.bytes.bytes(all)
	word := c.head.Class.WordSize()
	if len(b) < 2*word {
		s.soft(opParseMaps, 0, 0, 0)
		return
	}
	count, unit := c.word(b), c.word(b[word:])
	b = b[2*word:]
	if count > uint64(len(b))/uint64(3*word) {
		s.soft(opParseMaps, 0, 0, 0)
		return
	}
	names := b[int(count)*3*word:]
	nameOff := all.off + all.len - uint32(len(names))
	var last span
	sorted := true
	prev := uint64(0)
	for ; count > 0; count-- {
		f := coreFileMapping{start: c.word(b), end: c.word(b[word:]), off: c.word(b[2*word:]) * unit}
		b = b[3*word:]
		name := untilNUL(names)
		if len(name) == len(names) { // no NUL: cut short
			s.soft(opParseMaps, 0, 0, f.start)
			break
		}
		next := len(name) + 1
		name = name[:min(len(name), maxCoreName)]
		f.name = span{nameOff, uint32(len(name))}
		// The segments of one library stand together and share one span, by which sameFile knows them.
		if string(s.bytes.bytes(last)) == string(name) {
			f.name = last
		}
		last = f.name
		names = names[next:]
		nameOff += uint32(next)
		if f.start >= f.end {
			continue
		}
		sorted = sorted && f.start >= prev
		prev = f.start
		c.line.Name = name
		f.kind, f.deleted = kindOf(&c.line)
		if f.deleted {
			f.name.len = uint32(len(c.line.TrimDeleted()))
		}
		e := c.files.add()
		if e == nil {
			s.soft(opTruncated, 0, 0, f.start)
			break
		}
		*e = f
	}
	if !sorted {
		slices.SortFunc(c.files.all(), func(a, b coreFileMapping) int {
			switch {
			case a.start < b.start:
				return -1
			case a.start > b.start:
				return 1
			}
			return 0
		})
	}
}

// word reads one word of a note; its size is the file's, which for x32 and n32 is not that of a register.
func (c *core) word(b []byte) uint64 {
	if c.head.Class == elf.Class32 {
		return uint64(c.head.Order.Uint32(b))
	}
	return c.head.Order.Uint64(b)
}

// readMaps makes the memory map: what either the segments or NT_FILE know of. gdb writes no segment for what it leaves
// out, NT_FILE none for memory without a file.
func (c *core) readMaps(s *snapshot) {
	c.readFileNote(s)
	segs, files := c.mem.segments.all(), c.files.all()
	const none = ^uint64(0)
	for at := uint64(0); ; {
		for len(segs) > 0 && segs[0].end <= at {
			segs = segs[1:]
		}
		for len(files) > 0 && files[0].end <= at {
			files = files[1:]
		}
		segStart, fileStart := none, none
		if len(segs) > 0 {
			segStart = max(segs[0].start, at)
		}
		if len(files) > 0 {
			fileStart = max(files[0].start, at)
		}
		start := min(segStart, fileStart)
		if start == none {
			break
		}
		end := none
		m := s.mappings.add()
		if m == nil {
			s.soft(opTruncated, 0, 0, start)
			return
		}
		if segStart == start {
			m.perm = segs[0].perm
			end = segs[0].end
		} else {
			m.perm = permUnknown
			end = min(end, segStart)
		}
		if fileStart == start {
			f := &files[0]
			m.kind, m.name, m.deleted, m.offset = f.kind, f.name, f.deleted, f.off+(start-f.start)
			end = min(end, f.end)
		} else {
			end = min(end, fileStart)
		}
		m.start, m.end = start, end
		at = end
	}
	c.nameSpecial(s)
	if c.files.n == 0 {
		c.findImages(s)
	}
	c.permsByHeaders(s)
	c.writeMaps(s)
}

var (
	stackName    = []byte("[stack]")
	vdsoName     = []byte("[vdso]")
	vsyscallName = []byte("[vsyscall]")
)

// nameSpecial names what the auxiliary vector tells of, and what has its fixed place.
func (c *core) nameSpecial(s *snapshot) {
	s.nameAnonymous(c.auxv.SysinfoEhdr, mapVDSO, vdsoName)
	s.nameAnonymous(c.auxv.Random, mapNamed, stackName)
	if c.target.arch == context.AMD64 {
		s.nameAnonymous(vsyscallPage, mapSpecial, vsyscallName)
	}
}

// nameAnonymous gives the mapping at addr a name, if it has none.
func (s *snapshot) nameAnonymous(addr uint64, kind mappingKind, name []byte) {
	if m := s.find(addr); addr != 0 && m != nil && m.kind == mapAnonymous {
		m.kind, m.name = kind, s.bytes.put(name)
	}
}

// permsByHeaders finds what the mappings allow of which only NT_FILE knows: the program headers of their image say it.
// Without them they allow nothing.
func (c *core) permsByHeaders(s *snapshot) {
	page := s.target.pageSize
	maps := s.mappings.all()
	var image *mapping // where the headers in c.buf come from
	var head elf.Header
	var table []byte
	var bias uint64
	for i := range maps {
		m := &maps[i]
		if m.kind == mapFile && m.offset == 0 && m.perm&permUnknown == 0 && (i+1 < len(maps) && maps[i+1].name == m.name) {
			image = nil
			b := c.buf[:min(uint64(len(c.buf)), page)]
			b = b[:c.mem.read(m.start, b)]
			var ok bool
			if head, ok = elf.ParseHeader(b); !ok || head.Phoff >= uint64(len(b)) {
				continue
			}
			image, table = m, b[head.Phoff:]
			table = table[:min(len(table), head.ProgTableSize())]
			var im elf.Image
			im.Scan(&head, table, m.start, page)
			bias = im.Bias
		}
		if m.perm&permUnknown == 0 {
			continue
		}
		m.perm = 0
		if image == nil || m.kind != mapFile || m.name != image.name {
			continue
		}
		for k := 0; ; k++ {
			p, ok := head.Prog(table, k)
			if !ok {
				break
			}
			first, end := (p.Vaddr+bias)&^(page-1), (p.Vaddr+bias+p.Memsz+page-1)&^(page-1)
			if p.Type != elf.PT_LOAD || m.start < first || m.start >= end || m.offset != p.Off&^(page-1)+(m.start-first) {
				continue
			}
			m.perm = permOfFlags(p.Flags)
			break
		}
	}
}

// permOfFlags gives p_flags as permRead and so on.
func permOfFlags(flags uint32) (perm uint8) {
	if flags&elf.PF_R != 0 {
		perm |= permRead
	}
	if flags&elf.PF_W != 0 {
		perm |= permWrite
	}
	if flags&elf.PF_X != 0 {
		perm |= permExec
	}
	return perm
}

// writeMaps writes the map in the form of /proc/PID/maps. A core file has neither device nor inode, nor does it say what
// is shared: those fields read 0 and p.
func (c *core) writeMaps(s *snapshot) {
	size := 0
	for i := range s.mappings.all() {
		size += 80 + 4*int(s.mappings.at(i).name.len) + len(deletedSuffix)
		if size > maxCoreMaps {
			s.soft(opMaps, 0, 0, 0)
			return
		}
	}
	text, buf := s.bytes.alloc(size)
	if buf == nil {
		if size > 0 {
			s.soft(opMaps, 0, 0, 0)
		}
		return
	}
	b := buf[:0]
	for i := range s.mappings.all() {
		m := s.mappings.at(i)
		line := len(b)
		b = appendHex(b, m.start)
		b = append(b, '-')
		b = appendHex(b, m.end)
		b = append(b, ' ')
		for k, r := range [...]byte{'r', 'w', 'x'} {
			if m.perm>>k&1 == 0 {
				r = '-'
			}
			b = append(b, r)
		}
		b = append(b, "p "...)
		b = appendHex(b, m.offset)
		b = append(b, " 00:00 0 "...)
		if name := s.bytes.bytes(m.name); len(name) > 0 {
			for len(b)-line < 73 { // the column where the kernel puts names
				b = append(b, ' ')
			}
			for _, ch := range name {
				if ch == '\n' {
					b = append(b, `\012`...)
					continue
				}
				b = append(b, ch)
			}
			if m.deleted {
				b = append(b, deletedSuffix...)
			}
		}
		b = append(b, '\n')
	}
	s.raw[rawMaps] = s.bytes.trim(text, len(b))
}

const deletedSuffix = " (deleted)"

// appendHex appends v in hexadecimal digits, at least 8 of them.
func appendHex(b []byte, v uint64) []byte {
	for d := uint64(1 << 28); d > v && d > 1; d >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, v, 16)
}
