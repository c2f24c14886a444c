package mach

// writeAddress returns the address of libSystem's write.
func writeAddress() uint64

// writeSize is the maximum size in bytes of write up to its return: two or three instructions and the system call.
const writeSize = 64

// InWrite returns the descriptor that a thread is writing to, if it is in the function write of libSystem; otherwise ok is false.
// The thread's task must have the calling program's architecture. libSystem is at the same address in all tasks of one
// architecture, because it is in the shared cache, whose address is chosen when the machine starts.
func InWrite(thread Port) (fd int32, ok bool) {
	pc, first, kr := callState(thread)
	at := writeAddress()
	return int32(first), kr == KERN_SUCCESS && at <= pc && pc-at < writeSize
}
