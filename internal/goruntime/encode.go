package goruntime

import (
	"encoding/binary"

	"minidump/stream"
)

// Limits on the tables that Encode makes.
const (
	maxStackFrames = 1 << 20 // of all distinct stacks
	maxStacks      = 1 << 16
)

// encoder is the state of Encode.
type encoder struct {
	walker
	c *Capture

	stacks     []stream.GoStack
	stackHash  []uint64
	stackIndex []uint32 // hash table: index+1
	flat       []uint32 // the frames of all stacks
	o          binary.ByteOrder
}

// Encode builds the stream stream.GoroutineListStream from what Capture read. mem may be that of the running process: Encode
// reads only the tables of functions and types, which the program does not change. captured may be nil; it has the stacks of
// the threads, for threads on a system or signal stack. The result is in space. It is nil if there is no space.
func (p *Program) Encode(c *Capture, mem Memory, space Space, captured Captured) []byte {
	words := 0
	for i := range c.Goroutines {
		words += len(c.Goroutines[i].Data) / int(p.word)
	}
	e := encoder{c: c, o: binary.LittleEndian}
	if p.big {
		e.o = binary.BigEndian
	}
	e.symbols = symbolsIn(space)
	if e.symbols == nil || !e.init(p, mem, space, words/8+8*len(c.Threads)) {
		return nil
	}
	if !e.initStacks(space) {
		return nil
	}
	e.mem = stackMemory{target: &p.target, captured: captured}
	records := alloc[stream.GoroutineRecord](space, len(c.Goroutines))
	threads := alloc[stream.GoThread](space, len(c.Threads))
	if records == nil && len(c.Goroutines) > 0 || threads == nil && len(c.Threads) > 0 {
		return nil
	}
	for i := range c.Goroutines {
		e.goroutine(&c.Goroutines[i], &records[i])
	}
	return e.write(space, records, e.threads(threads))
}

// initStacks allocates the tables of stacks.
func (e *encoder) initStacks(space Space) bool {
	most := min(maxStacks, len(e.c.Goroutines)+len(e.c.Threads)+1)
	size := 16
	for size < 2*most {
		size *= 2
	}
	e.list = alloc[uint32](space, maxDepth)
	e.stacks = alloc[stream.GoStack](space, most)
	e.stackHash = alloc[uint64](space, most)
	e.stackIndex = alloc[uint32](space, size)
	e.flat = alloc[uint32](space, maxStackFrames)
	if e.list == nil || e.stacks == nil || e.stackHash == nil || e.stackIndex == nil || e.flat == nil {
		return false
	}
	clear(e.stackIndex)
	e.list, e.stacks, e.stackHash, e.flat = e.list[:0], e.stacks[:0], e.stackHash[:0], e.flat[:0]
	return true
}

// threads fills list with the records of the threads that have an M and returns them. The goroutines must have been processed.
func (e *encoder) threads(list []stream.GoThread) []stream.GoThread {
	c, m := e.c, 0
	for i := range c.Threads {
		if c.Threads[i].M != 0 {
			e.thread(&c.Threads[i], &list[m])
			m++
		}
	}
	list = list[:m]
	for i := range c.Goroutines {
		if t := c.Goroutines[i].thread; t >= 0 {
			c.Threads[t].goroutine = int32(i)
		}
	}
	m = 0
	for i := range c.Threads {
		if t := &c.Threads[i]; t.M != 0 {
			if t.CurG != 0 && t.goroutine >= 0 {
				list[m].Goroutine = uint32(t.goroutine)
			}
			m++
		}
	}
	return list
}

// symbolsIn allocates a symbols from space, because it is large.
func symbolsIn(space Space) *symbols {
	s := alloc[symbols](space, 1)
	if s == nil {
		return nil
	}
	s[0] = symbols{}
	return &s[0]
}

func (e *encoder) goroutine(g *Goroutine, r *stream.GoroutineRecord) {
	*r = stream.GoroutineRecord{
		ID: g.ID, ParentID: g.Parent, Address: g.Addr, StackLo: g.Stack.Lo, StackSize: uint32(min(g.Stack.Hi-g.Stack.Lo, 1<<32-1)),
		Bubble: g.Bubble, Status: uint16(g.status),
		Stack: stream.GoNone, Creator: stream.GoNone, Start: stream.GoNone, LabelSet: stream.GoNone, Panic: stream.GoNone,
	}
	if g.Stack.Contains(g.SP) && g.flags&flagElsewhere == 0 {
		r.StackDepth = uint32(min(g.Stack.Hi-g.SP, 1<<32-1))
	}
	for _, f := range [...]struct {
		from flags
		to   uint16
	}{{flagScan, stream.GoScan}, {flagLocked, stream.GoLocked}, {flagSecret, stream.GoSecret}, {flagElsewhere, stream.GoUnavailable}, {flagTrap, stream.GoTrap}} {
		if g.flags&f.from != 0 {
			r.Flags |= f.to
		}
	}
	if g.WaitSince > 0 {
		r.WaitSince = uint64(g.WaitSince)
	}
	if g.status == statusWaiting || g.status == statusLeaked {
		r.WaitReason = e.put(e.p.reason(g.reason))
	}
	if g.thread >= 0 {
		r.ThreadID = uint32(e.c.Threads[g.thread].TID)
	}
	if g.labelSet >= 0 && e.c.labelSets[g.labelSet].num > 0 {
		r.LabelSet = uint32(g.labelSet)
	}
	if g.firstPanic >= 0 {
		r.Panic = uint32(g.firstPanic)
	}
	e.user = false
	if g.flags&(flagSecret|flagElsewhere) == 0 {
		e.mem.at, e.mem.data = g.DataAt, g.Data
		cut := e.walk(g.PC, g.SP, g.LR, g.flags&flagTrap != 0, g.flags&flagSyscall != 0)
		known := len(e.stacks)
		if r.Stack = e.putStack(cut); len(e.stacks) > known {
			g.flags |= flagNewStack
		}
	}
	user := e.user
	if g.GoPC != 0 {
		if k := e.lookup(g.GoPC, atCreator); k.n > 0 {
			r.Creator = k.first
		}
	}
	if g.StartPC != 0 {
		k := e.lookup(g.StartPC, atStart)
		if k.n > 0 {
			r.Start = k.first
		}
		if k.a&entrySystem != 0 && !(k.a&entryCallback != 0 && user) {
			r.Flags |= stream.GoSystem
		}
	}
}

func (e *encoder) thread(t *Thread, r *stream.GoThread) {
	*r = stream.GoThread{ThreadID: uint32(t.TID), On: uint32(t.On), Goroutine: stream.GoNone, Stack: stream.GoNone, M: t.M,
		SystemLo: t.System.Lo, SystemHi: t.System.Hi, SignalLo: t.Signal.Lo, SignalHi: t.Signal.Hi}
	t.goroutine = -1
	if (t.On == SystemStack || t.On == SignalStack) && !t.Secret && e.mem.captured != nil {
		e.mem.at, e.mem.data = 0, nil
		cut := e.walk(t.PC, t.SP, t.LR, true, false)
		r.Stack = e.putStack(cut)
	}
}

// putStack returns the index of the stack that the walk found, which may already be in the table.
func (e *encoder) putStack(flags uint32) uint32 {
	if len(e.list) == 0 {
		return stream.GoNone
	}
	h := hash(uint64(flags) + 1)
	for _, f := range e.list {
		h = hash(h ^ uint64(f))
	}
	mask := uint64(len(e.stackIndex) - 1)
	at := h
	for ; ; at++ {
		i := e.stackIndex[at&mask]
		if i == 0 {
			break
		}
		s := &e.stacks[i-1]
		if e.stackHash[i-1] == h && s.Flags == flags && equal(e.flat[s.First:s.First+s.Count], e.list) {
			return i - 1
		}
	}
	if len(e.stacks) == cap(e.stacks) || cap(e.flat)-len(e.flat) < len(e.list) {
		e.full = true
		return stream.GoNone
	}
	e.stacks = append(e.stacks, stream.GoStack{First: uint32(len(e.flat)), Count: uint32(len(e.list)), Flags: flags})
	e.stackHash = append(e.stackHash, h)
	e.flat = append(e.flat, e.list...)
	e.stackIndex[at&mask] = uint32(len(e.stacks))
	return uint32(len(e.stacks) - 1)
}

func equal(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// write lays the tables out one after another.
func (e *encoder) write(space Space, records []stream.GoroutineRecord, threads []stream.GoThread) []byte {
	c, p := e.c, e.p
	h := stream.GoroutineListHeader{
		SizeOfHeader: stream.GoroutineListHeaderSize, SizeOfGoroutine: stream.GoroutineRecordSize, SizeOfStack: stream.GoStackSize,
		SizeOfFrame: stream.GoFrameSize, SizeOfPanic: stream.GoPanicSize, SizeOfThread: stream.GoThreadSize,
		GoVersion: e.put(p.Version()), BuildInfo: e.buildInfo(),
		Dead: uint32(c.Dead), Omitted: uint32(c.Omitted), Torn: uint32(c.Torn), Total: uint64(c.Total), Nanotime: uint64(max(0, c.Now)),
	}
	panics, labels := e.panics(space), e.labels(space)
	if panics == nil || labels == nil {
		return nil
	}
	panics, labels = panics[:len(c.panics)], labels[:len(c.labels)]
	if c.Expired {
		h.Flags |= stream.GoListExpired
	}
	if e.full {
		h.Flags |= stream.GoListFull
	}
	at := uint64(stream.GoroutineListHeaderSize)
	place := func(t *stream.GoTable, n, size int) {
		*t = stream.GoTable{Offset: uint32(at), Count: uint32(n)}
		at += uint64(n) * uint64(size)
	}
	place(&h.Goroutines, len(records), stream.GoroutineRecordSize)
	place(&h.Stacks, len(e.stacks), stream.GoStackSize)
	place(&h.StackFrames, len(e.flat), 4)
	place(&h.Frames, len(e.frames), stream.GoFrameSize)
	place(&h.LabelSets, len(c.labelSets), stream.GoTableSize)
	place(&h.Labels, len(labels), stream.GoLabelSize)
	place(&h.Panics, len(panics), stream.GoPanicSize)
	place(&h.Threads, len(threads), stream.GoThreadSize)
	place(&h.Strings, len(e.blob), 1)
	if at > maxAlloc {
		return nil
	}
	out := space.Piece(int(at))
	if out == nil {
		return nil
	}
	h.Put(out, e.o)
	e.putTables(out[stream.GoroutineListHeaderSize:], records, labels, panics, threads)
	return out
}

// panics makes the records of panics; nil if there is no space. The result may be longer than the number of panics.
func (e *encoder) panics(space Space) []stream.GoPanic {
	c := e.c
	list := alloc[stream.GoPanic](space, max(1, len(c.panics)))
	if list == nil {
		return nil
	}
	for i := range c.panics {
		r := &c.panics[i]
		list[i] = stream.GoPanic{Type: e.put(c.textOf(r.typ)), Value: e.put(c.textOf(r.value)), Link: uint32(r.next), Flags: uint32(r.flags)}
	}
	return list
}

// labels makes the records of labels; nil if there is no space. The result may be longer than the number of labels.
func (e *encoder) labels(space Space) []stream.GoLabel {
	c := e.c
	list := alloc[stream.GoLabel](space, max(1, len(c.labels)))
	if list == nil {
		return nil
	}
	for i := range c.labels {
		l := &c.labels[i]
		list[i] = stream.GoLabel{}
		if l.key.len|l.value.len != 0 {
			list[i] = stream.GoLabel{Key: e.put(c.textOf(l.key)), Value: e.put(c.textOf(l.value))}
		}
	}
	return list
}

// putTables puts the tables into b, in the order that write assigned.
func (e *encoder) putTables(b []byte, records []stream.GoroutineRecord, labels []stream.GoLabel, panics []stream.GoPanic, threads []stream.GoThread) {
	o := e.o
	for i := range records {
		records[i].Put(b, o)
		b = b[stream.GoroutineRecordSize:]
	}
	for i := range e.stacks {
		e.stacks[i].Put(b, o)
		b = b[stream.GoStackSize:]
	}
	for _, f := range e.flat {
		o.PutUint32(b, f)
		b = b[4:]
	}
	for i := range e.frames {
		e.frames[i].Put(b, o)
		b = b[stream.GoFrameSize:]
	}
	for i := range e.c.labelSets {
		s := &e.c.labelSets[i]
		t := stream.GoTable{Offset: uint32(max(0, s.first)), Count: uint32(s.num)}
		t.Put(b, o)
		b = b[stream.GoTableSize:]
	}
	for i := range labels {
		labels[i].Put(b, o)
		b = b[stream.GoLabelSize:]
	}
	for i := range panics {
		panics[i].Put(b, o)
		b = b[stream.GoPanicSize:]
	}
	for i := range threads {
		threads[i].Put(b, o)
		b = b[stream.GoThreadSize:]
	}
	copy(b, e.blob)
}

// buildInfo copies the text that lists the modules.
func (e *encoder) buildInfo() uint32 {
	p := e.p
	at, b := e.reserve(p.modinfoLen)
	if len(b) > 0 && !e.read(p.modinfo, b) {
		clear(b)
	}
	return at
}
