package goruntime

import "minidump/context"

// A Fault is a fault that the runtime turned into a panic or a fatal error: its signal handler returned to
// runtime.sigpanic, which seems to have been called by the code that faulted.
type Fault struct {
	Signo         int32  // g.sig
	Code, Address uint64 // g.sigcode0 and g.sigcode1: si_code and si_addr
	PC, SP        uint64 // at the fault
	LR            uint64 // the link register; 0 if there is none
	FP            uint64 // the frame pointer; 0 if that is not known

	// Frame is the signal frame of the fault. Memory is the part of the stack that contains it, starting at address At, with PC,
	// SP and LR as they were at the fault. Memory is in the Space, or nil if the frame has been overwritten.
	Frame  context.SignalFrame
	Memory []byte
	At     uint64
}

// FaultState is a result of FindFault.
type FaultState uint8

const (
	FaultUnknown FaultState = iota // the stack could not be followed to its end
	NoFault                        // the goroutine's stack contains no fault
	FaultFound
)

// Limits of FindFault.
const (
	faultPages   = 64
	faultBudget  = 1 << 14   // pages
	faultMs      = 1 << 12   // Ms whose signal stacks are searched
	faultSignals = 64 << 10  // bytes of one signal stack
	faultWork    = 128 << 20 // bytes of Space that are enough
)

// FaultSpace is the maximum Space in bytes that FindFault and Find need. They touch few of them.
const FaultSpace = faultWork

// FindFault finds the fault for which the goroutine of thread tid, with stack pointer sp, panics. The thread must be stopped
// and on the system stack, where it reports the panic. The fault is the innermost one on the goroutine's stack.
//
// PC, SP and FP are found by unwinding to the caller of runtime.sigpanic. The signal frame is still on a signal stack unless
// that thread has received another signal since. A signal frame belongs to the fault if it returns to sigpanic with the SP
// that unwinding found, and has the signal, code and address recorded in the goroutine.
func (p *Program) FindFault(f *Fault, mem Memory, space Space, tid int32, sp uint64) FaultState {
	*f = Fault{}
	threads := alloc[Thread](space, 1)
	if !p.Known() || threads == nil {
		return FaultUnknown
	}
	threads[0] = Thread{TID: tid, SP: sp}
	c := Capture{Threads: threads}
	k := capturer{Program: p, Capture: &c, mem: mem, space: space, reqs: alloc[Request](space, batch),
		buf: alloc[byte](space, max(batch*max(p.off.gEnd, p.off.mEnd), 2*maxM))}
	stack := alloc[faultStack](space, 1)
	s := symbolsIn(space)
	if k.reqs == nil || k.buf == nil || stack == nil || s == nil || !s.init(p, mem, space, 1024) ||
		!stack[0].init(p.target, mem, space, faultPages, faultBudget) {
		return FaultUnknown
	}
	heads := k.readHeads()
	k.findThreads(&heads)
	g := k.buf[:p.off.gEnd]
	if threads[0].CurG == 0 || mem.Read(threads[0].CurG, g) != len(g) || !p.plausible(g) || !p.off.has(gSig) || !p.off.has(gSigPC) {
		return FaultUnknown
	}
	f.Signo, f.Code, f.Address = int32(p.u32Of(g, gSig)), p.ptrOf(g, gSigCode0), p.ptrOf(g, gSigCode1)
	sigpc := p.ptrOf(g, gSigPC)
	w := walker{symbols: s, mem: stackMemory{target: &p.target, captured: &stack[0]}, list: alloc[uint32](space, maxDepth)}
	if w.list == nil {
		return FaultUnknown
	}
	state := w.toSigpanic(f, p.bufOf(g, bufPC), p.bufOf(g, bufSP), p.bufOf(g, bufLR), sigpc)
	if state == FaultFound {
		k.findFrame(f, &heads, &w)
	}
	return state
}

// ExtraInC returns the offset in a runtime.m of the byte isExtraInC, or 0 if that is not known. The byte is not 0 if the M
// belongs to a thread that C code created, which has no goroutine of its own.
func (p *Program) ExtraInC() uint32 {
	if !p.off.has(mExtraInC) {
		return 0
	}
	return uint32(p.off.of[mExtraInC])
}

// faultStack is the memory of the goroutine's stack. It implements Captured.
type faultStack struct{ pages }

// From implements Captured.
func (s *faultStack) From(addr uint64) []byte { return s.from(addr) }

// readHeads reads the variables that may be the head of the list of Ms.
func (k *capturer) readHeads() (heads [maxHeads]uint64) {
	b := k.buf[:k.Program.word]
	for i, at := range k.allm[:k.nallm] {
		if k.mem.Read(at, b) == len(b) {
			heads[i] = k.ptr(b)
		}
	}
	return heads
}

// toSigpanic walks the stack from pc and sp to the caller of sigpanic, and sets the registers of the fault.
func (w *walker) toSigpanic(f *Fault, pc, sp, lr, sigpc uint64) FaultState {
	if w.list, w.pc, w.sp, w.lr = w.list[:0], pc, sp, lr; !w.usesLR() {
		w.lr = 0
	}
	for n := 0; n < maxDepth; n++ {
		how := uint8(atCall)
		if w.trap {
			how = atTrap
		}
		e := w.lookup(w.pc, how)
		here, sigpanic, top := w.sp, e.a&entrySigpanic != 0, e.a&entryTop != 0
		w.list = w.list[:0]
		if end, _ := w.step(n == 0, false); end {
			if top {
				return NoFault
			}
			return FaultUnknown
		}
		if !sigpanic {
			continue
		}
		if !w.leftSigpanic(f, here, sigpc) {
			return FaultUnknown
		}
		return FaultFound
	}
	return FaultUnknown
}

// leftSigpanic sets the registers of the fault, after the walk has gone from sigpanic, whose SP was at, to its caller.
//
// The handler pushes a call (preparePanic of runtime/signal_*.go): on x86 it pushes the PC of the fault; elsewhere it pushes the
// link register and sets it to the PC. If the PC is not code, as after a call of a bad function pointer, it is replaced by the
// return address of that call.
func (w *walker) leftSigpanic(f *Fault, at, sigpc uint64) bool {
	f.PC, f.SP = sigpc, w.sp
	switch {
	case w.pc != sigpc && w.p.moduleOf(sigpc) != nil:
		return false // the record is about another fault
	case w.usesLR():
		align := w.stackAlign()
		f.LR, _ = w.mem.ptrAt(w.sp - (w.minFrameSize()+align-1)&^(align-1))
	case w.pc != sigpc:
		f.SP -= w.word
	}
	// Go keeps a frame pointer on two architectures. sigpanic has saved its caller's: below the return address on
	// amd64, below its own frame on arm64.
	switch w.arch {
	case context.AMD64:
		f.FP, _ = w.mem.ptrAt(w.sp - 2*w.word)
	case context.ARM64:
		f.FP, _ = w.mem.ptrAt(at - w.word)
	}
	return true
}

// findFrame looks for the signal frame of a fault on the signal stacks of all Ms, because the goroutine may have moved to
// another thread since.
func (k *capturer) findFrame(f *Fault, heads *[maxHeads]uint64, w *walker) {
	var injected uint64 // by how much the handler has moved SP
	switch k.arch {
	case context.PPC64, context.S390X: // the handler also changed other registers
		return
	case context.X86, context.AMD64:
		if w.pc == f.PC {
			injected = k.Program.word
		}
	default:
		align := k.stackAlign()
		injected = (k.minFrameSize() + align - 1) &^ (align - 1)
	}
	mem := alloc[byte](k.space, faultSignals)
	if mem == nil {
		return
	}
	m, word := k.buf[:k.off.mEnd], int(k.Program.word)
	for _, at := range heads[:k.nallm] {
		for n := 0; at != 0 && n < faultMs && k.mem.Read(at, m) == len(m); n++ {
			at = k.ptrOf(m, mAllLink)
			bounds := k.buf[maxM : maxM+2*word]
			if g := k.ptrOf(m, mGSignal); g == 0 || k.mem.Read(g, bounds) != len(bounds) {
				continue
			}
			lo, hi := k.ptr(bounds), k.ptr(bounds[word:])
			if lo >= hi || hi-lo > maxStack {
				continue
			}
			if lo = max(lo, hi-min(hi, faultSignals)); k.frameIn(f, mem[:hi-lo], lo, injected, w) {
				return
			}
		}
	}
}

// frameIn looks for the frame in one stack from lo on, which it reads into mem.
func (k *capturer) frameIn(f *Fault, mem []byte, lo, injected uint64, w *walker) bool {
	if k.mem.Read(lo, mem) != len(mem) {
		return false
	}
	frame := &k.frame
	for sp := lo; context.FindSignalFrame(k.arch, k.order(), mem, lo, sp, frame); sp = frame.Ucontext + k.Program.word {
		if frame.SP != f.SP-injected || frame.Signo != f.Signo || uint64(int64(frame.Code)) != f.Code && uint64(uint32(frame.Code)) != f.Code ||
			!w.isSigpanic(frame.PC) {
			continue
		}
		lr := f.LR
		if frame.SetPC(mem, lo, f.PC, f.SP, lr) {
			f.Frame, f.Memory, f.At = *frame, mem, lo
			return true
		}
	}
	return false
}

// isSigpanic reports whether pc is where the handler returns to: runtime.sigpanic, or sigpanic0, which jumps there.
func (w *walker) isSigpanic(pc uint64) bool {
	var fn fn
	if !w.find(pc, &fn) || fn.entry != pc {
		return false
	}
	name := string(w.cstring(fn.m.names, fn.name))
	return name == "runtime.sigpanic" || name == "runtime.sigpanic0"
}
