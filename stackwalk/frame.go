package stackwalk

import "minidump/context"

// Trust is how a frame was found, the surest first.
type Trust uint8

// The ways to find a frame.
const (
	TrustContext      Trust = iota // the registers of the thread
	TrustSignal                    // the frame that the kernel pushed for a signal handler
	TrustCFI                       // call frame information: tables that the compiler made
	TrustFramePointer              // the chain of frame pointers
	TrustLinkRegister              // the link register of the innermost function
	TrustScan                      // a word of the stack that can be a return address
)

var trustNames = [...]string{"context", "signal frame", "call frame info", "frame pointer", "link register", "scan"}

// String returns "context", "signal frame", "call frame info", "frame pointer", "link register" or "scan".
func (t Trust) String() string {
	if int(t) < len(trustNames) {
		return trustNames[t]
	}
	return "unknown"
}

// Frame is one function call that has not returned.
type Frame struct {
	PC uint64 // where the function goes on: of a caller the return address. Bit 0 is never set on ARM.
	SP uint64 // stack pointer of the function at PC

	// CFA is the canonical frame address of DWARF: SP of the caller before the call, plus what the psABI adds. It is 0 if there is no
	// next frame.
	CFA uint64

	Registers Registers // those of the function that are known; of a caller at least PC and SP
	Trust     Trust     // how this frame was found

	// Signal reports that a signal interrupted the function, so that PC is the next instruction rather than a return address. It
	// is also set where no call stands before PC, as in a Go function whose fault became a panic.
	Signal bool

	// Trampoline reports that PC is in the code that a signal handler returns to and that makes the system call sigreturn. The
	// next frame is what the signal interrupted.
	Trampoline bool

	Module int // index in Process.Modules of the module that PC is in, or -1
}

// Lookup returns the address to look up for the name and the line of the function: PC, or PC-1 if PC is a return address,
// because a call may be the last instruction of a function.
func (f *Frame) Lookup() uint64 {
	if f.Trust == TrustContext || f.Signal || f.Trampoline || f.PC == 0 {
		return f.PC
	}
	return f.PC - 1
}

// Registers are registers of one frame. Of a caller only those are known that the frames below have saved or must not change.
type Registers struct {
	facts *archFacts
	value [numSlots]uint64
	known uint64 // bit i: value[i] is that of the frame
	set   uint64 // bit i: value[i] is that of the frame, or of one below it
}

// Get returns the register of that name, as package context spells it, and whether it is known.
func (r *Registers) Get(name string) (uint64, bool) {
	if r.facts == nil || name == "" {
		return 0, false
	}
	for i, n := range r.facts.names {
		if n == name {
			return r.value[i], r.known>>i&1 == 1
		}
	}
	return 0, false
}

// Known returns the registers that are known, in the order of their DWARF numbers, the program counter last.
func (r *Registers) Known() []context.Register {
	var known []context.Register
	if r.facts == nil {
		return nil
	}
	for i, n := range r.facts.names {
		if n != "" && r.known>>i&1 == 1 {
			known = append(known, context.Register{Name: n, Value: r.value[i]})
		}
	}
	return known
}

func (r *Registers) put(slot int, v uint64) {
	r.value[slot] = v & r.facts.mask
	r.known |= 1 << slot
	r.set |= 1 << slot
}

func (r *Registers) has(slot int) bool { return slot >= 0 && r.known>>slot&1 == 1 }

// usable reports whether there is a value for the register at all. A register that a call may change often still has the
// value that it had below.
func (r *Registers) usable(slot int) bool { return slot >= 0 && r.set>>slot&1 == 1 }

func (r *Registers) forget(slot int) {
	r.known &^= 1 << slot
	r.set &^= 1 << slot
}

// take copies those registers of from whose bits are set in slots.
func (r *Registers) take(from *Registers, slots uint64) {
	for slot := range numSlots {
		if slots>>slot&1 == 1 {
			r.put(slot, from.value[slot])
		}
	}
}

func (r *Registers) pc() uint64 { return r.value[slotPC] }

func (r *Registers) sp() uint64 { return r.value[r.facts.sp] }

// caller returns a copy of r in which only what a call must not change is known. PC and SP remain to be set.
func (r *Registers) caller() Registers {
	c := *r
	c.known &= c.facts.saved
	c.set &^= 1 << slotPC
	return c
}
