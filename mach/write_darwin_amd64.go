package mach

// callState returns the program counter of a thread, and the register of a function's first argument, which a system call does
// not change.
func callState(thread Port) (pc, first uint64, kr KernReturn) {
	var s X86ThreadState64
	kr = s.Read(thread)
	return s.RIP, s.RDI, kr
}
