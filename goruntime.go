package minidump

import (
	"minidump/context"
	"minidump/elf"
	"minidump/procfs"
)

// IsGo tells whether the process runs a program that was built by Go, as it is now: what its auxiliary vector says of the
// program's headers is looked up in its memory. Of a core file it is false also if that part of the memory is not in there. It
// must not be called during a Dump.
func (w *Writer) IsGo() bool {
	type looker interface{ isGoNow(s *snapshot) bool }
	src, ok := w.src.(looker)
	return ok && src.isGoNow(&w.snap)
}

// isGoNow looks at the core before its dump does.
func (c *core) isGoNow(s *snapshot) bool {
	notes := c.notes.all()
	for i := range notes {
		if n := &notes[i]; n.typ == ntAuxv && !n.linux {
			s.target = c.target
			auxv := procfs.ParseAuxv(c.peekNote(n), c.head.Class.WordSize(), c.head.Order)
			s.adoptAuxv(&auxv)
			return s.looksLikeGo(&c.mem, c.buf)
		}
	}
	return false
}

// goStacks finds the stacks of a Go program's threads. It holds the tables that takes.
type goStacks struct {
	bounds table[[2]uint64]
	words  table[uint64] // of the same length: where each thread's g is
	reads  requests
}

func (g *goStacks) reserve() error {
	for _, r := range []struct {
		a *arena
		n uintptr
	}{{&g.bounds.arena, 8 << 20}, {&g.words.arena, 8 << 20}, {&g.reads.arena, 16 << 20}} {
		if err := r.a.reserve(r.n); err != nil {
			g.release()
			return err
		}
	}
	return nil
}

func (g *goStacks) release() {
	g.bounds.release()
	g.words.release()
	g.reads.release()
}

// find gives for each thread of a Go program the bounds of the stack that it runs on: the first two words of its g. Two
// vectored reads serve all threads.
func (g *goStacks) find(s *snapshot, mem targetMemory) [][2]uint64 {
	if !s.proc.isGo {
		return nil
	}
	ths := s.threads.all()
	g.bounds.clear()
	g.words.clear()
	out, where := g.bounds.extend(len(ths)), g.words.extend(len(ths))
	if out == nil || where == nil {
		return nil
	}
	word := s.target.wordSize()
	g.reads.clear()
	for i := range ths {
		out[i], where[i] = [2]uint64{}, 0
		if ths[i].gp.len == 0 {
			continue
		}
		r := context.Regsets{Arch: s.target.arch, Order: s.target.order, GP: s.bytes.bytes(ths[i].gp)}
		at, indirect := r.GoG()
		if at == 0 {
			continue
		}
		if !indirect {
			where[i] = at
			continue
		}
		if g.reads.want(s, at, word).len > 0 {
			where[i] = 1 // its word is in the next answer
		}
	}
	mem.readv(g.reads.all())
	k := 0
	for i := range where {
		if where[i] == 1 {
			if q := g.reads.at(k); q.got == word {
				where[i] = s.target.word(q.dst)
			} else {
				where[i] = 0
			}
			k++
		}
	}
	g.reads.clear()
	for i := range where {
		if where[i] != 0 && g.reads.want(s, where[i], 2*word).len == 0 {
			where[i] = 0
		}
	}
	mem.readv(g.reads.all())
	k = 0
	for i := range where {
		if where[i] != 0 {
			if q := g.reads.at(k); q.got == 2*word {
				out[i] = [2]uint64{s.target.word(q.dst), s.target.word(q.dst[word:])}
			}
			k++
		}
	}
	return out
}

// goScratch is how much scratch memory looksLikeGo wants.
const goScratch = 32 << 10

// looksLikeGo tells whether the main program was built by Go: it has Go build information in its data, or a note of
// Go's linker. The auxiliary vector must be known.
func (s *snapshot) looksLikeGo(mem targetMemory, scratch []byte) bool {
	phdr, phnum := s.proc.phdr, s.proc.phnum
	if phdr == 0 || phnum == 0 || phnum > 256 {
		return false
	}
	h := elf.Header{Class: elf.Class32, Order: s.target.order, Phentsize: elf.ProgSize32, Phoff: 52, Phnum: uint16(phnum)}
	if s.target.wordSize() == 8 {
		h.Class, h.Phentsize, h.Phoff = elf.Class64, elf.ProgSize64, 64
	}
	size := min(int(phnum)*int(h.Phentsize), 8<<10)
	table, rest := scratch[:size], scratch[size:]
	table = table[:mem.read(phdr, table)]
	im := &s.image
	im.Scan(&h, table, phdr&^(s.target.pageSize-1), s.target.pageSize)
	for i := range im.NumNotes {
		n := im.Notes[i]
		notes := rest[:min(n.Size, 4096)]
		if elf.GoBuildID(notes[:mem.read(n.Addr, notes)], n.Align, s.target.order) != nil {
			return true
		}
	}
	data := rest[:min(im.Data.Size, uint64(len(rest)))]
	_, _, ok := elf.FindGoBuildInfo(data[:mem.read(im.Data.Addr, data)])
	return ok
}
