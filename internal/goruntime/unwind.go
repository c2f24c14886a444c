package goruntime

import "minidump/stream"

// maxDepth bounds the frames of one stack.
const maxDepth = 4096

// Captured has memory of the target as it was in the stop: the stacks of its threads.
type Captured interface {
	// From returns what was captured from addr on, up to the next gap; nil if nothing was.
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
}

// walk follows the frames from pc and sp, as runtime.unwinder does with unwindPrintErrors. trap says that pc is where the
// code is rather than a return address, syscall that entersyscall has saved both. It returns flags of a stream.GoStack.
func (w *walker) walk(pc, sp, lr uint64, trap, syscall bool) uint32 {
	w.list, w.user = w.list[:0], false
	usesLR := w.usesLR()
	word := w.word
	if !usesLR {
		lr = 0
	}
	var ok bool
	if pc == 0 { // a call of a nil function: begin with the caller
		if pc, ok = w.mem.ptrAt(sp); !ok {
			return stream.GoStackCut
		}
		lr = 0
		if !usesLR {
			sp += word
		}
		trap = false
	}
	flags := uint32(0)
	// Of hostile memory each step goes up, or does so at the next.
	for innermost := true; len(w.list) < maxDepth; innermost = false {
		how := uint8(atCall)
		if trap {
			how = atTrap
		}
		e := w.lookup(pc, how)
		for i := range uint32(e.n) {
			if len(w.list) == cap(w.list) {
				return stream.GoStackCut
			}
			w.list = append(w.list, e.first+i)
		}
		if e.a&entryValid == 0 {
			// A call of a bad function pointer: the caller's PC is where a call leaves it.
			if !innermost || !trap {
				return stream.GoStackUnsure
			}
			from := lr
			if !usesLR {
				from, _ = w.mem.ptrAt(sp)
				sp += word
			}
			if w.p.moduleOf(from) == nil {
				return stream.GoStackUnsure
			}
			pc, lr, trap, flags = from, 0, false, stream.GoStackUnsure
			continue
		}
		w.user = w.user || e.a&entryUser != 0
		switch {
		case e.a&entryNoFrame != 0:
			return stream.GoStackUnsure
		case e.a&entryTop != 0:
			return flags | stream.GoStackComplete
		case e.a&entrySPWrite != 0 && !(innermost && syscall):
			return stream.GoStackUnsure
		case e.delta < 0:
			return stream.GoStackUnsure
		}
		injected := e.a&entryInjected != 0
		fp := sp + uint64(e.delta)
		if !usesLR {
			fp += word
		}
		switch {
		case !usesLR:
			lr, ok = w.mem.ptrAt(fp - word)
		case innermost && sp < fp || lr == 0:
			lr, ok = w.mem.ptrAt(sp)
		default:
			ok = true
		}
		if !ok {
			return stream.GoStackCut
		}
		if lr == 0 || pc == lr && sp == fp {
			return stream.GoStackUnsure
		}
		if w.p.moduleOf(lr) == nil {
			return stream.GoStackUnsure
		}
		pc, lr, sp, trap = lr, 0, fp, injected
		// Where there is a link register, the signal handler has saved it on the stack before it injected the call.
		if usesLR && injected {
			x, ok := w.mem.ptrAt(sp)
			if !ok {
				return stream.GoStackCut
			}
			align := w.stackAlign()
			sp += (w.minFrameSize() + align - 1) &^ (align - 1)
			if e := w.lookup(pc, atTrap); e.a&entryValid == 0 {
				pc = x
			} else if e.delta == 0 {
				lr = x
			}
		}
	}
	return stream.GoStackCut
}
