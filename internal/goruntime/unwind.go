package goruntime

import "minidump/stream"

// maxDepth is the maximum number of frames of one stack.
const maxDepth = 4096

// Captured holds memory of the target as it was during the stop: the stacks of its threads.
type Captured interface {
	// From returns what was captured from addr on, up to the next gap, or nil if nothing was.
	From(addr uint64) []byte
}

// stackMemory is the memory of one stack.
type stackMemory struct {
	*target
	at       uint64
	data     []byte
	captured Captured
}

func (m *stackMemory) ptrAt(addr uint64) (uint64, bool) {
	w := m.word
	if off := addr - m.at; addr >= m.at && off < uint64(len(m.data)) && uint64(len(m.data))-off >= w {
		return m.ptr(m.data[off:]), true
	}
	if m.captured != nil {
		if b := m.captured.From(addr); uint64(len(b)) >= w {
			return m.ptr(b), true
		}
	}
	return 0, false
}

// walker is a walk up one stack.
type walker struct {
	*symbols
	mem  stackMemory
	list []uint32 // the frames' indexes, innermost first
	user bool     // some frame is not of package runtime

	// The position of the walk.
	pc, sp, lr uint64
	trap       bool   // pc is where the code is, not a return address
	flags      uint32 // of a stream.GoStack, about the frames so far
}

// walk follows the frames from pc and sp, as runtime.unwinder does with unwindPrintErrors. trap means that pc is where the
// code is rather than a return address, syscall that entersyscall saved pc and sp. It returns flags of a stream.GoStack.
func (w *walker) walk(pc, sp, lr uint64, trap, syscall bool) uint32 {
	w.list, w.user = w.list[:0], false
	w.pc, w.sp, w.lr, w.trap, w.flags = pc, sp, lr, trap, 0
	if !w.usesLR() {
		w.lr = 0
	}
	if pc == 0 { // a call of a nil function: begin with its caller
		var ok bool
		if w.pc, ok = w.mem.ptrAt(sp); !ok {
			return stream.GoStackCut
		}
		w.lr, w.trap = 0, false
		if !w.usesLR() {
			w.sp += w.word
		}
	}
	// Even in hostile memory each step, or the next one, moves up.
	for innermost := true; len(w.list) < maxDepth; innermost = false {
		if end, flags := w.step(innermost, syscall); end {
			return flags
		}
	}
	return stream.GoStackCut
}

// step adds the frames at pc and moves to their caller. If the walk ends there, it returns the flags of the stack.
func (w *walker) step(innermost, syscall bool) (end bool, flags uint32) {
	how := uint8(atCall)
	if w.trap {
		how = atTrap
	}
	e := w.lookup(w.pc, how)
	for i := range uint32(e.n) {
		if len(w.list) == cap(w.list) {
			return true, stream.GoStackCut
		}
		w.list = append(w.list, e.first+i)
	}
	if e.a&entryValid == 0 {
		if !innermost || !w.trap || !w.leaveBadCall() {
			return true, stream.GoStackUnsure
		}
		return false, 0
	}
	w.user = w.user || e.a&entryUser != 0
	switch {
	case e.a&entryNoFrame != 0:
		return true, stream.GoStackUnsure
	case e.a&entryTop != 0:
		return true, w.flags | stream.GoStackComplete
	case e.a&entrySPWrite != 0 && !(innermost && syscall):
		return true, stream.GoStackUnsure
	case e.delta < 0:
		return true, stream.GoStackUnsure
	}
	return w.leave(uint64(e.delta), innermost, e.a&entryInjected != 0)
}

// leaveBadCall continues after a call of a bad function pointer: it reads the caller's PC from where a call stores it. It
// returns false if that PC is not code.
func (w *walker) leaveBadCall() bool {
	from, sp := w.lr, w.sp
	if !w.usesLR() {
		from, _ = w.mem.ptrAt(sp)
		sp += w.word
	}
	if w.p.moduleOf(from) == nil {
		return false
	}
	w.pc, w.sp, w.lr, w.trap, w.flags = from, sp, 0, false, stream.GoStackUnsure
	return true
}

// leave moves to the caller of a frame of delta bytes.
func (w *walker) leave(delta uint64, innermost, injected bool) (end bool, flags uint32) {
	usesLR := w.usesLR()
	fp, lr, ok := w.sp+delta, w.lr, true
	if !usesLR {
		fp += w.word
	}
	switch {
	case !usesLR:
		lr, ok = w.mem.ptrAt(fp - w.word)
	case innermost && w.sp < fp || lr == 0:
		lr, ok = w.mem.ptrAt(w.sp)
	}
	if !ok {
		return true, stream.GoStackCut
	}
	if lr == 0 || w.pc == lr && w.sp == fp || w.p.moduleOf(lr) == nil {
		return true, stream.GoStackUnsure
	}
	w.pc, w.lr, w.sp, w.trap = lr, 0, fp, injected
	if usesLR && injected && !w.leaveInjected() {
		return true, stream.GoStackCut
	}
	return false, 0
}

// leaveInjected moves to the code interrupted by a signal, on architectures with a link register: the handler saved that
// register on the stack before it injected the call.
func (w *walker) leaveInjected() bool {
	x, ok := w.mem.ptrAt(w.sp)
	if !ok {
		return false
	}
	align := w.stackAlign()
	w.sp += (w.minFrameSize() + align - 1) &^ (align - 1)
	if e := w.lookup(w.pc, atTrap); e.a&entryValid == 0 {
		w.pc = x
	} else if e.delta == 0 {
		w.lr = x
	}
	return true
}
