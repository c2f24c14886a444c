package goruntime

import (
	"time"

	"minidump/context"
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// A Lister finds the goroutines of a process for its dumps. List is the only implementation.
type Lister interface {
	Reserve() error
	Release()
	Forget()
	Prepare(s *snapshot.Snapshot, mem snapshot.Memory)
	Capture(s *snapshot.Snapshot, mem snapshot.Memory, now func() int64) bool
	Complete(s *snapshot.Snapshot, mem snapshot.Memory)
}

// NewLister makes a Lister. Package goroutines sets it; while it is nil, dumps have no goroutines. This way a program
// that does not import that package does not have the code for goroutines in memory.
var NewLister func() Lister

// List finds, for the dumps of one process, the stacks that the Go runtime allocated for its threads, and its
// goroutines. It does nothing for a program that was not built by Go. Its memory is outside the Go heap. The zero List
// must be prepared by Reserve.
type List struct {
	fixed  arena.Arena // holds state
	work   arena.Arena // of one dump
	state  *listState  // nil until a Go program is found
	looked bool        // Find was called for this program
	warmed int         // bytes of work that were touched
	memory capturedMemory
}

// listState is the state that a List keeps. It is large, and therefore not in the Go heap.
type listState struct {
	program Program
	capture Capture
	image   [maxRanges]Range
}

// maxRanges is the maximum number of mappings of one program.
const maxRanges = 32

// Space for the goroutines of one dump: 256 MiB of address space, or 32 MiB where addresses have 32 bits.
const (
	workSize  = 256 * arena.Unit
	fixedSize = 64 << 10
)

// Limits on what is read of the goroutines of a stopped process. The first two are an eighth where addresses have 32 bits.
const (
	listGoroutines = 1 << 17
	listStacks     = 16 << 20
	listTime       = 50 * time.Millisecond
)

const narrow = 1 << 20 / arena.Unit // 8 where addresses have 32 bits, else 1

// Reserve reserves the address space.
func (l *List) Reserve() error {
	for _, r := range [...]struct {
		a    *arena.Arena
		size uintptr
	}{{&l.fixed, fixedSize}, {&l.work, workSize}} {
		if err := r.a.Reserve(r.size); err != nil {
			l.Release()
			return err
		}
	}
	return nil
}

// Release releases the address space.
func (l *List) Release() {
	l.fixed.Release()
	l.work.Release()
	l.state = nil
}

// Forget must be called when the process executes another program.
func (l *List) Forget() { l.looked = false }

// Prepare looks for the Go runtime, unless it has done so for this program. The auxiliary vector and the memory map must
// be known. It should be called before the stop, because it reads several megabytes. If it was not called, or the map was
// not known, Capture calls it.
func (l *List) Prepare(s *snapshot.Snapshot, mem snapshot.Memory) {
	if !s.Proc.IsGo || s.Mappings.N == 0 {
		return
	}
	if !l.looked {
		l.look(s, mem)
	}
	l.warm(mem)
}

// look looks for the Go runtime.
func (l *List) look(s *snapshot.Snapshot, mem snapshot.Memory) {
	l.looked = true
	if l.state == nil {
		states := alloc[listState](&l.fixed, 1)
		if states == nil {
			return
		}
		l.state = &states[0]
	}
	l.work.Used = 0
	im := Image{Arch: s.Target.Arch, Order: s.Target.Order, Ranges: mainImage(s, &l.state.image)}
	_ = l.state.program.Find(mem, &l.work, &im) // Capture reports failures
}

// Memory in bytes that Capture fills at least for each goroutine: its record, its place in the list and its stack.
const (
	warmPer   = 512
	warmLeast = 1000 // goroutines: for fewer it is not worth it
	warmMost  = 16 << 20
)

// warm touches the memory that Capture will fill, so that the kernel does not have to allocate it page by page while the
// process is stopped.
func (l *List) warm(mem snapshot.Memory) {
	if l.state == nil {
		return
	}
	l.work.Used = 0
	n := l.state.program.count(mem, &l.work)
	size := min(n*warmPer, warmMost)
	if n < warmLeast || size <= l.warmed {
		return
	}
	l.warmed = size
	l.work.Used = 0
	b := l.work.Piece(size)
	for i := 0; i < len(b); i += pageSize {
		b[i] = 0
	}
	l.work.Used = 0
}

// mainImage lists the readable mappings of the main program: those of its file, and the BSS after one of them.
func mainImage(s *snapshot.Snapshot, out *[maxRanges]Range) []Range {
	if in := s.Proc.Program; in.Lo < in.Hi {
		return rangesIn(s, out, in)
	}
	main := s.Find(s.Proc.Phdr)
	if main == nil || main.Kind != snapshot.MapFile {
		return nil
	}
	n, end := 0, uint64(0)
	for i := range s.Mappings.All() {
		m := s.Mappings.At(i)
		same := m.Kind == snapshot.MapFile && m.Dev == main.Dev && m.Inode == main.Inode &&
			string(s.Bytes.Get(m.Name)) == string(s.Bytes.Get(main.Name))
		if !same && (m.Start != end || m.Kind != snapshot.MapAnonymous && !isBSS(s.Bytes.Get(m.Name))) {
			continue
		}
		if end = m.End; m.Perm&snapshot.PermRead == 0 || m.Hidden {
			continue
		}
		if n == len(out) {
			break
		}
		out[n] = Range{Lo: m.Start, Hi: m.End, Writable: m.Perm&snapshot.PermWrite != 0, Exec: m.Perm&snapshot.PermExec != 0}
		n++
	}
	return out[:n]
}

// rangesIn lists the readable mappings in a range.
func rangesIn(s *snapshot.Snapshot, out *[maxRanges]Range, in snapshot.Range) []Range {
	n := 0
	for i := range s.Mappings.All() {
		m := s.Mappings.At(i)
		if m.End <= in.Lo || m.Start >= in.Hi || m.Perm&snapshot.PermRead == 0 {
			continue
		}
		if n == len(out) {
			break
		}
		out[n] = Range{Lo: max(m.Start, in.Lo), Hi: min(m.End, in.Hi), Writable: m.Perm&snapshot.PermWrite != 0, Exec: m.Perm&snapshot.PermExec != 0}
		n++
	}
	return out[:n]
}

// isBSS reports whether name is the name that Android's dynamic linker assigns to the BSS of an image.
func isBSS(name []byte) bool { return string(name) == "[anon:.bss]" }

// Capture finds the stacks of each thread and reads the goroutines, while the process is stopped. The registers and the memory
// map must be known. now returns the target's CLOCK_MONOTONIC in nanoseconds; nil means that it is not known and the stop has
// no time limit. Capture returns false if the runtime was not found, which it records; the caller can then use Stacks.Find.
func (l *List) Capture(s *snapshot.Snapshot, mem snapshot.Memory, now func() int64) bool {
	if !s.Proc.IsGo {
		return true
	}
	l.Prepare(s, mem)
	if l.capture(s, mem, now) {
		return true
	}
	if l.state != nil {
		l.state.capture = Capture{}
	}
	s.Soft(snapshot.OpGoroutines, 0, 0, 0)
	return false
}

func (l *List) capture(s *snapshot.Snapshot, mem snapshot.Memory, now func() int64) bool {
	if l.state == nil || !l.state.program.Known() || s.Threads.N > maxThreads {
		return false
	}
	l.work.Used = 0
	ths := s.Threads.All()
	threads := alloc[Thread](&l.work, len(ths))
	if threads == nil {
		return false
	}
	for i := range ths {
		t := &threads[i]
		*t = Thread{TID: ths[i].TID, PC: ths[i].PC, SP: ths[i].SP}
		if ths[i].GP.Len > 0 {
			r := context.Regsets{Arch: s.Target.Arch, Order: s.Target.Order, GP: s.Bytes.Get(ths[i].GP)}
			t.LR = r.LR()
			t.G, t.Indirect = r.GoG()
		}
	}
	lim := Limits{Goroutines: listGoroutines / narrow, Stacks: listStacks / narrow}
	at := int64(0)
	if now != nil {
		at = now()
		lim.Clock, lim.Until = now, at+int64(listTime)
	}
	p, c := &l.state.program, &l.state.capture
	if !p.Capture(c, mem, &l.work, threads, at, lim) {
		return false
	}
	for i := range ths {
		p.setStacks(&ths[i], &threads[i], c)
	}
	return true
}

// setStacks records the stacks of a thread.
func (p *Program) setStacks(to *snapshot.Thread, t *Thread, c *Capture) {
	if t.M == 0 {
		return
	}
	to.Go = [...]snapshot.Range{snapshot.Range(t.Goroutine), snapshot.Range(p.exact(t)), snapshot.Range(t.Signal)}
	if t.current >= 0 && !t.Goroutine.Contains(t.SP) {
		if g := &c.Goroutines[t.current]; g.flags&flagElsewhere == 0 && g.Stack.Contains(g.SP) {
			to.GoSP = g.SP
		}
	}
	if t.Secret {
		*to = snapshot.Thread{TID: to.TID, State: to.State, PC: to.PC}
	}
}

// exact returns the bounds of g0's stack, unless they are a guess. The stack of the first thread ends where the program started.
func (p *Program) exact(t *Thread) Bounds {
	if !t.System.allocated() && t.M != p.m0 {
		return Bounds{}
	}
	return t.System
}

// allocated reports whether the bounds of a g0 are those of memory that the runtime allocated, which starts and ends at page
// boundaries. For a thread that C created the runtime records roughly where Go was first called; the callers are above that.
func (b Bounds) allocated() bool { return (b.Lo|b.Hi)&(pageSize-1) == 0 }

// Complete builds the stream of the goroutines that Capture read, and adds it to s. The process may be running.
func (l *List) Complete(s *snapshot.Snapshot, mem snapshot.Memory) {
	if !s.Proc.IsGo || l.state == nil || l.state.capture.Goroutines == nil {
		return
	}
	l.memory.s = s
	b := l.state.program.Encode(&l.state.capture, mem, &l.work, &l.memory)
	l.memory.s = nil
	if len(b) == 0 {
		s.Soft(snapshot.OpGoroutines, 0, 0, 0)
		return
	}
	data := s.Put(b)
	if data.Len == 0 {
		return
	}
	if st := s.Streams.Add(); st != nil {
		*st = snapshot.Stream{Type: stream.GoroutineListStream, Data: data}
	}
	l.addStacks(s)
}

// addStacks adds the memory of goroutines that no thread runs: for each, what Capture read, within the budget. If the budget
// is too small, the first goroutine with each distinct stack has precedence, so that one of each kind is there.
func (l *List) addStacks(s *snapshot.Snapshot) {
	if s.Want.Mode == snapshot.ModeFull || s.Want.SkipUnreferenced {
		return
	}
	budget := uint64(stacksMost)
	if s.Want.Limit > 0 {
		budget = min(budget, s.Want.Limit/4)
	}
	gs := l.state.capture.Goroutines
	for pass := range 2 {
		for i := range gs {
			g := &gs[i]
			if g.thread >= 0 || (g.flags&flagNewStack != 0) != (pass == 0) {
				continue
			}
			b := g.Data[:min(uint64(len(g.Data)), s.Want.StackLimitOf(false))]
			if uint64(len(b)) > budget {
				continue
			}
			if n := s.AddGoroutine(g.DataAt, b); n > 0 {
				budget -= n
			}
		}
	}
	s.PlaceGoroutines()
}

// stacksMost is the maximum size in bytes of goroutine stacks in a dump.
const stacksMost = 4 << 20

// capturedMemory is the memory in a snapshot.
type capturedMemory struct{ s *snapshot.Snapshot }

// From implements Captured.
func (m *capturedMemory) From(addr uint64) []byte { return m.s.Captured(addr) }
