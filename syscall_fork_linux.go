package minidump

// forkChild makes a copy of the process with only the calling thread, as fork(2) does, except that no signal is sent
// when the child ends: it is clone(2) with no flags. nr is SYS_CLONE. In the parent it returns the child's pid, or a
// negative errno.
//
// In the child it never returns: the child continues in enterFork, on the stack [lo, hi). The bounds of that stack are
// stored in the thread's g, so that no stack check fails and no stack moves. The write barrier's flag is cleared: a
// garbage collection in progress does not continue in the child, and flushing a full write barrier buffer takes locks
// that no thread would release.
//
// The thread must have a g. On amd64 forkChild returns EINVAL if it has none; on other architectures g is in a register
// that C code may use for something else.
//
// forkChild relies on two details of the runtime: the first four words of a g (the stack's bounds and guards, which the
// linker also relies on) and the name runtime.writeBarrier.
//
//go:noescape
func forkChild(nr, lo, hi uintptr) (pid uintptr)
