//go:build linux

package linux

import (
	"slices"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// pageRuns is the maximum number of page runs that one read of the page table returns.
const pageRuns = 4096

// way is how a part of the memory can be read without waiting for another process, and without adding a page to the process.
type way uint8

const (
	wayNone   way = iota
	wayMemory     // as memory: its pages are present, or on a local disk
	wayFile       // from the file that is mapped
	wayKept       // it was read during the stop
)

// begin discards what was determined for the previous dump. Since then the process may have executed another program,
// whose memory an old descriptor does not show, or changed its credentials.
func (m *memory) begin(s *snapshot.Snapshot) {
	m.close()
	m.noVM, m.snap, m.expired, m.slow.stuck = false, s, nil, false
	m.backings.begin(m.dir)
	m.openPages()
}

// openPages opens the page table, unless that was already tried. If the kernel has none, all memory is read as if it were present.
func (m *memory) openPages() bool {
	if !m.pages.IsOpen() && !m.blind {
		m.blind = m.dir.OpenPages(&m.pages) != 0
	}
	return !m.blind
}

// next returns the first part of [lo, hi) that can be read, and how; how is wayNone if there is none.
func (m *memory) next(lo, hi uint64) (from, to uint64, how way) {
	if m.kept == nil || lo >= hi {
		return m.nextIn(lo, hi)
	}
	keptLo, keptHi := m.kept.from(lo, hi)
	if keptLo > lo {
		if from, to, how = m.nextIn(lo, keptLo); how != wayNone || keptLo == hi {
			return from, to, how
		}
	}
	return keptLo, keptHi, wayKept
}

// nextIn is next for a part without kept memory.
func (m *memory) nextIn(lo, hi uint64) (from, to uint64, how way) {
	if to = m.onDisk(lo, hi); to > lo {
		return lo, to, wayMemory
	}
	for lo < hi {
		if !m.openPages() {
			return lo, hi, wayMemory
		}
		there, errno := m.pages.Next(lo, hi, max(hi, m.ahead), &m.run)
		switch errno {
		case 0:
		case unix.EFAULT, unix.ESRCH: // not memory of a process, or no longer of this one
			return hi, hi, wayNone
		default:
			m.blind = true
			continue
		}
		gap := hi
		if there {
			if gap = m.run.Start; gap == lo {
				if !m.isMarker(&m.run) {
					return lo, m.extend(m.run.End, hi), wayMemory
				}
				gap = m.run.End
			}
		}
		if from, to, how = m.absent(lo, gap); how != wayNone {
			return from, to, how
		}
		lo = gap
	}
	return hi, hi, wayNone
}

// onDisk returns the end of the memory from lo on, at most hi, that is mapped from files on a local disk. Such memory can be read as
// memory whether it is present or not, so that a look at the page table is not needed.
func (m *memory) onDisk(lo, hi uint64) uint64 {
	for lo < hi && !m.fromFiles && !m.blind {
		mp := m.mapping(lo)
		if mp == nil || mp.Start > lo || m.backingOf(mp) != backingDisk {
			break
		}
		lo = min(hi, mp.End)
	}
	return lo
}

// extend returns the end of the memory that is present without a gap from at on, but at most hi.
func (m *memory) extend(at, hi uint64) uint64 {
	for at < hi {
		there, errno := m.pages.Next(at, hi, max(hi, m.ahead), &m.run)
		if !there || errno != 0 || m.run.Start > at || m.isMarker(&m.run) {
			break
		}
		at = m.run.End
	}
	return at
}

// isMarker reports whether a run consists of marks that a userfaultfd left in the page table of shared memory, where a page may not exist.
func (m *memory) isMarker(r *procfs.PageRun) bool {
	if r.Kind&procfs.PAGE_IS_SWAPPED == 0 || r.Kind&procfs.PAGE_IS_FILE != 0 {
		return false
	}
	mp := m.mapping(r.Start)
	return mp != nil && mp.Start <= r.Start && mp.Perm&snapshot.PermShared != 0
}

// absent returns the first part of [lo, hi) that can be read. No page of [lo, hi) is in the page table.
func (m *memory) absent(lo, hi uint64) (from, to uint64, how way) {
	for lo < hi {
		mp := m.mapping(lo)
		if mp == nil || mp.Start >= hi {
			break
		}
		lo = max(lo, mp.Start)
		end := min(hi, mp.End)
		if from, to, how = m.absentIn(mp, lo, end); how != wayNone {
			return from, to, how
		}
		lo = end
	}
	return hi, hi, wayNone
}

// absentIn is absent for a range inside one mapping. Absent anonymous memory is not read: it is zeros, or will be
// delivered by a userfaultfd. For shared memory the file has what other processes have written.
func (m *memory) absentIn(mp *snapshot.Mapping, lo, hi uint64) (from, to uint64, how way) {
	switch kind := m.backingOf(mp); {
	case mp.Kind == snapshot.MapVDSO:
		return lo, hi, wayMemory
	case kind == backingDisk && !m.fromFiles:
		return lo, hi, wayMemory
	case kind == backingDisk:
		if !m.openMapped(mp) {
			return lo, hi, wayMemory
		}
		end := m.fileEnd(mp)
		return lo, min(hi, end), wayFileIf(lo < end)
	case kind == backingMemory && m.openMapped(mp):
		off := int64(mp.Offset + (lo - mp.Start))
		a, b, ok, errno := m.data.Next(m.file.fd, off, off+int64(min(hi, m.fileEnd(mp))-min(lo, m.fileEnd(mp))))
		if !ok || errno != 0 {
			break
		}
		return lo + uint64(a-off), lo + uint64(b-off), wayFile
	}
	return hi, hi, wayNone
}

func wayFileIf(ok bool) way {
	if ok {
		return wayFile
	}
	return wayNone
}

// mapping returns the first mapping that ends above addr, or nil if there is none or the memory map is not known.
func (m *memory) mapping(addr uint64) *snapshot.Mapping {
	if m.snap == nil {
		return nil
	}
	maps := m.snap.Mappings.All()
	i := arena.Search(maps, addr, func(p *snapshot.Mapping) uint64 { return p.End })
	if i == len(maps) {
		return nil
	}
	return &maps[i]
}

// A mappedFile is the file of one mapping, held open.
type mappedFile struct {
	fd   int // -1: none
	lo   uint64
	hi   uint64
	size uint64
}

// openMapped opens the file of a mapping, which must be on a file system that answers by itself.
func (m *memory) openMapped(mp *snapshot.Mapping) bool {
	f := &m.file
	if f.lo == mp.Start && f.hi == mp.End && f.hi != 0 {
		return f.fd >= 0
	}
	m.closeFile()
	f.lo, f.hi = mp.Start, mp.End
	fd, errno := m.dir.OpenMapFile(mp.Start, mp.End)
	if errno != 0 && !mp.Deleted {
		if fd, errno = m.dir.OpenRoot(m.snap.Bytes.Get(mp.Name), &m.stat); errno == 0 && m.stat.Ino != mp.Inode {
			sys.Close(fd)
			errno = unix.ESTALE
		}
	}
	if errno != 0 {
		return false
	}
	f.fd = fd
	if sys.Statx(fd, "\x00", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_SIZE, &m.stat) != 0 {
		m.closeFile()
		f.lo, f.hi = mp.Start, mp.End
		return false
	}
	f.size = m.stat.Size
	return true
}

func (m *memory) closeFile() {
	if m.file.fd >= 0 {
		sys.Close(m.file.fd)
	}
	m.file = mappedFile{fd: -1}
}

// fileEnd returns the end of the file-backed part of the mapping whose file is open: the end of the page in which the file ends.
func (m *memory) fileEnd(mp *snapshot.Mapping) uint64 {
	if m.file.size <= mp.Offset {
		return mp.Start
	}
	page := m.snap.Target.PageSize
	return min(mp.End, mp.Start+(m.file.size-mp.Offset+page-1)&^(page-1))
}

// readFile reads from the file that next opened. The part of the last page after the end of the file reads as zeros, as in memory.
func (m *memory) readFile(addr uint64, p []byte) (n int) {
	mp := m.mapping(addr)
	if mp == nil || m.file.fd < 0 || mp.Start != m.file.lo {
		return 0
	}
	for n < len(p) {
		off := mp.Offset + (addr - mp.Start) + uint64(n)
		got, errno := sys.Pread(m.file.fd, p[n:], int64(off))
		if errno != 0 || got < 0 {
			break
		}
		if got == 0 {
			if off >= m.file.size {
				clear(p[n:])
				n = len(p)
			}
			break
		}
		n += got
	}
	return n
}

// backingKind is what provides the pages of a mapping that are not in the page table.
type backingKind uint8

const (
	backingNobody backingKind = iota // nothing: they are zeros, or a userfaultfd delivers them
	backingMemory                    // tmpfs, memfd, shared memory: a userfaultfd may deliver the pages, but the file can be read
	backingDisk                      // a local file system
	backingServer                    // a file server, or unknown
)

// backings knows which file systems answer by themselves. The list of mounts is read at the first query about a file, and in
// later dumps only if it may have changed: it takes the kernel as long as the memory map of a small process.
type backings struct {
	text    arena.Arena
	length  int
	watch   procfs.MountWatch
	read    bool // text is a list of mounts, of this dump or of an earlier one
	fresh   bool // it was read in this dump
	known   [8]knownBacking
	numbers int // how many are known

	memory    [16]procfs.Device // memory without a mount
	memories  int
	memoryAsk bool // memory has been determined
}

type knownBacking struct {
	device uint64
	kind   backingKind
}

// maxMounts limits the text of the mount lists, in bytes. File systems beyond it are treated as file servers.
const maxMounts = 4 << 20

// begin discards what may have changed since the previous dump.
func (b *backings) begin(dir *procfs.Dir) {
	b.read = b.read && b.watch.Holds(dir)
	b.fresh, b.numbers = false, 0
}

// readList reads the list of mounts.
func (b *backings) readList(dir *procfs.Dir) {
	b.watch.Open()
	b.read, b.fresh, b.length = true, true, 0
	for size := 64 << 10; size <= maxMounts; size *= 4 {
		b.text.Used = 0
		buf := b.text.Piece(size)
		if buf == nil {
			break
		}
		n, more, errno := dir.ReadMounts(buf)
		if b.length = n; errno != 0 || !more {
			break
		}
	}
}

// list returns the list of mounts.
func (b *backings) list() []byte {
	b.text.Used = 0
	return b.text.Piece(max(b.length, 1))[:b.length]
}

// backingOf returns what provides the absent pages of mp.
func (m *memory) backingOf(mp *snapshot.Mapping) backingKind {
	if mp.Inode == 0 {
		return backingNobody
	}
	b := &m.backings
	for i := range b.known[:b.numbers] {
		if b.known[i].device == mp.Dev {
			return b.known[i].kind
		}
	}
	kind := m.askBacking(mp.Dev)
	if b.numbers == len(b.known) {
		b.numbers = 0
	}
	b.known[b.numbers] = knownBacking{mp.Dev, kind}
	b.numbers++
	return kind
}

// learnBackings classifies all files of the memory map, so that the list of mounts is not read during the stop.
func (m *memory) learnBackings() {
	for i := range m.snap.Mappings.All() {
		m.backingOf(m.snap.Mappings.At(i))
	}
}

func (m *memory) askBacking(device uint64) backingKind {
	b := &m.backings
	if !b.read {
		b.readList(m.dir)
	}
	major, minor := uint32(device>>32), uint32(device)
	for {
		backing, kind := procfs.BackingOf(b.list(), major, minor)
		switch {
		case backing.Answers():
			switch string(kind) {
			case "tmpfs", "ramfs", "hugetlbfs":
				return backingMemory
			}
			return backingDisk
		case backing != procfs.BackingUnknown || len(kind) > 0:
			return backingServer
		case b.isMemory(procfs.Device{Major: major, Minor: minor}, &m.stat):
			return backingMemory
		case b.fresh:
			return backingServer
		}
		b.readList(m.dir) // the list depends on the root directory of the process too
	}
}

// isMemory reports whether a device that has no mount is memory.
func (b *backings) isMemory(device procfs.Device, st *unix.Statx_t) bool {
	if !b.memoryAsk {
		b.memoryAsk = true
		b.memories, _ = procfs.MemoryDevices(b.memory[:], st)
	}
	return slices.Contains(b.memory[:b.memories], device)
}
