package goruntime

import "minidump/context"

// Limits limits what Capture reads. A zero field means its default.
type Limits struct {
	Goroutines int    // how many goroutines are read, including dead ones; default 1<<17
	Stack      uint64 // bytes of one goroutine's stack; default 32 KiB
	Stacks     uint64 // bytes of all stacks; if they exceed it, the largest are cut; default 16 MiB
	// If Clock is not nil and returns more than Until, Capture returns with what it has. It is called now and then.
	Clock func() int64
	Until int64
}

// expired reports whether the time is up.
func (l *Limits) expired() bool { return l.Clock != nil && l.Clock() > l.Until }

func (l Limits) withDefaults() Limits {
	if l.Goroutines <= 0 {
		l.Goroutines = 1 << 17
	}
	if l.Stack == 0 {
		l.Stack = 32 << 10
	}
	if l.Stacks == 0 {
		l.Stacks = 16 << 20
	}
	return l
}

// Limits on what else Capture reads.
const (
	batch        = 1024 // requests of one ReadV, and number of goroutines read at a time
	maxThreads   = 1 << 16
	maxLabelSets = 1024
	maxLabels    = 16 // of one goroutine's set
	maxLabelText = 128
	maxBubbles   = 64
	maxPanicking = 64 // goroutines
	maxPanics    = 8  // of one goroutine
	maxPanicText = 4096
)

// Bounds is an address range [Lo, Hi); both are 0 if it is not known.
type Bounds struct{ Lo, Hi uint64 }

// Contains reports whether a is in the range.
func (b Bounds) Contains(a uint64) bool { return b.Lo <= a && a < b.Hi }

// StackKind says which of its stacks a thread of a Go program is on.
type StackKind uint8

const (
	NoStack        StackKind = iota // not known, or none of Go's
	GoroutineStack                  // the stack of a goroutine
	SystemStack                     // g0: the scheduler, the garbage collector, C code called from Go
	SignalStack                     // gsignal: a signal handler
)

// Thread is a thread of the target. The caller sets the first group of fields; Capture sets the others.
type Thread struct {
	TID        int32
	PC, SP, LR uint64 // LR is the link register; 0 where a call pushes the return address
	// G is what context.Regsets.GoG returns: the address of a g, or, if Indirect is set, that of the word that contains the
	// address; 0 if not known.
	G        uint64
	Indirect bool
	// Where the code interrupted by a signal handler ran, from the signal frame, if the thread is in a signal handler.
	Interrupted struct {
		Have       bool
		PC, SP, LR uint64
	}

	On        StackKind
	Secret    bool   // it runs a goroutine in secret mode (package runtime/secret): its stack and registers are left out
	M         uint64 // address of its runtime.m; 0 if it has none
	CurG      uint64 // address of the goroutine that it runs, even while on the system stack; 0 if none
	System    Bounds // the stack of g0. For a thread that C created the bounds are a guess by the runtime.
	Signal    Bounds // the stack of gsignal
	Goroutine Bounds // the stack of CurG
	VDSO      struct{ PC, SP uint64 }

	word      [16]byte // the word at G
	g         uint64
	procID    uint64 // the thread id recorded in its M
	asked     bool
	current   int32 // index of CurG in Capture.Goroutines; -1: none
	goroutine int32 // the same, derived from Goroutine.thread; -1: none
}

// Stack returns the bounds of the stack that the thread is on, by SP.
func (t *Thread) Stack() Bounds {
	switch {
	case t.Goroutine.Contains(t.SP):
		return t.Goroutine
	case t.Signal.Contains(t.SP):
		return t.Signal
	case t.System.Contains(t.SP):
		return t.System
	}
	return Bounds{}
}

// Flags of a Goroutine.
type flags uint16

const (
	flagScan   flags = 1 << iota // status has the bit _Gscan
	flagLocked                   // locked to its thread
	flagSecret
	flagTrap // PC is where the thread is, not a return address
	flagSyscall
	flagElsewhere // running, but on an unknown thread
	flagCut       // only part of the stack was read
	flagNewStack  // it is the first goroutine with this stack: Encode sets it
)

// Goroutine is what was read about one goroutine.
type Goroutine struct {
	Addr, ID, Parent uint64
	Stack            Bounds
	PC, SP, LR       uint64 // where unwinding starts
	GoPC, StartPC    uint64
	WaitSince        int64
	Data             []byte // the memory of the stack from DataAt on; empty if it was not read
	DataAt           uint64
	Bubble           uint64 // number of the synctest bubble; 0: none

	m, labels, panic, bubble uint64
	labelSet                 int32 // index in Capture.labelSets, -1: none
	firstPanic               int32
	thread                   int32 // index in Capture.Threads, -1: none
	status                   uint8
	reason                   uint8
	flags                    flags
}

// label is a pair of strings in Capture.text.
type label struct{ key, value textSpan }

type textSpan struct{ off, len uint32 }

type labelSet struct {
	addr       uint64
	list, n    uint64
	first, num int32 // in Capture.labels
}

// panicRecord is one runtime._panic.
type panicRecord struct {
	typ, value textSpan
	next       int32
	flags      uint8
}

// Capture is the result of one stop of the target. Its memory belongs to the Space.
type Capture struct {
	Goroutines []Goroutine // those alive, in order of creation
	Threads    []Thread
	Total      int  // the length of allgs
	Dead       int  // how many of them are dead
	Omitted    int  // how many were not read because of a limit
	Torn       int  // how many were implausible
	Expired    bool // there was not enough time for all
	Now        int64

	labelSets []labelSet
	labels    []label
	panics    []panicRecord
	text      []byte
	used      int // of text
}

// capturer is the state of Capture.
type capturer struct {
	*Program
	*Capture
	mem   Memory
	space Space
	lim   Limits
	reqs  []Request
	buf   []byte // batch structures
	near  gatherer
	frame context.SignalFrame
}

// Capture reads the goroutines of the target, which must be stopped, and the stacks of threads. threads must be in memory of space;
// now is the target's CLOCK_MONOTONIC in nanoseconds, 0 if it is not known. It returns false if there is no list of goroutines: the
// target runs another program by now, or its memory can't be read. The fields of the threads are set as far as possible even then.
func (p *Program) Capture(c *Capture, mem Memory, space Space, threads []Thread, now int64, lim Limits) bool {
	*c = Capture{Threads: threads, Now: now}
	if !p.Known() || len(threads) > maxThreads {
		return false
	}
	k := capturer{Program: p, Capture: c, mem: mem, space: space, lim: lim.withDefaults()}
	k.reqs = alloc[Request](space, batch)
	k.buf = alloc[byte](space, max(batch*max(p.off.gEnd, p.off.mEnd), 2*maxM))
	if k.reqs == nil || k.buf == nil || !k.near.init(space) {
		return false
	}
	w := p.word
	// One read for the variables. It also checks that this is still the same program.
	vars := k.buf[:16+(3+uint64(p.nallm))*w]
	q := k.reqs[:0]
	add := func(addr uint64, n uint64) {
		q = append(q, Request{Addr: addr, Dst: vars[:n:n]})
		vars = vars[n:]
	}
	add(p.modules[0].header, 8)
	add(p.modules[0].addr, w)
	add(p.allgs, 3*w)
	for _, at := range p.allm[:p.nallm] {
		add(at, w)
	}
	mem.ReadV(q)
	if !whole(&q[0]) || p.u32(q[0].Dst) != pclntabMagic || !whole(&q[1]) || p.ptr(q[1].Dst) != p.modules[0].header || !whole(&q[2]) {
		return false
	}
	list, n := p.ptr(q[2].Dst), p.ptr(q[2].Dst[w:])
	var heads [maxHeads]uint64
	for i := range p.nallm {
		if r := &q[3+i]; whole(r) {
			heads[i] = p.ptr(r.Dst)
		}
	}
	k.findThreads(&heads)
	if list == 0 || n > maxAllgs {
		return false
	}
	c.Total = int(n)
	if n > uint64(k.lim.Goroutines) {
		c.Omitted = int(n) - k.lim.Goroutines
		n = uint64(k.lim.Goroutines)
	}
	k.readGs(list, int(n))
	k.joinThreads()
	k.readStacks()
	k.readBubbles()
	k.readLabels()
	k.readPanics()
	return true
}

// count returns the maximum number of goroutines that the program has had at a time; 0 if that is not known or implausible.
func (p *Program) count(mem Memory, space Space) int {
	b := space.Piece(int(p.word))
	if !p.Known() || b == nil || mem.Read(p.allgs+p.word, b) != len(b) {
		return 0
	}
	n := p.ptr(b)
	if n > maxAllgs {
		return 0
	}
	return int(n)
}

// readGs reads the goroutines, a batch at a time.
func (k *capturer) readGs(list uint64, n int) {
	w := int(k.word)
	array := k.space.Piece(max(1, n*w))
	c := k.Capture
	c.Goroutines = alloc[Goroutine](k.space, max(1, n))[:0]
	if array == nil || cap(c.Goroutines) == 0 {
		c.Omitted += n
		return
	}
	got := max(0, k.mem.Read(list, array[:n*w])) / w
	c.Omitted += n - got
	for i := 0; i < got; {
		if i > 0 && k.lim.expired() {
			c.Expired = true
			c.Omitted += got - i
			return
		}
		m := min(batch, got-i)
		for j := range m {
			at := j * k.off.gEnd
			k.reqs[j] = Request{Addr: k.ptr(array[(i+j)*w:]), Dst: k.buf[at : at+k.off.gEnd]}
		}
		k.near.read(k.mem, k.reqs[:m])
		for j := range m {
			k.takeG(&k.reqs[j])
		}
		i += m
	}
}

func (k *capturer) takeG(q *Request) {
	c, p := k.Capture, k.Program
	b := q.Dst
	if !whole(q) || q.Addr == 0 || !p.plausible(b) {
		c.Torn++
		return
	}
	raw := p.u32Of(b, gStatus)
	status := raw &^ statusScan
	if status == statusIdle || status == statusDead || status == statusDeadExtra {
		c.Dead++
		return
	}
	c.Goroutines = c.Goroutines[:len(c.Goroutines)+1]
	g := &c.Goroutines[len(c.Goroutines)-1]
	*g = Goroutine{
		Addr:      q.Addr,
		ID:        p.u64Of(b, gID),
		Parent:    p.u64Of(b, gParent),
		Stack:     Bounds{p.ptr(b), p.ptr(b[p.word:])},
		GoPC:      p.ptrOf(b, gGoPC),
		StartPC:   p.ptrOf(b, gStartPC),
		WaitSince: int64(p.u64Of(b, gWaitSince)),
		m:         p.ptrOf(b, gM),
		labels:    p.ptrOf(b, gLabels),
		panic:     p.ptrOf(b, gPanic),
		bubble:    p.ptrOf(b, gBubble),
		labelSet:  -1, firstPanic: -1, thread: -1,
		status: uint8(status),
		reason: p.byteOf(b, gWaitReason),
	}
	if raw&statusScan != 0 {
		g.flags |= flagScan
	}
	if p.ptrOf(b, gLockedM) != 0 {
		g.flags |= flagLocked
	}
	if int32(p.u32Of(b, gSecret)) > 0 {
		g.flags |= flagSecret
	}
	// Choose SP and PC as the runtime's unwinder.initAt does.
	if sp := p.ptrOf(b, gSyscallSP); sp != 0 {
		g.SP, g.PC = sp, p.ptrOf(b, gSyscallPC)
		g.flags |= flagSyscall
	} else {
		g.SP, g.PC, g.LR = p.bufOf(b, bufSP), p.bufOf(b, bufPC), p.bufOf(b, bufLR)
		if status == statusRunning {
			g.flags |= flagElsewhere // until its thread is found
		}
	}
	if !p.usesLR() {
		g.LR = 0
	}
}

// joinThreads finds the goroutine that each thread runs, and where the thread is in it.
func (k *capturer) joinThreads() {
	c := k.Capture
	k.findCurrent()
	for i := range c.Threads {
		t := &c.Threads[i]
		if t.current < 0 {
			continue
		}
		g := &c.Goroutines[t.current]
		g.thread = int32(i)
		t.Goroutine = g.Stack
		if t.On == NoStack && g.Stack.Contains(t.SP) {
			t.On = GoroutineStack
		}
		t.Secret = g.flags&flagSecret != 0
		if g.status != statusRunning || g.flags&flagSyscall != 0 {
			continue
		}
		pc, sp, lr, trap := uint64(0), uint64(0), uint64(0), true
		switch {
		case t.VDSO.SP != 0 && g.Stack.Contains(t.VDSO.SP):
			pc, sp, trap = t.VDSO.PC, t.VDSO.SP, false
		case g.Stack.Contains(t.SP):
			pc, sp, lr = t.PC, t.SP, t.LR
		case t.Interrupted.Have && g.Stack.Contains(t.Interrupted.SP):
			pc, sp, lr = t.Interrupted.PC, t.Interrupted.SP, t.Interrupted.LR
		case t.System.Contains(t.SP), t.Interrupted.Have && t.System.Contains(t.Interrupted.SP):
			// systemstack and mcall saved the goroutine's registers in g.sched.
			g.flags &^= flagElsewhere
			continue
		default:
			continue
		}
		g.PC, g.SP, g.LR = k.addr(pc), sp, 0
		if k.usesLR() {
			g.LR = k.addr(lr)
		}
		g.flags &^= flagElsewhere
		if trap {
			g.flags |= flagTrap
		}
	}
}

// findCurrent finds the goroutine of each thread. It builds a hash table of the threads by current goroutine and looks each
// goroutine up once.
func (k *capturer) findCurrent() {
	size := 16
	for size < 2*len(k.Threads) {
		size *= 2
	}
	index, mask := alloc[int32](k.space, size), uint64(size-1)
	if index == nil {
		return
	}
	clear(index)
	for i := range k.Threads {
		if addr := k.Threads[i].CurG; addr != 0 {
			h := hash(addr)
			for index[h&mask] != 0 {
				h++
			}
			index[h&mask] = int32(i) + 1
		}
	}
	for i := range k.Goroutines {
		addr := k.Goroutines[i].Addr
		for h := hash(addr); index[h&mask] != 0; h++ { // several threads may claim the same goroutine
			if t := &k.Threads[index[h&mask]-1]; t.CurG == addr && t.current < 0 {
				t.current = int32(i)
			}
		}
	}
}

// hash mixes the bits of v (the finalizer of MurmurHash3).
func hash(v uint64) uint64 {
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	v *= 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}

// want returns how many bytes of g's stack are to be read.
func (k *capturer) want(g *Goroutine) uint64 {
	if g.flags&(flagSecret|flagElsewhere) != 0 || !g.Stack.Contains(g.SP) {
		return 0
	}
	return g.Stack.Hi - g.SP&^(k.word-1)
}

// readStacks reads the stacks from SP up. If they exceed the limit on all stacks, the largest are cut.
func (k *capturer) readStacks() {
	c := k.Capture
	limit, left := k.stackLimit(), k.lim.Stacks
	for i := 0; i < len(c.Goroutines); {
		if i > 0 && k.lim.expired() {
			c.Expired = true
			break
		}
		first, n := i, 0
		for ; i < len(c.Goroutines) && n < batch; i++ {
			if g := &c.Goroutines[i]; k.takeStack(g, limit, &left) {
				k.reqs[n] = Request{Addr: g.DataAt, Dst: g.Data}
				n++
			}
		}
		k.near.read(k.mem, k.reqs[:n])
		q := k.reqs[:n]
		for j := first; j < i && len(q) > 0; j++ {
			g := &c.Goroutines[j]
			if len(g.Data) == 0 {
				continue
			}
			if !whole(&q[0]) {
				g.Data = g.Data[:max(0, q[0].Got)]
				g.flags |= flagCut
			}
			q = q[1:]
		}
	}
}

// stackLimit returns how much of one stack can be read so that all stacks together stay within their limit: the limit on one
// stack, or the greatest power of two to which each larger stack is cut.
func (k *capturer) stackLimit() uint64 {
	limit, total := k.lim.Stack, uint64(0)
	var buckets [64]struct{ n, size uint64 } // by the number of bits of the wanted size
	for i := range k.Goroutines {
		n := min(k.want(&k.Goroutines[i]), limit)
		b := 0
		for n>>b > 1 {
			b++
		}
		buckets[b].n++
		buckets[b].size += n
		total += n
	}
	if total <= k.lim.Stacks {
		return limit
	}
	for limit = 1 << 6; ; limit *= 2 {
		sum := uint64(0)
		for b := range buckets {
			if 1<<b < limit*2 {
				sum += buckets[b].size
			} else {
				sum += buckets[b].n * limit * 2
			}
		}
		if sum > k.lim.Stacks || limit*2 > k.lim.Stack {
			return limit
		}
	}
}

// takeStack allocates space for the stack of g. At most left bytes may be read. It returns false if none must be read.
func (k *capturer) takeStack(g *Goroutine, limit uint64, left *uint64) bool {
	all := k.want(g)
	size := min(all, limit, *left)
	if size < all {
		g.flags |= flagCut
	}
	if size == 0 {
		return false
	}
	b := k.space.Piece(int(size))
	if b == nil {
		*left = 0
		g.flags |= flagCut
		return false
	}
	*left -= size
	g.Data, g.DataAt = b[:size], g.SP&^(k.word-1)
	return true
}

// readBubbles reads the numbers of synctest bubbles. There are few.
func (k *capturer) readBubbles() {
	if !k.off.has(bubbleID) {
		return
	}
	var known [maxBubbles]struct{ addr, id uint64 }
	n := 0
	for i := range k.Goroutines {
		g := &k.Goroutines[i]
		if g.bubble == 0 {
			continue
		}
		j := 0
		for j < n && known[j].addr != g.bubble {
			j++
		}
		if j == n {
			if n == maxBubbles {
				continue
			}
			known[n].addr = g.bubble
			if b := k.buf[:8]; k.mem.Read(g.bubble+uint64(k.off.of[bubbleID]), b) == 8 {
				known[n].id = k.u64(b)
			}
			n++
		}
		g.Bubble = known[j].id
	}
}
