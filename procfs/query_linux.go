package procfs

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// PROCMAP_QUERY queries an open maps file for one mapping (linux/fs.h, Linux 6.11). The number is _IOWR('f', 17, struct
// procmap_query), which is the same on every architecture that Go supports.
const PROCMAP_QUERY = 0xc0686611

// Bits of ProcmapQuery.QueryFlags and, the first four, of VMAFlags (enum procmap_query_flags in linux/fs.h). In QueryFlags the
// first four select mappings that have all of these permissions.
const (
	PROCMAP_QUERY_VMA_READABLE         = 0x01
	PROCMAP_QUERY_VMA_WRITABLE         = 0x02
	PROCMAP_QUERY_VMA_EXECUTABLE       = 0x04
	PROCMAP_QUERY_VMA_SHARED           = 0x08
	PROCMAP_QUERY_COVERING_OR_NEXT_VMA = 0x10 // or else the next one after the address
	PROCMAP_QUERY_FILE_BACKED_VMA      = 0x20 // only mappings of files
)

// ProcmapQuery mirrors struct procmap_query of linux/fs.h: 104 bytes, the same for every word size.
type ProcmapQuery struct {
	Size        uint64 // of this struct
	QueryFlags  uint64
	QueryAddr   uint64
	VMAStart    uint64 // from here on set by the kernel, except the four fields that describe the buffers
	VMAEnd      uint64
	VMAFlags    uint64
	VMAPageSize uint64
	VMAOffset   uint64
	Inode       uint64
	DevMajor    uint32
	DevMinor    uint32
	VMANameSize uint32 // in: size of the buffer; out: length of the name with its NUL, 0 for none
	BuildIDSize uint32 // in: size of the buffer; out: length of the build id, 0 for none
	VMANameAddr uint64
	BuildIDAddr uint64
}

// Query is a query for QueryMapping, and its result. Neither a Query (make it by new) nor its buffers may lie on a goroutine
// stack.
type Query struct {
	ProcmapQuery

	NameBuf    []byte // for the name; empty: the name is not queried. 4096 bytes are enough for every name
	BuildIDBuf []byte // for the ELF build id; empty: not queried. 20 bytes are enough for every one that the kernel finds
}

// QueryMapping queries the mapping at addr, or (with PROCMAP_QUERY_COVERING_OR_NEXT_VMA in flags) the next one after it. mapsFd
// is an open "maps" file of the process. It makes one system call, and the kernel does not block the process for longer than this
// one mapping takes.
//
// ENOENT: there is no such mapping. ENOTTY: the kernel is older than 6.11. ENAMETOOLONG: a buffer is too small. ESRCH: the
// process has no memory any more. The kernel finds a build id only in pages of the file that are in memory.
func (d *Dir) QueryMapping(mapsFd int, addr uint64, flags uint64, q *Query) sys.Errno {
	k := &q.ProcmapQuery
	*k = ProcmapQuery{Size: uint64(unsafe.Sizeof(*k)), QueryFlags: flags, QueryAddr: addr}
	if n := min(len(q.NameBuf), pathSize); n > 0 {
		k.VMANameSize = uint32(n)
		k.VMANameAddr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(q.NameBuf))))
	}
	if n := min(len(q.BuildIDBuf), pathSize); n > 0 {
		k.BuildIDSize = uint32(n)
		k.BuildIDAddr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(q.BuildIDBuf))))
	}
	return sys.Ioctl(mapsFd, PROCMAP_QUERY, unsafe.Pointer(q))
}

// CanQuery reports whether the kernel supports PROCMAP_QUERY on mapsFd. One call is enough for the life of the program; it uses
// q.
func (d *Dir) CanQuery(mapsFd int, q *Query) bool {
	errno := d.QueryMapping(mapsFd, 0, PROCMAP_QUERY_COVERING_OR_NEXT_VMA, q)
	return errno == 0 || errno == unix.ENOENT
}

// Mapping returns the result in the form of a line of maps. Name points into NameBuf and is not escaped (UnescapeName must not be
// used on it).
func (q *Query) Mapping() Mapping {
	m := Mapping{
		Start:  q.VMAStart,
		End:    q.VMAEnd,
		Offset: q.VMAOffset,
		Inode:  q.Inode,
		Major:  q.DevMajor,
		Minor:  q.DevMinor,
		Perm:   Perm(q.VMAFlags & 0x0f),
	}
	if n := int(q.VMANameSize); n > 1 && n <= len(q.NameBuf) {
		m.Name = q.NameBuf[: n-1 : n-1]
	}
	return m
}

// BuildID returns the build id of the mapped file, nil if there is none or the kernel could not find it.
func (q *Query) BuildID() []byte {
	n := int(q.BuildIDSize)
	if n == 0 || n > len(q.BuildIDBuf) {
		return nil
	}
	return q.BuildIDBuf[:n:n]
}
