//go:build !ios

package crash

import "minidump/mach"

// stateNone is THREAD_STATE_NONE.
const stateNone = mach.X86_THREAD_STATE_NONE

// threadSP returns the stack pointer of a thread.
func threadSP(thread mach.Port) (uint64, bool) {
	var s mach.X86ThreadState64
	kr := s.Read(thread)
	return s.RSP, kr == mach.KERN_SUCCESS
}
