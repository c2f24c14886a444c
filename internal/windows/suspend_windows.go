package windows

import (
	"syscall"
	"unsafe"
)

// Suspension is the suspension of all threads of a process.
type Suspension struct {
	process *Process
	state   syscall.Handle // a state change object; 0: NtSuspendProcess was used
	held    bool
}

// Suspend suspends all threads of the process. On Windows 11 it uses a state change object: Windows resumes the process when
// the handle of the object is closed, even if this program is killed. On older versions, a program that is killed while it
// suspends another one leaves it suspended.
//
// It returns an error if the process can't be suspended as a whole. The caller must then suspend its threads one by one.
func (s *Suspension) Suspend(p *Process) syscall.Errno {
	*s = Suspension{process: p}
	if ntCreateProcessStateChange != 0 && ntChangeProcessState != 0 {
		// phnt's ntpsapi.h: PROCESS_STATE_ALL_ACCESS, ProcessStateChangeSuspend
		const access, suspend = 0xf0001, 0
		r, _, _ := syscall.SyscallN(ntCreateProcessStateChange, uintptr(unsafe.Pointer(&s.state)), access, 0, uintptr(p.Handle), 0)
		if errnoOf(r) == 0 {
			r, _, _ = syscall.SyscallN(ntChangeProcessState, uintptr(s.state), uintptr(p.Handle), suspend, 0, 0, 0)
			if errnoOf(r) == 0 {
				s.held = true
				return 0
			}
			syscall.CloseHandle(s.state)
		}
		s.state = 0
	}
	if ntSuspendProcess == 0 || ntResumeProcess == 0 {
		return syscall.Errno(syscall.ERROR_PROC_NOT_FOUND)
	}
	r, _, _ := syscall.SyscallN(ntSuspendProcess, uintptr(p.Handle))
	errno := errnoOf(r)
	s.held = errno == 0
	return errno
}

// Counted reports whether each thread's suspend count includes the suspension.
func (s *Suspension) Counted() bool { return s.held }

// Resume undoes Suspend. It may be called more than once.
func (s *Suspension) Resume() syscall.Errno {
	if !s.held {
		return 0
	}
	s.held = false
	if s.state != 0 {
		err := syscall.CloseHandle(s.state)
		s.state = 0
		if errno, ok := err.(syscall.Errno); ok {
			return errno
		}
		return 0
	}
	r, _, _ := syscall.SyscallN(ntResumeProcess, uintptr(s.process.Handle))
	return errnoOf(r)
}

// SuspendThread suspends one thread. It returns the thread's previous suspend count.
func SuspendThread(h syscall.Handle) (count uint32, errno syscall.Errno) {
	r, _, errno := syscall.SyscallN(suspendThread, uintptr(h))
	if uint32(r) == ^uint32(0) {
		return 0, failed(0, errno)
	}
	return uint32(r), 0
}

// ResumeThread undoes one SuspendThread.
func ResumeThread(h syscall.Handle) syscall.Errno {
	r, _, errno := syscall.SyscallN(resumeThread, uintptr(h))
	if uint32(r) == ^uint32(0) {
		return failed(0, errno)
	}
	return 0
}
