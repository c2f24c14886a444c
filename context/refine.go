package context

// refiner is what Refine calls; nil until RegisterRefiner.
var refiner func(c *Crash, code []byte)

// RegisterRefiner makes Refine work through f, which package minidump/context/insn does as it is initialized. It is meant
// for init functions: it is not safe to call it while Refine may run.
func RegisterRefiner(f func(c *Crash, code []byte)) { refiner = f }

// Refine adds what the instruction at c.PC tells of a memory fault: an Address that the kernel did not report, and the
// Access; Params follow. code has the bytes from c.PC on, of which 16 are enough for any architecture; c needs its
// registers. Refine allocates.
//
// What does it is package insn, which is linked in only if a program asks for it, since it is large:
//
//	import _ "minidump/context/insn"
//
// Without that import Refine leaves c as it is.
func (c *Crash) Refine(code []byte) {
	if refiner != nil {
		refiner(c, code)
	}
}
