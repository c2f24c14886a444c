package mach

// callState returns the program counter of a thread, and the register of a function's first argument, which a system call does
// not change until it returns.
func callState(thread Port) (pc, first uint64, kr KernReturn) {
	var s ARMThreadState64
	kr = s.Read(thread)
	s.Strip()
	return s.PC, s.X[0], kr
}
