package minidump

// forkChild makes a copy of the process that has only the calling thread, as fork(2) does, except that no signal is sent
// when the child ends: clone(2) with no flag at all. nr is SYS_CLONE. In the parent it returns the child's number, or an
// error number as a negative value.
//
// In the child it never returns: that goes on in enterFork, on the stack [lo, hi). The thread's g is given that stack,
// so that no stack check fails and no stack moves, and the flag of the write barrier is cleared: a garbage collection
// that is under way will not go on there, and the barrier's buffer, when full, takes locks that no thread would
// release.
//
// The thread must have a g. amd64 returns EINVAL if it has none; elsewhere g is a register, which code in C may use.
//
// Relied upon are only the first four words of a g (the stack's bounds and guards, which the linker knows too) and
// the name runtime.writeBarrier, which the runtime keeps.
//
//go:noescape
func forkChild(nr, lo, hi uintptr) (pid uintptr)
