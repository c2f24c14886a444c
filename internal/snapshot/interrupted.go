package snapshot

import (
	"minidump/context"

	"minidump/internal/arena"
)

// A signal handler may run on its own stack (sigaltstack(2)). The code that crashed is then on the stack that the
// signal interrupted. Only the frame that the kernel pushed for the handler refers to that stack.

// Limits on the search for signal frames. The work for a thread is proportional to its window. A crash handler is more
// often deep inside other code than any other handler.
const (
	window      = 32 << 10  // bytes searched from SP on
	leastWindow = 2 << 10   // the same if there are very many threads
	allWindows  = 32 << 20  // the same for all threads together: each gets an equal share
	crashWindow = 256 << 10 // the same for the blamed thread
	maxFrames   = 64        // frames per thread
	windowBatch = 128       // windows in memory at a time
)

// maxOther is how many stacks of a thread are included in addition to the one that contains SP.
const maxOther = 2

// OtherStack is an additional stack of a thread: one that a signal interrupted, that of the handler, or one
// allocated by the Go runtime.
type OtherStack struct {
	SP     uint64 // 0: none
	Lo, Hi uint64 // the part in the dump; both 0: none
}

// interrupted is what the search for signal frames found out about the blamed thread.
type interrupted struct {
	frame context.SignalFrame
	trial context.Crash // of the current frame
	found context.Crash // of the oldest frame that shows what the thread crashed of; without registers: no frame does
	// handler is the SP where the blamed thread really is, on a stack of the Go runtime, if the crash has the registers
	// at the fault; 0: the thread is on no other stack.
	handler uint64
	stack   int // where the interrupted code ran: 0 is the stack that contains SP, other numbers are the other stacks, counted from 1
}

// AddStack records that a thread has an additional stack, which is in use from sp to its end. It does nothing if
// that stack is already recorded, or if there is no room for more.
func (t *Thread) AddStack(sp uint64) {
	for i := range t.Other {
		switch o := &t.Other[i]; o.SP {
		case sp:
			return
		case 0:
			o.SP = sp
			return
		}
	}
}

// followSignals finds the stacks that signals interrupted, for all threads. The crash of the blamed thread becomes the
// exception. It reads a window of each stack, with one vectored read for many threads.
func (s *Snapshot) followSignals(mem Memory) {
	s.interrupted.found.HasContext = false
	ths := s.Threads.All()
	for i := 0; i < len(ths); {
		used, first := s.Bytes.Used, i
		s.stacks.Clear()
		for ; i < len(ths) && s.stacks.N < windowBatch; i++ {
			t := &ths[i]
			t.window = arena.Span{}
			if lo, size := s.windowAt(t, t.SP); t.HasSP && size > 0 {
				if r := s.stacks.Add(); r != nil {
					*r = MemoryRange{Start: lo, Size: uint64(size), Left: uint64(i)}
					t.windowLo = lo
				}
			}
		}
		s.Order.Sort(s.stacks.All()) // reads in ascending order need fewer looks at the page table
		s.Batch.Clear()
		for _, r := range s.stacks.All() {
			s.Batch.wantStack(s, r.Start, int(r.Size), &ths[r.Left].window)
		}
		s.readStacks(mem, false)
		for k := first; k < i; k++ {
			if t := &ths[k]; t.window.Len > 0 {
				s.followThread(mem, t, t.windowLo, s.Bytes.Get(t.window))
			}
		}
		s.keepWindows(used)
	}
	s.Batch.Clear()
	if s.interrupted.found.HasContext {
		s.adoptInterrupted(mem)
	}
}

// keepWindows keeps the windows of s.Batch that contain a whole stack, at used in the arena, and drops the others: a stack need
// not be read twice (adoptWindows).
func (s *Snapshot) keepWindows(used uintptr) {
	ths := s.Threads.All()
	s.Bytes.Used = used
	k := 0
	for i := range s.Batch.All() {
		q := s.Batch.At(i)
		for &ths[s.stacks.At(k).Left].window != q.out { // there was no space for that window
			k++
		}
		t := &ths[s.stacks.At(k).Left]
		if _, hi, ok := s.stackOf(t, t.SP); !ok || q.holes || q.Got != len(q.Dst) || t.windowLo+uint64(q.Got) != hi {
			t.window = arena.Span{}
			continue
		}
		t.unused = q.unused
		span, b := s.Bytes.Alloc(q.Got) // at the window itself, or before it
		copy(b, q.Dst)
		t.window = span
	}
}

// adoptWindows makes the windows that contain a whole stack its memory in the dump.
func (s *Snapshot) adoptWindows() {
	ths := s.Threads.All()
	for i := range ths {
		t := &ths[i]
		if t.window.Len == 0 {
			continue
		}
		k := s.RangeOf(t.windowLo)
		if k < 0 {
			continue
		}
		if r := s.Memory.At(k); r.isStack() && r.Start == t.windowLo && r.Size == uint64(t.window.Len) {
			r.Data = t.window
			s.addGap(r.Start, r.Start+t.unused, false)
		}
	}
}

// windowAt returns the part of the stack containing sp that is searched for signal frames.
func (s *Snapshot) windowAt(t *Thread, sp uint64) (lo uint64, size int) {
	lo, hi, ok := s.stackOf(t, sp)
	if !ok {
		return 0, 0
	}
	most := min(window, max(leastWindow, uint64(allWindows/s.Threads.N)))
	if t.TID == s.Proc.Blamed {
		most = crashWindow
	}
	return lo, int(min(hi-lo, most))
}

// followThread follows the signal frames of t from handler to interrupted code. b is the window of the stack that contains SP, at addr.
func (s *Snapshot) followThread(mem Memory, t *Thread, addr uint64, b []byte) {
	f, sp := &s.interrupted.frame, t.SP
	stack := 0
	for range maxFrames {
		if !context.FindSignalFrame(s.Target.Arch, s.Target.Order, b, addr, sp, f) {
			return
		}
		if f.OnAltStack && (sp < f.StackAddr || sp-f.StackAddr >= f.StackSize) {
			return // the window extends into the stack of another thread
		}
		on := stack
		if !f.Same() {
			on++
		}
		if t.TID == s.Proc.Blamed {
			s.consider(t, b, addr, on)
		}
		if sp = f.SP; f.Same() {
			if sp <= f.Ucontext {
				return
			}
			continue
		}
		lo, size := s.windowAt(t, sp)
		if size == 0 || stack == maxOther {
			return
		}
		t.Other[stack].SP = sp
		stack++
		_, b = s.Bytes.Alloc(size)
		b, addr = b[:readStack(mem, lo, b)], lo
	}
}

// consider records the frame's crash if the frame shows what the blamed thread crashed of.
func (s *Snapshot) consider(t *Thread, b []byte, addr uint64, on int) {
	f, c := &s.interrupted.frame, &s.interrupted.trial
	if s.Want.Crash != nil || f.Same() && !s.trusted(t, f) || !c.ReadFrame(f, b, addr, s.Proc.PID, t.TID) {
		return
	}
	if f.Siginfo == 0 && (!reaches(c) || !c.FromTrap()) {
		return
	}
	if isCrash(c) {
		s.interrupted.found, s.interrupted.stack = *c, on
	}
}

// trusted reports whether a frame on the stack on which the interrupted code ran can be that of a handler that is still
// running. Such a frame stays in memory after its handler has returned. In a process that was not killed, the thread
// must therefore block the signal, as the kernel arranges for a handler. A process that was killed by a signal that it
// sent to itself did so in a handler; any other signal is itself the cause of death.
func (s *Snapshot) trusted(t *Thread, f *context.SignalFrame) bool {
	if c := s.Crash.cause; c != nil {
		return c.Code == context.SI_TKILL || c.Code <= context.SI_USER && c.SenderPID != 0 && c.SenderPID == c.PID
	}
	return f.Signo > 0 && f.Signo <= 64 && t.Blocked>>(f.Signo-1)&1 != 0
}

// isCrash reports whether a signal is one that a program dies of: a fault, or abort(3).
func isCrash(c *context.Crash) bool {
	switch context.SignalNameArch(c.Arch, c.Signo) {
	case "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS":
		return c.Code > context.SI_USER
	case "SIGABRT":
		return c.Code == context.SI_TKILL
	}
	return false
}

// The maximum distance in bytes between an address and the value of a register, or of a base plus a scaled index,
// at which the address counts as derived from that value. Few displacements are larger.
const (
	nearRegister = 64 << 10
	nearIndexed  = 4 << 10
)

// reaches reports whether the registers of c make it plausible that the instruction at PC accesses c.TrapAddress, which
// otherwise is from an older fault. It replaces decoding the instruction, which would allocate.
func reaches(c *context.Crash) bool {
	var regs [64]uint64
	n := context.IntegerRegisters(c.Arch, c.Record(), c.Order(), regs[:])
	mask := ^uint64(0)
	if c.Arch.WordSize() == 4 {
		mask = 1<<32 - 1
	}
	near := func(v, most uint64) bool {
		d := (c.TrapAddress - v) & mask
		return min(d, -d&mask) <= most
	}
	for i, base := range regs[:n] {
		if near(base, nearRegister) {
			return true
		}
		for k, index := range regs[:n] {
			for shift := 0; shift < 4 && k != i; shift++ {
				if near(base+index<<shift, nearIndexed) {
					return true
				}
			}
		}
	}
	return c.TrapAddress < nearRegister // an absolute address
}

// adoptInterrupted makes the crash found in a signal frame the exception. The stack that contained SP becomes an
// additional stack of the thread.
func (s *Snapshot) adoptInterrupted(mem Memory) {
	t := s.blamedThread()
	c := &s.interrupted.found
	if t == nil {
		return
	}
	if s.Allocates && !c.HasAddress {
		var code [16]byte
		if n := mem.Read(c.PC, code[:]); n > 0 {
			c.Refine(code[:n])
		}
	}
	e := &s.Crash
	if e.cause != nil && e.cause.Signo != c.Signo {
		e.DiedOf = e.cause.Signo
	}
	e.set(c)
	handler := t.SP
	if on := s.interrupted.stack; on > 0 && on <= maxOther && t.Other[on-1].SP == c.SP {
		t.Other[on-1].SP = handler
	} else {
		t.AddStack(handler)
	}
	s.useRegisters(t, c)
}
