package procfs

import "bytes"

// Perm is the set of permissions of a mapping. The bits are those of PROCMAP_QUERY_VMA_* (linux/fs.h).
type Perm uint8

const (
	PermRead    Perm = 1 << iota // 'r'
	PermWrite                    // 'w'
	PermExecute                  // 'x'
	PermShared                   // 's'; clear means private, 'p'
)

// Mapping is one line of /proc/PID/maps (show_map_vma in the kernel's fs/proc/task_mmu.c).
type Mapping struct {
	Start  uint64 // first address
	End    uint64 // address after the last; always above Start
	Offset uint64 // in the mapped file, in bytes
	Inode  uint64 // 0 if no file is mapped
	Major  uint32 // of the device with the file
	Minor  uint32
	Perm   Perm

	// Name is the text after the columns, exactly as in the line: "" for anonymous memory, a path, or a word in brackets. A path
	// has " (deleted)" after it if the file no longer has a name, and its newlines are escaped, see UnescapeName. Name points
	// into the parsed bytes.
	Name []byte
}

// Size returns the length of the mapping in bytes.
func (m *Mapping) Size() uint64 { return m.End - m.Start }

// Contains reports whether addr lies in the mapping.
func (m *Mapping) Contains(addr uint64) bool { return addr >= m.Start && addr < m.End }

// ParseMapsLine reads one line, with or without its newline. It is not ok if a column is missing or malformed, the range is empty
// or reversed, or the line contains another newline; all of m is then zero.
func ParseMapsLine(line []byte) (m Mapping, ok bool) {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	at := parseColumns(line, &m)
	if at < 0 || bytes.IndexByte(line[at:], '\n') >= 0 {
		return Mapping{}, false
	}
	if at < len(line) {
		m.Name = line[at:len(line):len(line)]
	}
	return m, true
}

// NextMapping returns the mapping of the first line of b that can be parsed, and the bytes after that line. It only parses
// complete lines: if none is left, ok is false and rest is the incomplete line at the end, to be completed with the text that
// follows. It skips lines that can't be parsed; MapsReader counts them.
func NextMapping(b []byte) (m Mapping, rest []byte, ok bool) {
	r := MapsReader{Rest: b}
	ok = r.Next(&m)
	return m, r.Rest, ok
}

// MapsReader reads the text of a maps file line by line, and counts the lines that can't be parsed.
type MapsReader struct {
	Rest    []byte // the unread text; an incomplete line at the end stays in it
	Skipped int    // lines that could not be parsed
}

// Next fills m with the next mapping; false if no complete line is left (m is then undefined).
func (r *MapsReader) Next(m *Mapping) bool {
	b := r.Rest
	for {
		// The columns are parsed before the end of the line is found: a newline ends every column too.
		at := parseColumns(b, m)
		from := max(at, 0)
		end := bytes.IndexByte(b[from:], '\n')
		if end < 0 {
			r.Rest = b
			return false
		}
		end += from
		if at >= 0 {
			m.Name = nil
			if at < end {
				m.Name = b[at:end:end]
			}
			r.Rest = b[end+1:]
			return true
		}
		r.Skipped++
		b = b[end+1:]
	}
}

// parseColumns reads "START-END PERM OFFSET MAJOR:MINOR INODE" and the blanks after it into m, and returns the index of the name
// (the end of the line if there is none), or -1. It never reads beyond the first newline.
func parseColumns(b []byte, m *Mapping) int {
	start, i := hexAt(b, 0)
	if i == 0 || i >= len(b) || b[i] != '-' {
		return -1
	}
	i++
	end, j := hexAt(b, i)
	if j == i || end <= start || j+6 > len(b) || b[j] != ' ' || b[j+5] != ' ' {
		return -1
	}
	perm, ok := parsePerm(b[j+1 : j+5])
	if !ok {
		return -1
	}
	i = j + 6
	offset, j := hexAt(b, i)
	if j == i || j >= len(b) || b[j] != ' ' {
		return -1
	}
	i = j + 1
	major, j := hexAt(b, i)
	if j == i || j >= len(b) || b[j] != ':' || major > 1<<32-1 {
		return -1
	}
	i = j + 1
	minor, j := hexAt(b, i)
	if j == i || j >= len(b) || b[j] != ' ' || minor > 1<<32-1 {
		return -1
	}
	i = j + 1
	inode, j := decimalAt(b, i)
	if j == i || j < len(b) && b[j] != ' ' && b[j] != '\n' {
		return -1
	}
	m.Start, m.End, m.Offset, m.Inode = start, end, offset, inode
	m.Major, m.Minor, m.Perm = uint32(major), uint32(minor), perm
	// Padding to a fixed column. A name never starts with a blank: it is a path, or one of the kernel's own words.
	for j < len(b) && b[j] == ' ' {
		j++
	}
	return j
}

func parsePerm(b []byte) (p Perm, ok bool) {
	_ = b[3]
	switch b[0] {
	case 'r':
		p = PermRead
	case '-':
	default:
		return 0, false
	}
	switch b[1] {
	case 'w':
		p |= PermWrite
	case '-':
	default:
		return 0, false
	}
	switch b[2] {
	case 'x':
		p |= PermExecute
	case '-':
	default:
		return 0, false
	}
	switch b[3] {
	case 's':
		p |= PermShared
	case 'p':
	default:
		return 0, false
	}
	return p, true
}

// UnescapeName copies name to dst with the kernel's escaping undone, and returns the length; it ends when dst is full. dst may be
// name itself.
//
// The kernel escapes only newlines in the names of maps, as `\012` (seq_path with "\n" as the set of bytes to escape, in
// fs/proc/task_mmu.c; mangle_path in fs/seq_file.c writes a backslash and three octal digits). It does not escape backslashes, so
// a file name that really contains the four characters `\012` can't be distinguished. Other backslashes are literal. Names from
// QueryMapping are not escaped at all.
func UnescapeName(dst, name []byte) int {
	n := 0
	for i := 0; i < len(name) && n < len(dst); n++ {
		if name[i] == '\\' && hasPrefix(name[i:], `\012`) {
			dst[n] = '\n'
			i += 4
			continue
		}
		dst[n] = name[i]
		i++
	}
	return n
}

// deletedSuffix is the text that d_path appends to the path of a file without a name (fs/d_path.c).
const deletedSuffix = " (deleted)"

// Deleted reports whether the name ends in " (deleted)": the file no longer has a name. A file whose real name ends like this
// looks the same; compare the inode number at that path to be sure.
func (m *Mapping) Deleted() bool { return hasSuffix(m.Name, deletedSuffix) && m.Name[0] == '/' }

// TrimDeleted returns the name without one " (deleted)" suffix.
func (m *Mapping) TrimDeleted() []byte {
	if m.Deleted() {
		return m.Name[:len(m.Name)-len(deletedSuffix)]
	}
	return m.Name
}

// IsPath reports whether the name is a path: it starts with a slash. That includes memory that has a path but no file on a disk,
// see SysV, IsMemfd, IsAshmem and IsDevZero.
func (m *Mapping) IsPath() bool { return len(m.Name) > 0 && m.Name[0] == '/' }

// IsVDSO reports whether this is the vDSO, the code that the kernel maps into every process.
func (m *Mapping) IsVDSO() bool { return string(m.Name) == "[vdso]" }

// IsVsyscall reports whether this is the fixed page for old x86 programs. The kernel lists it in every process (its gate area)
// although it belongs to none, and it can't be read by process_vm_readv.
func (m *Mapping) IsVsyscall() bool { return string(m.Name) == "[vsyscall]" }

// IsHeap reports whether this is the area of brk(2).
func (m *Mapping) IsHeap() bool { return string(m.Name) == "[heap]" }

// IsStack reports whether this is the main thread's stack, "[stack]", or that of another thread, "[stack:TID]". Only Linux 3.4 to
// 4.4 name the latter; Android's C library names them "[anon:stack_and_tls:TID]", for which see StackTID.
func (m *Mapping) IsStack() bool {
	return string(m.Name) == "[stack]" || hasPrefix(m.Name, "[stack:") && m.StackTID() != 0
}

// StackTID returns the thread id in "[stack:TID]" or "[anon:stack_and_tls:TID]", 0 for any other mapping.
func (m *Mapping) StackTID() int32 {
	i := 0
	switch {
	case hasPrefix(m.Name, "[stack:"):
		i = len("[stack:")
	case hasPrefix(m.Name, "[anon:stack_and_tls:"):
		i = len("[anon:stack_and_tls:")
	default:
		return 0
	}
	v, next := decimalAt(m.Name, i)
	if next == i || next != len(m.Name)-1 || m.Name[next] != ']' || v > 1<<31-1 {
		return 0
	}
	return int32(v)
}

// AnonName returns NAME of "[anon:NAME]" and "[anon_shmem:NAME]", the names that a program sets for its anonymous memory
// (PR_SET_VMA_ANON_NAME, Linux 5.17 and Android); nil for any other mapping.
func (m *Mapping) AnonName() []byte {
	b := m.Name
	if len(b) == 0 || b[len(b)-1] != ']' {
		return nil
	}
	switch {
	case hasPrefix(b, "[anon:"):
		return b[len("[anon:") : len(b)-1]
	case hasPrefix(b, "[anon_shmem:"):
		return b[len("[anon_shmem:") : len(b)-1]
	}
	return nil
}

// SysV returns the key of a System V shared memory segment. The kernel names its mappings "/SYSVxxxxxxxx" with eight hexadecimal
// digits (newseg in the kernel's ipc/shm.c), and the inode is the segment's identifier.
func (m *Mapping) SysV() (key uint32, ok bool) {
	b := m.TrimDeleted()
	if len(b) != len("/SYSV")+8 || !hasPrefix(b, "/SYSV") {
		return 0, false
	}
	v, next := hexAt(b, len("/SYSV"))
	if next != len(b) {
		return 0, false
	}
	return uint32(v), true
}

// IsMemfd reports whether this is a file of memfd_create(2), "/memfd:NAME (deleted)".
func (m *Mapping) IsMemfd() bool { return hasPrefix(m.Name, "/memfd:") }

// IsAshmem reports whether this is Android's named shared memory.
func (m *Mapping) IsAshmem() bool { return hasPrefix(m.Name, "/dev/ashmem") }

// IsDevZero reports whether this is shared anonymous memory, which the kernel shows as "/dev/zero (deleted)", or a mapping
// of the device itself.
func (m *Mapping) IsDevZero() bool { return string(m.TrimDeleted()) == "/dev/zero" }
