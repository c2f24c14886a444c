package corefile

import (
	"cmp"
	"slices"
	"strconv"

	"minidump/context"
	"minidump/elf"

	"minidump/internal/arena"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// A fileMapping is an entry of NT_FILE.
type fileMapping struct {
	start, end uint64
	off        uint64 // in the mapped file, in bytes
	name       arena.Span
	deleted    bool
	kind       snapshot.MappingKind
}

// permUnknown marks, while the map is built, a mapping that is in NT_FILE but in no PT_LOAD.
const permUnknown = 1 << 7

// Limits in bytes on one name (PATH_MAX) and on the text of the memory map: a small core file could repeat one long
// name for thousands of mappings.
const (
	maxName = 4096
	maxMaps = 256 << 20
)

// vsyscallPage is the kernel's page that amd64 programs call for the oldest system calls (VSYSCALL_ADDR of
// arch/x86/include/uapi/asm/vsyscall.h). It is not memory of the process.
const vsyscallPage = 0xffffffffff600000

// readFileNote parses NT_FILE into c.files, sorted by address. Layout (fill_files_note in the kernel's
// fs/binfmt_elf.c): the number of entries and the unit of offsets, each a word; start, end and offset of each entry;
// then the names, each terminated by a NUL.
func (c *Source) readFileNote(s *snapshot.Snapshot) {
	c.files.Clear()
	n := c.fileNote()
	if n == nil {
		s.Soft(snapshot.OpParseMaps, 0, 0, 0) // written by a kernel before 3.7, or truncated
		return
	}
	all := c.noteBytes(s, n, maxFileNote)
	b := s.Bytes.Get(all)
	word := c.head.Class.WordSize()
	if len(b) < 2*word {
		s.Soft(snapshot.OpParseMaps, 0, 0, 0)
		return
	}
	count, unit := c.word(b), c.word(b[word:])
	b = b[2*word:]
	if count > uint64(len(b))/uint64(3*word) {
		s.Soft(snapshot.OpParseMaps, 0, 0, 0)
		return
	}
	names := b[int(count)*3*word:]
	c.addFiles(s, b[:int(count)*3*word], unit, arena.Span{Off: all.Off + all.Len - uint32(len(names)), Len: uint32(len(names))})
	byStart := func(a, b fileMapping) int { return cmp.Compare(a.start, b.start) }
	if files := c.files.All(); !slices.IsSortedFunc(files, byStart) {
		slices.SortFunc(files, byStart)
	}
}

// fileNote returns the NT_FILE of the core, or nil if there is none.
func (c *Source) fileNote() *note {
	notes := c.notes.All()
	for i := range notes {
		if n := &notes[i]; n.typ == context.NT_FILE && !n.linux {
			return n
		}
	}
	return nil
}

// addFiles adds the entries of NT_FILE to c.files. The entries' offsets are in units of unit bytes. names holds the names.
func (c *Source) addFiles(s *snapshot.Snapshot, entries []byte, unit uint64, names arena.Span) {
	word := c.head.Class.WordSize()
	var last arena.Span // the name of the previous entry
	for ; len(entries) > 0; entries = entries[3*word:] {
		f := fileMapping{start: c.word(entries), end: c.word(entries[word:]), off: c.word(entries[2*word:]) * unit}
		name := untilNUL(s.Bytes.Get(names))
		if len(name) == int(names.Len) { // no NUL: the note is truncated
			s.Soft(snapshot.OpParseMaps, 0, 0, f.start)
			return
		}
		f.name = arena.Span{Off: names.Off, Len: uint32(min(len(name), maxName))}
		names.Off += uint32(len(name) + 1)
		names.Len -= uint32(len(name) + 1)
		name = s.Bytes.Get(f.name)
		// The segments of one library are adjacent entries. They share one span, by which package images recognises that they are one file.
		if string(s.Bytes.Get(last)) == string(name) {
			f.name = last
		}
		last = f.name
		if f.start >= f.end {
			continue
		}
		c.line.Name = name
		f.kind, f.deleted = images.KindOf(&c.line)
		if f.deleted {
			f.name.Len = uint32(len(c.line.TrimDeleted()))
		}
		e := c.files.Add()
		if e == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, f.start)
			return
		}
		*e = f
	}
}

// word decodes one word of a note. Its size follows from the file's class, which is not the size of a register for x32 and n32.
func (c *Source) word(b []byte) uint64 {
	if c.head.Class == elf.Class32 {
		return uint64(c.head.Order.Uint32(b))
	}
	return c.head.Order.Uint64(b)
}

// readMaps builds the memory map and its text.
func (c *Source) readMaps(s *snapshot.Snapshot) {
	c.readFileNote(s)
	if !c.joinMaps(s) {
		return
	}
	c.nameSpecial(s)
	if c.files.N == 0 {
		c.findImages(s)
	}
	c.permsByHeaders(s)
	c.writeMaps(s)
}

// joinMaps fills the memory map with every range that is in a segment, in NT_FILE or in both: gdb writes no segment for
// memory that it leaves out, and NT_FILE has no entry for memory without a file. It returns false if the table is full.
func (c *Source) joinMaps(s *snapshot.Snapshot) bool {
	segs, files := c.mem.segments.All(), c.files.All()
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
			return true
		}
		end := none
		m := s.Mappings.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, start)
			return false
		}
		if segStart == start {
			m.Perm = segs[0].perm
			end = segs[0].end
		} else {
			m.Perm = permUnknown
			end = min(end, segStart)
		}
		if fileStart == start {
			f := &files[0]
			m.Kind, m.Name, m.Deleted, m.Offset = f.kind, f.name, f.deleted, f.off+(start-f.start)
			end = min(end, f.end)
		} else {
			end = min(end, fileStart)
		}
		m.Start, m.End = start, end
		at = end
	}
}

var (
	stackName    = []byte("[stack]")
	vdsoName     = []byte("[vdso]")
	vsyscallName = []byte("[vsyscall]")
)

// nameSpecial names the mappings that the auxiliary vector points to, and the vsyscall page, whose address is fixed.
func (c *Source) nameSpecial(s *snapshot.Snapshot) {
	nameAnonymous(s, c.auxv.SysinfoEhdr, snapshot.MapVDSO, vdsoName)
	nameAnonymous(s, c.auxv.Random, snapshot.MapNamed, stackName)
	if c.Target.Arch == context.AMD64 {
		nameAnonymous(s, vsyscallPage, snapshot.MapSpecial, vsyscallName)
	}
}

// nameAnonymous names the mapping at addr unless it already has a name.
func nameAnonymous(s *snapshot.Snapshot, addr uint64, kind snapshot.MappingKind, name []byte) {
	if m := s.Find(addr); addr != 0 && m != nil && m.Kind == snapshot.MapAnonymous {
		m.Kind, m.Name = kind, s.Bytes.Put(name)
	}
}

// permsByHeaders sets the permissions of mappings that are only in NT_FILE, from the program headers of their
// image. Without such headers the mapping has no permissions.
func (c *Source) permsByHeaders(s *snapshot.Snapshot) {
	page := s.Target.PageSize
	maps := s.Mappings.All()
	var image *snapshot.Mapping // the mapping that holds the headers in c.buf
	var head elf.Header
	var table []byte
	var bias uint64
	for i := range maps {
		m := &maps[i]
		if m.Kind == snapshot.MapFile && m.Offset == 0 && m.Perm&permUnknown == 0 && (i+1 < len(maps) && maps[i+1].Name == m.Name) {
			image = nil
			b := c.buf[:min(uint64(len(c.buf)), page)]
			b = b[:c.mem.Read(m.Start, b)]
			var ok bool
			if head, ok = elf.ParseHeader(b); !ok || head.Phoff >= uint64(len(b)) {
				continue
			}
			image, table = m, b[head.Phoff:]
			table = table[:min(len(table), head.ProgTableSize())]
			var im elf.Image
			im.Scan(&head, table, m.Start, page)
			bias = im.Bias
		}
		if m.Perm&permUnknown == 0 {
			continue
		}
		m.Perm = 0
		if image == nil || m.Kind != snapshot.MapFile || m.Name != image.Name {
			continue
		}
		for k := 0; ; k++ {
			p, ok := head.Prog(table, k)
			if !ok {
				break
			}
			first, end := (p.Vaddr+bias)&^(page-1), (p.Vaddr+bias+p.Memsz+page-1)&^(page-1)
			if p.Type != elf.PT_LOAD || m.Start < first || m.Start >= end || m.Offset != p.Off&^(page-1)+(m.Start-first) {
				continue
			}
			m.Perm = permOfFlags(p.Flags)
			break
		}
	}
}

// permOfFlags converts p_flags to PermRead, PermWrite and PermExec.
func permOfFlags(flags uint32) (perm uint8) {
	if flags&elf.PF_R != 0 {
		perm |= snapshot.PermRead
	}
	if flags&elf.PF_W != 0 {
		perm |= snapshot.PermWrite
	}
	if flags&elf.PF_X != 0 {
		perm |= snapshot.PermExec
	}
	return perm
}

// writeMaps writes the map in the format of /proc/PID/maps. A core file records neither the device, nor the inode,
// nor whether a mapping is shared: those fields are 0 and p.
func (c *Source) writeMaps(s *snapshot.Snapshot) {
	size := 0
	for i := range s.Mappings.All() {
		size += 80 + 4*int(s.Mappings.At(i).Name.Len) + len(deletedSuffix)
		if size > maxMaps {
			s.Soft(snapshot.OpMaps, 0, 0, 0)
			return
		}
	}
	text, buf := s.Bytes.Alloc(size)
	if buf == nil {
		if size > 0 {
			s.Soft(snapshot.OpMaps, 0, 0, 0)
		}
		return
	}
	b := buf[:0]
	for i := range s.Mappings.All() {
		m := s.Mappings.At(i)
		line := len(b)
		b = appendHex(b, m.Start)
		b = append(b, '-')
		b = appendHex(b, m.End)
		b = append(b, ' ')
		for k, r := range [...]byte{'r', 'w', 'x'} {
			if m.Perm>>k&1 == 0 {
				r = '-'
			}
			b = append(b, r)
		}
		b = append(b, "p "...)
		b = appendHex(b, m.Offset)
		b = append(b, " 00:00 0 "...)
		if name := s.Bytes.Get(m.Name); len(name) > 0 {
			for len(b)-line < 73 { // the column where the kernel puts names (show_map_vma in fs/proc/task_mmu.c)
				b = append(b, ' ')
			}
			for _, ch := range name {
				if ch == '\n' {
					b = append(b, `\012`...)
					continue
				}
				b = append(b, ch)
			}
			if m.Deleted {
				b = append(b, deletedSuffix...)
			}
		}
		b = append(b, '\n')
	}
	s.Raw[snapshot.RawMaps] = s.Bytes.Trim(text, len(b))
}

const deletedSuffix = " (deleted)"

// appendHex appends v as %08x.
func appendHex(b []byte, v uint64) []byte {
	for d := uint64(1 << 28); d > v && d > 1; d >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, v, 16)
}
