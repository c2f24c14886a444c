package mach

// writeAddress returns the address of libSystem's write.
func writeAddress() uint64

// writeSize is at most how many bytes of write come before its return: two or three instructions and the system call.
const writeSize = 64

// InWrite returns the descriptor that a thread of a task is writing to: it is in the function write of libSystem. ok is
// false if it is not. The task must be of the calling program's architecture. libSystem is at the same address in all
// tasks of one architecture, because it is in the shared cache, which one address is chosen for when the machine starts.
func InWrite(thread Port) (fd int32, ok bool) {
	pc, first, kr := callState(thread)
	at := writeAddress()
	return int32(first), kr == KERN_SUCCESS && at <= pc && pc-at < writeSize
}
