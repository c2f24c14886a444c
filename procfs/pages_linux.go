package procfs

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// PAGEMAP_SCAN lists the pages of an open pagemap file by category (linux/fs.h, Linux 6.7). The number is _IOWR('f', 16, struct
// pm_scan_arg), which is the same on every architecture that Go supports.
const PAGEMAP_SCAN = 0xc0606610

// PageKind is a set of page categories (PAGE_IS_* in linux/fs.h).
type PageKind uint64

const (
	PAGE_IS_FILE    PageKind = 1 << 2 // a page of a file or of shared memory; clear: a private anonymous page
	PAGE_IS_PRESENT PageKind = 1 << 3 // in the page table
	PAGE_IS_SWAPPED PageKind = 1 << 4 // in swap, or being moved by the kernel
	PAGE_IS_PFNZERO PageKind = 1 << 5 // the kernel's page of zeros; only PAGEMAP_SCAN reports it
	PAGE_IS_HUGE    PageKind = 1 << 6 // part of a huge page; only PAGEMAP_SCAN reports it
	PAGE_IS_GUARD   PageKind = 1 << 8 // a guard of madvise(MADV_GUARD_INSTALL), Linux 6.13; Pages excludes these
)

// Bits of an entry of a pagemap file (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagemapPresent = 1 << 63
	pagemapSwapped = 1 << 62
	pagemapFile    = 1 << 61
	pagemapGuard   = 1 << 58 // Linux 6.15; 0 before
)

// PageRun is a range of pages of one kind that are available: present or swapped. It mirrors struct page_region of linux/fs.h.
type PageRun struct {
	Start, End uint64
	Kind       PageKind
}

// pmScanArg mirrors struct pm_scan_arg of linux/fs.h: 96 bytes for every word size.
type pmScanArg struct {
	size              uint64
	flags             uint64
	start             uint64
	end               uint64
	walkEnd           uint64 // set by the kernel: where the scan ended
	vec               uint64
	vecLen            uint64
	maxPages          uint64
	categoryInverted  uint64
	categoryMask      uint64
	categoryAnyofMask uint64
	returnMask        uint64
}

// How Pages queries the kernel, from the newest way to the oldest.
const (
	scanWithoutGuards uint8 = iota // PAGEMAP_SCAN of Linux 6.15, which supports PAGE_IS_GUARD
	scanPlain                      // PAGEMAP_SCAN of Linux 6.7
	readEntries                    // reads of the pagemap file
)

// Pages reports which pages of a process are available, without touching any. A page that is neither present nor swapped contains
// no data that this process has ever seen: reading it makes the kernel allocate it, or waits for whatever must fill it (a
// userfaultfd, a file server).
//
// Pages uses PAGEMAP_SCAN, or reads of the pagemap file if the kernel lacks it. It detects which of the two to use once, and
// keeps the result across Close and OpenPages. It allocates nothing. Neither a Pages (make it by new, or as a part of something
// in the heap) nor its Runs and Scratch may lie on a goroutine stack. It is not safe for concurrent use.
//
// Three limits:
//   - Memory of a file or shared memory may have data that is not mapped in: search the file (SEEK_DATA).
//   - A shared mapping has no swapped pages of its own. PAGE_IS_SWAPPED without PAGE_IS_FILE there is a marker that userfaultfd
//     left in the page table, of a page that may not exist (UFFDIO_WRITEPROTECT, UFFDIO_POISON).
//   - A page that is available now may be gone a moment later, unless every process that shares the memory is stopped.
type Pages struct {
	Runs    []PageRun // for the results that Next keeps; at least one
	Scratch []byte    // for entries of the pagemap file, at least 8 bytes; unused with PAGEMAP_SCAN
	Kinds   PageKind  // what Next distinguishes, see Scan

	fd   int
	open bool
	how  uint8
	arg  pmScanArg

	// What Next has scanned. far is for ranges that others follow, and has its runs in Runs. The near windows are for small
	// ranges that none follows, whose scans then leave far as it is.
	far    pageWindow
	near   [4]nearWindow
	oldest int // of the near windows, the one to replace next
	ahead  int // how many pages a scan may find beyond the requested range
	served int // how many calls of Next far has answered since it was scanned
}

// pageWindow is the result of a scan: the available pages in [lo, hi) are in runs.
type pageWindow struct {
	lo, hi uint64
	runs   []PageRun
}

// nearWindow is a pageWindow with its own space for runs.
type nearWindow struct {
	pageWindow
	space [16]PageRun
}

// holds reports whether the window shows the page at addr.
func (w *pageWindow) holds(addr uint64) bool { return w.lo <= addr && addr < w.hi }

// Bounds of how far Next scans ahead, in pages. The kernel takes some 20 ns per page, and 300 ns per mapping.
const (
	minAhead   = 64
	firstAhead = 512
	maxAhead   = 1 << 16
	paysFrom   = 8  // answers from one window
	nearMost   = 64 // a range with more pages is scanned into far; a power of two
	perRange   = 16 // pages for each range that Expect announces
)

// OpenPages opens the pagemap file of the process in p, whose buffers the caller has set. ENOENT: the kernel has none (no
// CONFIG_PROC_PAGE_MONITOR, or a sandbox). EACCES, EPERM: the caller may not trace the process.
func (d *Dir) OpenPages(p *Pages) sys.Errno {
	p.Close()
	fd, errno := d.OpenFile("pagemap\x00", unix.O_RDONLY)
	if errno != 0 {
		return errno
	}
	p.fd, p.open, p.ahead = fd, true, firstAhead
	return 0
}

// Close closes the file that OpenPages opened. Closing again does nothing.
func (p *Pages) Close() {
	if p.open {
		sys.Close(p.fd)
	}
	p.open = false
	p.Forget()
}

// IsOpen reports whether Scan and Next can be called.
func (p *Pages) IsOpen() bool { return p.open }

// Forget drops the results that Next has scanned ahead. Call it if the process has run since.
func (p *Pages) Forget() {
	p.far, p.served = pageWindow{}, 0
	for i := range p.near {
		p.near[i].pageWindow = pageWindow{}
	}
}

// Scan fills runs, in ascending order, with the available pages in [start, end), and returns the number of runs. The first and
// the last are cut to the range. next is the address where it ended: end, or less if runs was full or the limit was reached; call
// again from there.
//
// kinds selects the categories that runs distinguish (PAGE_IS_FILE, PAGE_IS_SWAPPED and so on). Adjacent pages that do not differ
// in these are one run, except at the boundary of two calls. limit bounds the time of a call: PAGEMAP_SCAN ends after that many
// available pages (it skips holes at no cost), the older way after that many pages of any kind. 0 or less is no limit. EFAULT:
// the range is not entirely user memory. For a process that has ended there are no pages, or the result is ESRCH.
func (p *Pages) Scan(start, end uint64, kinds PageKind, limit int, runs []PageRun) (n int, next uint64, errno sys.Errno) {
	switch {
	case !p.open:
		return 0, start, unix.EBADF
	case start >= end:
		return 0, end, 0
	case len(runs) == 0:
		return 0, start, unix.EINVAL
	}
	size := uint64(syscall.Getpagesize())
	from, to := start&^(size-1), (end+size-1)&^(size-1)
	if to < end { // above the last page of the address space
		to = end &^ (size - 1)
	}
	if p.how == readEntries {
		n, next, errno = p.readEntries(from, to, kinds, limit, runs)
	} else {
		n, next, errno = p.scan(from, to, kinds, limit, runs)
	}
	if errno != 0 {
		return 0, start, errno
	}
	if n > 0 {
		runs[0].Start = max(runs[0].Start, start)
		runs[n-1].End = min(runs[n-1].End, end)
	}
	if next >= to {
		next = end
	}
	return n, next, 0
}

// scan uses PAGEMAP_SCAN, and permanently switches to an older way if the kernel does not support it.
func (p *Pages) scan(from, to uint64, kinds PageKind, limit int, runs []PageRun) (n int, next uint64, errno sys.Errno) {
	for {
		a := &p.arg // set field by field: a literal would be built on the stack, which is deepest here
		*a = pmScanArg{}
		a.size, a.start, a.end = uint64(unsafe.Sizeof(*a)), from, to
		a.vec, a.vecLen = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(runs)))), uint64(len(runs))
		a.maxPages = uint64(max(limit, 0))
		a.categoryAnyofMask = uint64(PAGE_IS_PRESENT | PAGE_IS_SWAPPED)
		a.returnMask = uint64(kinds &^ PAGE_IS_GUARD)
		if p.how == scanWithoutGuards {
			a.categoryMask, a.categoryInverted = uint64(PAGE_IS_GUARD), uint64(PAGE_IS_GUARD)
		}
		n, errno = sys.IoctlResult(p.fd, PAGEMAP_SCAN, unsafe.Pointer(&p.arg))
		switch errno {
		case 0:
			next = p.arg.walkEnd
			if n < 0 || n > len(runs) || next > to || next <= from {
				return 0, from, unix.EIO // not as in linux/fs.h: no caller may loop on it
			}
			return n, next, 0
		case unix.EINTR:
		case unix.EINVAL:
			if p.how != scanWithoutGuards {
				return 0, from, errno
			}
			p.how = scanPlain
		case unix.ENOTTY, unix.ENOSYS, unix.EPERM, unix.EACCES: // an old kernel, or a filter that does not know the call
			p.how = readEntries
			return p.readEntries(from, to, kinds, limit, runs)
		default:
			return 0, from, errno
		}
	}
}

// readEntries reads the pagemap file: 8 bytes a page. The offset of an address is always below 2^63.
func (p *Pages) readEntries(from, to uint64, kinds PageKind, limit int, runs []PageRun) (n int, next uint64, errno sys.Errno) {
	size := uint64(syscall.Getpagesize())
	room := uint64(len(p.Scratch) / 8)
	if room == 0 {
		return 0, from, unix.EINVAL
	}
	stop := to
	if limit > 0 && (to-from)/size > uint64(limit) {
		stop = from + uint64(limit)*size
	}
	for at := from; at < stop; {
		want := min(room, (stop-at)/size) * 8
		k, errno := sys.Pread(p.fd, p.Scratch[:want], int64(at/size*8))
		if errno != 0 {
			return 0, from, errno
		}
		k = min(k, int(want)) &^ 7
		if k <= 0 {
			return n, to, 0 // beyond the address space, or the process has ended
		}
		for b := p.Scratch[:k]; len(b) > 0; b, at = b[8:], at+size {
			kind := entryKind(binary.NativeEndian.Uint64(b))
			if kind == 0 {
				continue
			}
			kind &= kinds
			if n > 0 && runs[n-1].End == at && runs[n-1].Kind == kind {
				runs[n-1].End = at + size
				continue
			}
			if n == len(runs) {
				return n, at, 0
			}
			runs[n] = PageRun{at, at + size, kind}
			n++
		}
	}
	return n, stop, 0
}

// entryKind translates an entry of a pagemap file; it returns 0 for a page that is not available.
func entryKind(e uint64) (k PageKind) {
	switch {
	case e&pagemapGuard != 0:
		return 0
	case e&pagemapPresent != 0:
		k = PAGE_IS_PRESENT
	case e&pagemapSwapped != 0:
		k = PAGE_IS_SWAPPED
	default:
		return 0
	}
	if e&pagemapFile != 0 {
		k |= PAGE_IS_FILE
	}
	return k
}

// Expect announces that Next will be called for many ranges, in ascending order. It then scans farther ahead at once, so that
// one scan serves most of them.
func (p *Pages) Expect(ranges int) { p.ahead = max(p.ahead, min(ranges, maxAhead/perRange)*perRange) }

// Next fills run with the first available pages in [start, end), cut to that range; false if there are none. To find the rest of
// a range, call it again from run.End on.
//
// It is for many ranges, best in ascending order: a call to the kernel also scans beyond end, at most up to ahead, and later
// calls use those results. How far it scans depends on how useful that has been, so it suits both a thousand small stacks in a
// row and a few ranges between large heaps. ahead is an address, such as the end of the last range; 0 means not beyond end. Until
// Forget or Close the results are those of the first scan.
func (p *Pages) Next(start, end, ahead uint64, run *PageRun) (ok bool, errno sys.Errno) {
	for start < end {
		w, errno := p.window(start, end, ahead)
		if errno != 0 {
			return false, errno
		}
		i, j := 0, len(w.runs) // the first run that ends above start
		for i < j {
			if mid := int(uint(i+j) / 2); w.runs[mid].End <= start {
				i = mid + 1
			} else {
				j = mid
			}
		}
		if i < len(w.runs) {
			r := w.runs[i]
			if r.Start >= end {
				return false, 0
			}
			*run = PageRun{max(r.Start, start), min(r.End, end), r.Kind}
			return true, 0
		}
		start = w.hi
	}
	return false, 0
}

// window returns a window that shows the page at start. If there is none, it scans, at least up to end.
func (p *Pages) window(start, end, ahead uint64) (w *pageWindow, errno sys.Errno) {
	if p.far.holds(start) {
		p.served++
		return &p.far, 0
	}
	for i := range p.near {
		if w = &p.near[i].pageWindow; w.holds(start) {
			return w, 0
		}
	}
	if ahead <= end && end-start <= nearMost*uint64(syscall.Getpagesize()) {
		return p.scanNear(start, end)
	}
	if p.far.hi != 0 {
		if p.served >= paysFrom {
			p.ahead = min(2*p.ahead, maxAhead)
		} else {
			p.ahead = max(p.ahead/2, minAhead)
		}
	}
	p.served = 1
	wanted := min((end-start)/uint64(syscall.Getpagesize()), maxAhead)
	return &p.far, p.fill(&p.far, p.Runs, start, max(end, ahead), p.ahead+int(wanted)+1)
}

// scanNear scans [start, end) into a near window, and the aligned block that start is in: single reads are often close to
// each other, and a call for 64 pages takes 1.5 times as long as for one.
func (p *Pages) scanNear(start, end uint64) (w *pageWindow, errno sys.Errno) {
	n := &p.near[p.oldest]
	p.oldest = (p.oldest + 1) % len(p.near)
	block := nearMost * uint64(syscall.Getpagesize())
	lo := start &^ (block - 1)
	errno = p.fill(&n.pageWindow, n.space[:], lo, max(end, lo+block), nearMost)
	if errno != 0 || !n.holds(start) { // the block is not all user memory, or has many runs
		errno = p.fill(&n.pageWindow, n.space[:], start, end, nearMost)
	}
	return &n.pageWindow, errno
}

// fill scans into a window, from start to end, and stops after about limit available pages. One PAGEMAP_SCAN may end before it
// has returned as many runs as there is room for, so fill repeats it.
func (p *Pages) fill(w *pageWindow, runs []PageRun, start, end uint64, limit int) sys.Errno {
	*w = pageWindow{}
	n := 0
	for at := start; at < end && n < len(runs) && limit > 0; {
		k, next, errno := p.Scan(at, end, p.Kinds, limit, runs[n:])
		if errno != 0 {
			return errno
		}
		for _, r := range runs[n : n+k] {
			limit -= int((r.End - r.Start) / uint64(syscall.Getpagesize()))
		}
		n, at = n+k, next
		w.lo, w.hi, w.runs = start, at, runs[:n]
		if p.how == readEntries {
			break // holes take time too
		}
	}
	return 0
}
