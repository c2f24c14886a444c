//go:build linux

package linux

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"

	"minidump/internal/snapshot"
)

// maxIovec is the maximum number of ranges per call of process_vm_readv (UIO_MAXIOV of the kernel's include/uapi/linux/uio.h).
const maxIovec = 1024

// memory reads the memory of a live process: with process_vm_readv; if that is forbidden or fails, from
// /proc/PID/mem (which also reads execute-only pages); and as a last resort by PTRACE_PEEKDATA.
//
// It reads only memory that is present (see presence.go): a page that is neither in the page table nor in a local file is never faulted in.
type memory struct {
	pid     int
	dir     *procfs.Dir
	tracer  *ptrace.Tracer
	peekTID int32 // a stopped thread, for PTRACE_PEEKDATA; 0: none
	memFD   int   // /proc/PID/mem; -1: not opened, -2: can't be opened
	noVM    bool  // process_vm_readv does not work here

	copied bool        // the memory is that of a copy of the process
	kept   *keptMemory // memory that the copy lacks; nil: none
	home   struct {    // of the process itself, while the memory is that of a copy
		dir *procfs.Dir
		pid int
	}
	snap      *snapshot.Snapshot // its memory map is that of the process; nil: no map is known
	expired   *atomic.Bool       // set: the process was resumed early, and nothing is read any more
	fromFiles bool               // read absent pages of mapped files from the files: mode full, in which there are many
	blind     bool               // there is no page table to read
	ahead     uint64             // see procfs.Pages.Next
	pages     procfs.Pages
	run       procfs.PageRun
	data      procfs.Data
	file      mappedFile
	stat      unix.Statx_t
	backings  backings
	slow      slowRead

	// The two lists of a vectored read: for a short one, and for one of up to maxIovec ranges.
	short [16]unix.RemoteIovec
	long  []unix.RemoteIovec
}

// readFrom makes all reads go to a copy of the process; nil: to the process itself.
func (m *memory) readFrom(c *processCopy) {
	m.close()
	m.pages.Forget()
	if m.copied = c != nil; !m.copied {
		m.dir, m.pid, m.kept, m.peekTID, m.expired = m.home.dir, m.home.pid, nil, 0, nil
		return
	}
	m.home.dir, m.home.pid = m.dir, m.pid
	m.dir, m.pid, m.peekTID, m.expired = &c.dir, int(c.tid), c.tid, &c.lost
	if c.kept.ranges.N > 0 {
		m.kept = &c.kept
	}
}

func (m *memory) close() {
	if m.memFD >= 0 {
		sys.Close(m.memFD)
	}
	m.memFD = -1
	m.pages.Close()
	m.blind = false
	m.closeFile()
}

// Read reads the present memory at addr.
func (m *memory) Read(addr uint64, p []byte) (n int) {
	p = p[:min(uint64(len(p)), ^addr)]
	for n < len(p) && m.Expired() == nil {
		at := addr + uint64(n)
		from, to, how := m.next(at, addr+uint64(len(p)))
		if how == wayNone || from > at {
			break
		}
		part := p[n:][:to-at]
		var got int
		switch how {
		case wayKept:
			got = m.kept.read(m.snap, at, part)
		case wayFile:
			got = m.readFile(at, part)
		default:
			got = m.readPages(at, part)
		}
		if n += got; got < len(part) {
			break
		}
	}
	return n
}

// Expired returns why nothing is read any more, or nil.
func (m *memory) Expired() error {
	switch {
	case m.expired == nil || !m.expired.Load():
		return nil
	case m.copied:
		return errCopyLost
	}
	return snapshot.ErrPause
}

// There implements snapshot.Sparse.
func (m *memory) There(lo, hi, ahead uint64) (from, to uint64, ok bool) {
	m.ahead = ahead
	from, to, how := m.next(lo, hi)
	m.ahead = 0
	return from, to, how != wayNone
}

// whole reports whether all of [lo, hi) can be read as memory.
func (m *memory) whole(lo, hi uint64) bool {
	for lo < hi {
		from, to, how := m.next(lo, hi)
		if how != wayMemory || from > lo {
			return false
		}
		lo = to
	}
	return true
}

// readPages reads memory whether it is present or not.
func (m *memory) readPages(addr uint64, p []byte) int {
	if len(p) == 0 || uint64(uintptr(addr)) != addr {
		return 0
	}
	if m.mayBlock(addr, addr+uint64(len(p))) {
		return m.readSlowly(addr, p)
	}
	n := 0
	if !m.noVM {
		m.short[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&p[0])), Len: len(p)}
		m.short[1] = unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
		got, errno := sys.ProcessVMReadv(m.pid, m.short[:1], m.short[1:2])
		m.note(errno)
		n = got
	}
	if n < len(p) {
		n += m.readOther(addr+uint64(n), p[n:])
	}
	return n
}

// note records a permanent refusal of process_vm_readv.
func (m *memory) note(errno sys.Errno) {
	if errno == unix.EPERM || errno == unix.ENOSYS {
		m.noVM = true
	}
}

// openMem opens /proc/PID/mem, unless that was already tried.
func (m *memory) openMem() bool {
	if m.memFD == -1 {
		fd, errno := m.dir.OpenFile("mem\x00", unix.O_RDONLY)
		if errno != 0 {
			fd = -2
		}
		m.memFD = fd
	}
	return m.memFD >= 0
}

func (m *memory) readOther(addr uint64, p []byte) (n int) {
	if m.openMem() && int64(addr) >= 0 {
		for n < len(p) {
			got, errno := sys.Pread(m.memFD, p[n:], int64(addr)+int64(n))
			if errno != 0 || got <= 0 {
				break
			}
			n += got
		}
		if n > 0 {
			return n
		}
	}
	if m.noVM && m.memFD < 0 && m.peekTID != 0 {
		n, _ = m.tracer.Peek(m.peekTID, addr, p)
	}
	return n
}

func (m *memory) ReadV(reqs []snapshot.ReadRequest) {
	if len(reqs) >= snapshot.ManyRanges { // mostly sorted by address
		last := &reqs[len(reqs)-1]
		m.ahead = last.Addr + min(uint64(len(last.Dst)), ^last.Addr)
		m.pages.Expect(len(reqs))
		defer func() { m.ahead = 0 }()
	}
	for len(reqs) > 0 {
		n := 0
		slow := false
		for !m.noVM && n < len(reqs) && n < maxIovec && m.simple(&reqs[n]) {
			if slow = m.mayBlock(reqs[n].Addr, reqs[n].Addr+uint64(len(reqs[n].Dst))); slow {
				break
			}
			n++
		}
		if n == 0 && slow {
			reqs = reqs[m.readSlowlyV(reqs):]
			continue
		}
		if n == 0 {
			reqs[0].Got = m.Read(reqs[0].Addr, reqs[0].Dst)
			reqs = reqs[1:]
			continue
		}
		lists := m.short[:]
		if 2*n > len(lists) {
			lists = m.long
		}
		local, remote := lists[:n], lists[n:2*n]
		for i := range local {
			r := &reqs[i]
			local[i] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(unsafe.SliceData(r.Dst))), Len: len(r.Dst)}
			remote[i] = unix.RemoteIovec{Base: uintptr(r.Addr), Len: len(r.Dst)}
		}
		got, errno := sys.ProcessVMReadv(m.pid, local, remote)
		m.note(errno)
		if m.noVM {
			continue
		}
		// The kernel copies in order and stops at the first page that it can't read.
		i := 0
		for i < n && got >= len(reqs[i].Dst) {
			reqs[i].Got = len(reqs[i].Dst)
			got -= reqs[i].Got
			i++
		}
		if i < n {
			r := &reqs[i]
			r.Got = got
			if got < len(r.Dst) {
				r.Got += m.readOther(r.Addr+uint64(got), r.Dst[got:])
			}
			i++
		}
		reqs = reqs[i:]
	}
}

// simple reports whether process_vm_readv can serve a request together with others: all of it is present, at
// addresses that this process can represent.
func (m *memory) simple(r *snapshot.ReadRequest) bool {
	size := uint64(len(r.Dst))
	return size <= ^r.Addr && uint64(uintptr(r.Addr)) == r.Addr && m.whole(r.Addr, r.Addr+size)
}
