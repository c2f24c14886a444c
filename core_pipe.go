package minidump

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"slices"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/errtext"
	"minidump/internal/newfile"
)

// Bounds on what is kept in memory of a core that comes through a pipe.
const (
	maxCoreHead    = 512 * arenaUnit  // headers and notes: 11 KB of each thread with all the registers of AVX-512 and AMX
	maxCoreKept    = 1024 * arenaUnit // all of it
	smallSegment   = 256 << 10        // a segment that is kept whole, for link_map and the arguments
	maxSmall       = 16 << 20         // all of those
	segmentHead    = 4 << 10          // what is kept of any segment, for the ELF header and build id
	corePipeUnread = math.MaxInt64
)

// streamedCore is an ELF core that comes through a pipe: what was kept of it, as a file with holes.
type streamedCore struct {
	in     io.Reader
	at     uint64 // bytes of in that have been read
	ended  bool
	pieces []corePiece   // in order
	spool  *newfile.File // has all of it; nil: there are only pieces
}

type corePiece struct {
	off  uint64
	data []byte
}

// ReadAt reads what was kept.
func (f *streamedCore) ReadAt(p []byte, off int64) (n int, err error) {
	if f.spool != nil {
		return f.spool.ReadAt(p, off)
	}
	at := uint64(off)
	i, found := slices.BinarySearchFunc(f.pieces, at, func(c corePiece, at uint64) int {
		switch {
		case c.off > at:
			return 1
		case c.off < at:
			return -1
		}
		return 0
	})
	if !found {
		i--
	}
	for ; i >= 0 && i < len(f.pieces) && n < len(p); i++ {
		c := &f.pieces[i]
		into := at + uint64(n) - c.off
		if c.off > at+uint64(n) || into >= uint64(len(c.data)) {
			break
		}
		n += copy(p[n:], c.data[into:])
	}
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// Close ends the reading of what is not in memory.
func (f *streamedCore) Close() error {
	if f.spool != nil {
		f.spool.Abort()
	}
	return nil
}

// keep reads [off, off+size) and keeps it; what comes before is skipped.
func (f *streamedCore) keep(off, size uint64) {
	if f.ended || off < f.at {
		return
	}
	n, err := io.CopyN(io.Discard, f.in, int64(off-f.at))
	if f.at += uint64(n); err != nil {
		f.ended = true
		return
	}
	var b bytes.Buffer // grows as the bytes come, whatever a header says
	n, err = io.CopyN(&b, f.in, int64(size))
	f.pieces = append(f.pieces, corePiece{f.at, b.Bytes()})
	f.at += uint64(n)
	f.ended = err != nil
}

// readHead reads up to the end of the notes, which the kernel writes before the memory. Whether it is a core file
// at all, newCore says.
func (f *streamedCore) readHead() {
	f.keep(0, elf.HeaderSize64)
	h, ok := elf.ParseHeader(f.pieces[0].data)
	if !ok {
		return
	}
	size := uint64(elf.ProgSize64)
	if h.Class == elf.Class32 {
		size = elf.ProgSize32
	}
	// Of more than PN_XNUM segments the number stands at the end of the file: so many are at least there.
	end := h.Phoff + uint64(h.Phnum)*size
	if h.Phoff >= maxCoreHead || uint64(h.Phentsize) != size {
		return
	}
	f.extendHead(end)
	table := f.pieces[0].data
	table = table[min(h.Phoff, uint64(len(table))):]
	for i := 0; uint64(i) < uint64(len(table))/size; i++ {
		p, ok := h.Prog(table, i)
		if !ok {
			break
		}
		if p.Type == elf.PT_NOTE && p.Filesz <= maxCoreHead && p.Off <= maxCoreHead {
			end = max(end, p.Off+p.Filesz)
		}
	}
	f.extendHead(min(end, maxCoreHead))
}

// extendHead makes the first piece reach to end.
func (f *streamedCore) extendHead(end uint64) {
	if f.ended || end <= f.at {
		return
	}
	b := bytes.NewBuffer(f.pieces[0].data)
	n, err := io.CopyN(b, f.in, int64(end-f.at))
	f.pieces[0].data = b.Bytes()
	f.at += uint64(n)
	f.ended = err != nil
}

// OpenCorePipe prepares the dump of a process of which the kernel writes a core into r: as the program in
// /proc/sys/kernel/core_pattern gets it on standard input, or at the coredump socket (core(5)).
//
// pid, if not 0, is the number of that process in this process's pid namespace (%P). It stays as it is, all threads
// standing still, until r is closed: so its memory is read from the process itself, and of r only the registers, which come
// first. Then Options.Thread may be the number of the crashed thread (%I). r must not be closed before Dump has
// returned, and is to be closed then without reading on: the kernel stops to write.
//
// Where the process can't be looked at, or pid is 0, the dump is made of the core alone, as by OpenCore: in ModeStack what
// is needed is picked while the core goes by, with little memory; in the other modes the core goes into a temporary file in
// the folder spool ("" is the system's folder for such files). OpenCorePipe then returns when it has read r.
func OpenCorePipe(r io.Reader, pid int, spool string, o Options) (*Writer, error) {
	const name = "core from a pipe"
	f := &streamedCore{in: r}
	f.readHead()
	c, err := newCore(name, f, corePipeUnread)
	if err != nil {
		return nil, err
	}
	var why error
	if pid != 0 {
		var w *Writer
		if w, why = openDumping(c, pid, o); why == nil {
			return w, nil
		}
	}
	if o.Mode == ModeStack {
		f.pick(c, &o)
	} else {
		err = f.spoolAll(spool)
	}
	c.close()
	if err != nil {
		f.Close()
		return nil, errtext.Wrap(err, "minidump: keep a core")
	}
	size := int64(corePipeUnread)
	if f.ended || f.spool != nil {
		size = int64(f.at)
	}
	w, err := openCore(name, f, size, o)
	if err != nil {
		f.Close()
		return nil, err
	}
	c = w.src.(*core)
	c.closer = f
	if why != nil {
		c.noProcess = []byte(why.Error())
		// Numbers of threads in the core are of the process's own pid namespace, and the crashed one is found.
		w.opts.Thread = 0
	}
	return w, nil
}

// pick reads on and keeps what a dump in ModeStack needs: of each thread's stack as much as Options allow, code at the
// instruction pointers, ranges of the application, small segments, and the start of all others.
func (f *streamedCore) pick(c *core, o *Options) {
	segs := c.mem.segments.all()
	var want []addrRange
	notes := c.notes.all()
	gp := make([]byte, c.target.arch.GPSize())
	for i := range notes {
		n := &notes[i]
		if !n.isThread() {
			continue
		}
		p, _ := c.parsePRStatus(c.peekNote(n))
		if c.mem.readFile(n.off+uint64(c.regsOffset()), gp) < len(gp) {
			continue
		}
		r := context.Regsets{Arch: c.target.arch, Order: c.head.Order, GP: gp}
		sp, pc := r.SP(), r.PC()
		// As stackBounds finds it.
		k := c.mem.find(sp)
		for last := min(len(segs), k+guardMappings); k < last; k++ {
			if seg := &segs[k]; seg.perm&(permRead|permWrite) != 0 {
				if seg.start > sp && seg.start-sp <= guardSearch {
					sp = seg.start
				}
				break
			}
		}
		limit := o.stackLimit(p.tid == c.blamed)
		want = append(want, addrRange{stackStart(c.target.arch, sp), sp + min(limit, ^sp)},
			addrRange{pc - min(pc, codeMargin), pc + min(codeMargin, ^pc)})
	}
	for _, m := range o.AppMemory {
		want = append(want, addrRange{m.Address, m.Address + min(m.Size, ^m.Address)})
	}
	small := uint64(maxSmall)
	for i := range segs {
		size := segs[i].present
		if size <= min(smallSegment, small) {
			small -= size
		} else {
			size = min(size, segmentHead)
		}
		want = append(want, addrRange{segs[i].start, segs[i].start + size})
	}
	inFile := c.mem.inFile(disjoint(want))
	slices.SortFunc(inFile, func(a, b coreRegion) int { return cmp.Compare(a.off, b.off) })
	left := uint64(maxCoreKept)
	for _, r := range inFile {
		if r.off < f.at { // kept already
			skip := min(r.size, f.at-r.off)
			r.off, r.size = r.off+skip, r.size-skip
		}
		if r.size = min(r.size, left); r.size > 0 && r.off+r.size <= corePipeUnread {
			f.keep(r.off, r.size)
			left -= r.size
		}
	}
}

// An addrRange is [lo, hi) of the process's memory.
type addrRange struct{ lo, hi uint64 }

// disjoint sorts ranges and makes one of those that overlap: of many threads that claim the same stack, it is looked at once.
func disjoint(list []addrRange) []addrRange {
	slices.SortFunc(list, func(a, b addrRange) int { return cmp.Compare(a.lo, b.lo) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// inFile tells where in the file the memory of the ranges lies, which are in order and don't overlap.
func (m *coreMemory) inFile(ranges []addrRange) (out []coreRegion) {
	segs := m.segments.all()
	for _, r := range ranges {
		for k := m.find(r.lo); k < len(segs) && segs[k].start < r.hi; k++ {
			seg := &segs[k]
			lo, hi := max(r.lo, seg.start), min(r.hi, seg.start+seg.present)
			if lo < hi {
				out = append(out, coreRegion{off: seg.off + lo - seg.start, size: hi - lo})
			}
		}
	}
	return out
}

// spoolAll puts the whole core into a temporary file, with holes where there are zeros.
func (f *streamedCore) spoolAll(dir string) error {
	file, err := newfile.Temp(dir)
	if err != nil {
		return err
	}
	f.spool = file
	for _, p := range f.pieces {
		if _, err := file.WriteAt(p.data, int64(p.off)); err != nil {
			return err
		}
	}
	f.pieces = nil
	const block = 4096
	b := make([]byte, 256*block)
	for !f.ended {
		n, err := io.ReadFull(f.in, b)
		for from := 0; from < n; from += block {
			piece := b[from:min(n, from+block)]
			if elf.IsAllZero(piece) {
				continue
			}
			if _, err := file.WriteAt(piece, int64(f.at)+int64(from)); err != nil {
				return err
			}
		}
		f.at += uint64(n)
		f.ended = err != nil
	}
	return file.Truncate(int64(f.at))
}
