package corefile

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

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// Limits in bytes on the parts of a core from a pipe that are kept in memory.
const (
	maxHead      = 512 * arena.Unit  // headers and notes: 11 KB per thread with all registers of AVX-512 and AMX
	maxKept      = 1024 * arena.Unit // everything
	smallSegment = 256 << 10         // largest segment that is kept whole, for link_map and the arguments
	maxSmall     = 16 << 20          // all small segments together
	segmentHead  = 4 << 10           // the start of any segment, for the ELF header and build id
	unread       = math.MaxInt64     // the size of a pipe whose end is not known yet
)

// streamed is an ELF core from a pipe. The parts of it that were kept can be read like a file with holes.
type streamed struct {
	in     io.Reader
	at     uint64 // bytes of in that were read
	ended  bool
	pieces []piece       // sorted by offset
	spool  *newfile.File // holds everything; nil: only the pieces are kept
}

// A piece is a kept part of the core.
type piece struct {
	off  uint64
	data []byte
}

func (p *piece) end() uint64 { return p.off + uint64(len(p.data)) }

// ReadAt reads from the kept parts. It returns io.ErrUnexpectedEOF at the first hole.
func (f *streamed) ReadAt(p []byte, off int64) (n int, err error) {
	if f.spool != nil {
		return f.spool.ReadAt(p, off)
	}
	at := uint64(off)
	for i := arena.Search(f.pieces, at, (*piece).end); i < len(f.pieces) && n < len(p); i++ {
		c := &f.pieces[i]
		into := at + uint64(n) - c.off
		if c.off > at+uint64(n) {
			break
		}
		n += copy(p[n:], c.data[into:])
	}
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// Close deletes the temporary file, if there is one.
func (f *streamed) Close() error {
	if f.spool != nil {
		f.spool.Abort()
	}
	return nil
}

// keep reads [off, off+size) of the core and keeps it. Bytes before off that were not read yet are discarded.
func (f *streamed) keep(off, size uint64) {
	if f.ended || off < f.at {
		return
	}
	n, err := io.CopyN(io.Discard, f.in, int64(off-f.at))
	if f.at += uint64(n); err != nil {
		f.ended = true
		return
	}
	var b bytes.Buffer // grows as bytes arrive, so a wrong size in a header costs no memory
	n, err = io.CopyN(&b, f.in, int64(size))
	f.pieces = append(f.pieces, piece{f.at, b.Bytes()})
	f.at += uint64(n)
	f.ended = err != nil
}

// readHead reads up to the end of the notes, which the kernel writes before the memory. It stops early if this is not
// a core file, which Notes.open reports.
func (f *streamed) readHead() {
	f.keep(0, elf.HeaderSize64)
	h, ok := elf.ParseHeader(f.pieces[0].data)
	if !ok {
		return
	}
	size := uint64(elf.ProgSize64)
	if h.Class == elf.Class32 {
		size = elf.ProgSize32
	}
	// A core with PN_XNUM or more segments stores their number at its end. At least PN_XNUM segments exist.
	end := h.Phoff + uint64(h.Phnum)*size
	if h.Phoff >= maxHead || uint64(h.Phentsize) != size {
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
		if p.Type == elf.PT_NOTE && p.Filesz <= maxHead && p.Off <= maxHead {
			end = max(end, p.Off+p.Filesz)
		}
	}
	f.extendHead(min(end, maxHead))
}

// extendHead reads until the first piece ends at end.
func (f *streamed) extendHead(end uint64) {
	if f.ended || end <= f.at {
		return
	}
	b := bytes.NewBuffer(f.pieces[0].data)
	n, err := io.CopyN(b, f.in, int64(end-f.at))
	f.pieces[0].data = b.Bytes()
	f.at += uint64(n)
	f.ended = err != nil
}

// A Pipe is a core that the kernel writes into a pipe. Its headers and notes have been read.
type Pipe struct {
	file  streamed
	Notes Notes
}

const pipeName = "core from a pipe"

// OpenPipe reads the headers and the notes of a core from r. Its errors are those of New.
func OpenPipe(r io.Reader) (*Pipe, error) {
	p := &Pipe{file: streamed{in: r}}
	p.file.readHead()
	if err := p.Notes.open(pipeName, &p.file, unread); err != nil {
		return nil, err
	}
	return p, nil
}

// Source reads the rest of the core and returns it as a source. In mode stack it keeps in memory the parts that a dump
// needs; in the other modes it writes the core to a temporary file in the folder spool ("" means the system's folder
// for temporary files). It closes p.Notes, also after an error.
func (p *Pipe) Source(w *snapshot.Want, spool string) (*Source, error) {
	f := &p.file
	var err error
	if w.Mode == snapshot.ModeStack {
		f.pick(&p.Notes, w)
	} else {
		err = f.spoolAll(spool)
	}
	p.Notes.Close()
	if err != nil {
		f.Close()
		return nil, errtext.Wrap(err, "minidump: keep a core")
	}
	size := int64(unread)
	if f.ended || f.spool != nil {
		size = int64(f.at)
	}
	c, err := New(pipeName, f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	c.closer = f
	return c, nil
}

// pick reads the rest of the core and keeps what a dump in mode stack needs: the stack of each thread up to the stack
// limit, the code at the instruction pointers, the application's ranges, small segments, and the start of all others.
func (f *streamed) pick(c *Notes, w *snapshot.Want) {
	wanted := append(c.threadMemory(w), w.AppMemory...)
	small := uint64(maxSmall)
	for _, seg := range c.mem.segments.All() {
		size := seg.present
		if size <= min(smallSegment, small) {
			small -= size
		} else {
			size = min(size, segmentHead)
		}
		wanted = append(wanted, snapshot.Range{Lo: seg.start, Hi: seg.start + size})
	}
	inFile := c.mem.inFile(disjoint(wanted))
	slices.SortFunc(inFile, func(a, b region) int { return cmp.Compare(a.off, b.off) })
	left := uint64(maxKept)
	for _, r := range inFile {
		if r.off < f.at { // already kept
			skip := min(r.size, f.at-r.off)
			r.off, r.size = r.off+skip, r.size-skip
		}
		if r.size = min(r.size, left); r.size > 0 && r.off+r.size <= unread {
			f.keep(r.off, r.size)
			left -= r.size
		}
	}
}

// threadMemory returns the stack ranges of all threads and the code that they execute.
func (c *Notes) threadMemory(w *snapshot.Want) (ranges []snapshot.Range) {
	notes := c.notes.All()
	gp := make([]byte, c.Target.Arch.GPSize())
	for i := range notes {
		n := &notes[i]
		if !n.isThread() {
			continue
		}
		p, _ := c.parsePRStatus(c.peekNote(n))
		if c.mem.readFile(n.off+uint64(c.regsOffset()), gp) < len(gp) {
			continue
		}
		r := context.Regsets{Arch: c.Target.Arch, Order: c.head.Order, GP: gp}
		sp, pc := c.mem.stackAbove(r.SP()), r.PC()
		limit := w.StackLimitOf(p.tid == c.fatal)
		ranges = append(ranges, snapshot.Range{Lo: snapshot.StackStart(c.Target.Arch, sp), Hi: sp + min(limit, ^sp)},
			snapshot.Range{Lo: pc - min(pc, snapshot.CodeMargin), Hi: pc + min(snapshot.CodeMargin, ^pc)})
	}
	return ranges
}

// stackAbove returns sp, or the start of the stack if sp lies below it, in a guard page. The snapshot chooses stacks by
// the same rule (stackBounds), from the memory map.
func (m *memory) stackAbove(sp uint64) uint64 {
	segs := m.segments.All()
	k := m.firstAbove(sp)
	for last := min(len(segs), k+snapshot.GuardMappings); k < last; k++ {
		if seg := &segs[k]; seg.perm&(snapshot.PermRead|snapshot.PermWrite) != 0 {
			if seg.start > sp && seg.start-sp <= snapshot.GuardSearch {
				return seg.start
			}
			break
		}
	}
	return sp
}

// disjoint sorts ranges and merges those that overlap, so a stack that many threads claim is kept once.
func disjoint(list []snapshot.Range) []snapshot.Range {
	slices.SortFunc(list, func(a, b snapshot.Range) int { return cmp.Compare(a.Lo, b.Lo) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && r.Lo <= out[n-1].Hi {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// inFile returns the parts of the file that hold the memory of the ranges. The ranges must be sorted and must not overlap.
func (m *memory) inFile(ranges []snapshot.Range) (out []region) {
	segs := m.segments.All()
	for _, r := range ranges {
		for k := m.firstAbove(r.Lo); k < len(segs) && segs[k].start < r.Hi; k++ {
			seg := &segs[k]
			lo, hi := max(r.Lo, seg.start), min(r.Hi, seg.start+seg.present)
			if lo < hi {
				out = append(out, region{off: seg.off + lo - seg.start, size: hi - lo})
			}
		}
	}
	return out
}

// spoolAll writes the whole core to a temporary file, with holes in place of blocks of zeros.
func (f *streamed) spoolAll(dir string) error {
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
