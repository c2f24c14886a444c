package goruntime

import (
	"minidump/context"
	"minidump/elf"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// Stacks finds the stacks of the threads of a Go program from nothing but the first words of runtime.g and
// runtime.m. It owns the memory for that, outside the Go heap.
type Stacks struct{ threads arena.Table[thread] }

// Words of a runtime.g and a runtime.m that have been in the same place in all releases of Go since 1.5
// (runtime2.go), because assembly code depends on them.
const (
	wordStack   = 0 // of a g: the bounds of its stack
	wordM       = 6
	wordSchedSP = 7
	wordsG      = 8
	wordG0      = 0 // of an m
	wordsM      = 48
)

// thread holds the facts about the goroutine that a thread runs.
type thread struct {
	g     uint64     // the address of the current g of the thread: its goroutine, g0 or gsignal; 0: not known
	m     uint64     // of its m
	word  arena.Span // the word in memory that contains the address
	head  arena.Span // the start of the g
	start arena.Span // the start of the m
}

// Reserve reserves the address space.
func (g *Stacks) Reserve() error { return g.threads.Reserve(8 << 20) }

// Release releases the address space.
func (g *Stacks) Release() { g.threads.Release() }

// Find records the bounds of the stacks of each thread of a Go program, and where its goroutine continues if the thread
// is on another stack. s.Proc.IsGo and the registers must be known. Three vectored reads serve all threads that run a
// goroutine; each of the other threads requires a few more.
func (g *Stacks) Find(s *snapshot.Snapshot, mem snapshot.Memory) {
	if !s.Proc.IsGo {
		return
	}
	ths := s.Threads.All()
	g.threads.Clear()
	known := g.threads.Extend(len(ths))
	if known == nil {
		return
	}
	findGs(s, ths, known)
	s.Batch.Read(mem)
	word := s.Target.WordSize()
	readGs(s, known)
	s.Batch.Read(mem)
	readMs(s, known)
	s.Batch.Read(mem)
	for i := range known {
		k, t := &known[i], &ths[i]
		head, start := s.Bytes.Get(k.head), s.Bytes.Get(k.start)
		switch {
		case len(head) == wordsG*word && len(start) >= word:
			g.ofM(s, mem, t, k, start)
		case len(head) >= 2*word:
			addStack(s, t, head)
		}
	}
}

// findGs finds the address of each thread's g in its registers, or requests the word that contains it.
func findGs(s *snapshot.Snapshot, ths []snapshot.Thread, known []thread) {
	s.Batch.Clear()
	for i := range ths {
		k := &known[i]
		*k = thread{}
		if ths[i].GP.Len == 0 {
			continue
		}
		r := context.Regsets{Arch: s.Target.Arch, Order: s.Target.Order, GP: s.Bytes.Get(ths[i].GP)}
		at, indirect := r.GoG()
		switch {
		case at == 0:
		case indirect:
			s.Batch.Want(s, at, s.Target.WordSize(), &k.word)
		default:
			k.g = at
		}
	}
}

// readGs requests the start of each g.
func readGs(s *snapshot.Snapshot, known []thread) {
	word := s.Target.WordSize()
	s.Batch.Clear()
	for i := range known {
		k := &known[i]
		if b := s.Bytes.Get(k.word); len(b) == word {
			k.g = s.Target.Word(b)
		}
		if k.g != 0 {
			s.Batch.Want(s, k.g, wordsG*word, &k.head)
		}
	}
}

// readMs requests the start of the m that each g refers to.
func readMs(s *snapshot.Snapshot, known []thread) {
	word := s.Target.WordSize()
	s.Batch.Clear()
	for i := range known {
		k := &known[i]
		if b := s.Bytes.Get(k.head); len(b) == wordsG*word {
			k.m = s.Target.Word(b[wordM*word:])
		}
		if k.m != 0 && k.m%uint64(word) == 0 {
			s.Batch.Want(s, k.m, wordsM*word, &k.start)
		}
	}
}

// ofM finds the other stacks of a thread from b, the start of its m: each g that the m refers to and that refers back to
// it has one. The first of these is g0. The goroutine is the one with a saved PC and SP to continue from.
func (g *Stacks) ofM(s *snapshot.Snapshot, mem snapshot.Memory, t *snapshot.Thread, k *thread, b []byte) {
	word := s.Target.WordSize()
	head := s.Bytes.Get(k.head)
	g0 := s.Target.Word(b[wordG0*word:])
	if k.g == g0 {
		addSystemStack(s, t, head)
	} else if addStack(s, t, head); inStack(s, head, t.SP) && s.Target.Word(head[wordSchedSP*word:]) != 0 {
		return // the thread is running its goroutine
	}
	for i := 0; i+word <= len(b); i += word {
		v := s.Target.Word(b[i:])
		if v == 0 || v == k.g || v%uint64(word) != 0 || mem.Read(v, head) != len(head) || s.Target.Word(head[wordM*word:]) != k.m {
			continue
		}
		sp := s.Target.Word(head[wordSchedSP*word:])
		switch {
		case v == g0:
			addSystemStack(s, t, head)
		case addStack(s, t, head) && t.GoSP == 0 && inStack(s, head, sp):
			t.GoSP = sp
		}
	}
}

// addSystemStack is addStack for g0, whose bounds may be a guess.
func addSystemStack(s *snapshot.Snapshot, t *snapshot.Thread, head []byte) {
	if b := (Bounds{s.Target.Word(head), s.Target.Word(head[s.Target.WordSize():])}); b.allocated() || t.TID == s.Proc.PID {
		addStack(s, t, head)
	}
}

// inStack reports whether sp is in the stack of the g that starts with head.
func inStack(s *snapshot.Snapshot, head []byte, sp uint64) bool {
	return s.Target.Word(head) <= sp && sp < s.Target.Word(head[s.Target.WordSize():])
}

// addStack records the stack of the g that starts with head, unless it is already known or there is no room.
func addStack(s *snapshot.Snapshot, t *snapshot.Thread, head []byte) bool {
	r := snapshot.Range{Lo: s.Target.Word(head), Hi: s.Target.Word(head[s.Target.WordSize():])}
	if r.Lo >= r.Hi || r.Hi-r.Lo > maxStack {
		return false
	}
	for i := range t.Go {
		switch t.Go[i] {
		case r:
			return false
		case snapshot.Range{}:
			t.Go[i] = r
			return true
		}
	}
	return false
}

// ScratchSize is the size of the scratch memory of IsGo in bytes.
const ScratchSize = 32 << 10

// IsGo reports whether the main program was built by Go: it has Go build information in its data, or a note of Go's
// linker. The auxiliary vector must be known.
func IsGo(s *snapshot.Snapshot, mem snapshot.Memory, scratch []byte) bool {
	phdr, phnum := s.Proc.Phdr, s.Proc.Phnum
	if phdr == 0 || phnum == 0 || phnum > 256 {
		return false
	}
	h := elf.Header{Class: elf.Class32, Order: s.Target.Order, Phentsize: elf.ProgSize32, Phoff: 52, Phnum: uint16(phnum)}
	if s.Target.WordSize() == 8 {
		h.Class, h.Phentsize, h.Phoff = elf.Class64, elf.ProgSize64, 64
	}
	size := min(int(phnum)*int(h.Phentsize), 8<<10)
	table, rest := scratch[:size], scratch[size:]
	table = table[:mem.Read(phdr, table)]
	im := &s.Image
	im.Scan(&h, table, phdr&^(s.Target.PageSize-1), s.Target.PageSize)
	for i := range im.NumNotes {
		n := im.Notes[i]
		notes := rest[:min(n.Size, 4096)]
		if elf.GoBuildID(notes[:mem.Read(n.Addr, notes)], n.Align, s.Target.Order) != nil {
			return true
		}
	}
	data := rest[:min(im.Data.Size, uint64(len(rest)))]
	_, _, ok := elf.FindGoBuildInfo(data[:mem.Read(im.Data.Addr, data)])
	return ok
}
