package snapshot

import (
	"minidump/context"

	"minidump/internal/arena"
)

// A signal handler may run on a stack of its own (sigaltstack(2)). What a person wants to see then, the code that
// crashed, is on the stack that the signal interrupted. Only the frame that the kernel pushed for the handler refers to
// it.

// Bounds on the search for signal frames. The work for a thread is proportional to its window; a crash handler is deep
// inside other code more often than any other handler.
const (
	window      = 32 << 10  // bytes from SP on that are searched
	leastWindow = 2 << 10   // the same where there are very many threads
	allWindows  = 32 << 20  // the same of all threads: each gets an equal share
	crashWindow = 256 << 10 // the same for the blamed thread
	maxFrames   = 64        // frames of one thread
	windowBatch = 128       // windows in memory at a time
)

// maxOther is how many stacks of a thread go in besides the one that SP is on.
const maxOther = 2

// OtherStack is a further stack of a thread: one that a signal interrupted, that of the handler, or one that the Go
// runtime has.
type OtherStack struct {
	SP     uint64 // 0: none
	Lo, Hi uint64 // what goes in; both 0: nothing
}

// interrupted is what the search for signal frames has found out about the blamed thread.
type interrupted struct {
	frame context.SignalFrame
	trial context.Crash // of the frame that is looked at
	found context.Crash // of the oldest that says what the thread crashed of; without registers: none does
	// handler is where the blamed thread really is, on a stack of the Go runtime, when the crash has its registers at the
	// fault; 0: that is on no other stack.
	handler uint64
	stack   int // where the interrupted code ran: 0 on the stack that SP is on, else on that other stack, counted from 1
}

// AddStack records that a thread has a further stack, which is in use from sp to its end. It does nothing if that is
// recorded already, or there is no room for more.
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
// exception. It reads a window of each stack, by one vectored read for many threads.
func (s *Snapshot) followSignals(mem Memory) {
	s.interrupted.found.HasContext = false
	ths := s.Threads.All()
	for i := 0; i < len(ths); {
		used, first := s.Bytes.Used, i
		s.Batch.Clear()
		for ; i < len(ths) && s.Batch.N < windowBatch; i++ {
			t := &ths[i]
			t.window = arena.Span{}
			if lo, size := s.windowAt(t, t.SP); t.HasSP && size > 0 {
				s.Batch.Want(s, lo, size, &t.window)
			}
		}
		s.Batch.Read(mem)
		for k := first; k < i; k++ {
			if t := &ths[k]; t.window.Len > 0 {
				lo, _ := s.windowAt(t, t.SP)
				s.followThread(mem, t, lo, s.Bytes.Get(t.window))
			}
		}
		s.Bytes.Used = used
	}
	s.Batch.Clear()
	if s.interrupted.found.HasContext {
		s.adoptInterrupted(mem)
	}
}

// windowAt returns which part of the stack that sp is on is searched for signal frames.
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

// followThread follows the signal frames of t from handler to interrupted code. b is the window of the stack that SP is
// on, at addr.
func (s *Snapshot) followThread(mem Memory, t *Thread, addr uint64, b []byte) {
	f, sp := &s.interrupted.frame, t.SP
	stack := 0
	for range maxFrames {
		if !context.FindSignalFrame(s.Target.Arch, s.Target.Order, b, addr, sp, f) {
			return
		}
		if f.OnAltStack && (sp < f.StackAddr || sp-f.StackAddr >= f.StackSize) {
			return // the window reaches into the stack of another thread
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
		b, addr = b[:mem.Read(lo, b)], lo
	}
}

// consider looks whether the frame says what the blamed thread crashed of.
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

// trusted reports whether a frame on the stack that the interrupted code ran on is believed to be one of a handler that
// still runs. Such a frame stays in memory when its handler has returned. So of a process that nothing has killed the
// thread must have the signal blocked, as the kernel does for a handler. A process that a signal has killed which it
// sent to itself did so in a handler; another signal is what it died of.
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

// How far from the value of a register, and of a base and a scaled index, an address may lie so that it counts as
// theirs, in bytes. Few displacements are larger.
const (
	nearRegister = 64 << 10
	nearIndexed  = 4 << 10
)

// reaches reports whether the registers of c make it plausible that the instruction at PC accesses c.TrapAddress, which
// else is that of an older fault. It stands in for decoding the instruction, which allocates.
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

// adoptInterrupted makes the crash that a signal frame is of the exception. The stack that SP was on becomes a further
// one of the thread.
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
