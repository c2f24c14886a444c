//go:build !ios

package crash

import "minidump/mach"

// stateNone is THREAD_STATE_NONE.
const stateNone = mach.ARM_THREAD_STATE_NONE

// threadSP returns the stack pointer of a thread.
func threadSP(thread mach.Port) (uint64, bool) {
	var s mach.ARMThreadState64
	kr := s.Read(thread)
	s.Strip()
	return s.SP, kr == mach.KERN_SUCCESS
}
