package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SigAction is the kernel's struct sigaction. Only its flags are examined. Their position differs: MIPS has a
// 32-bit word of them first, the others a long after the handler (include/uapi/asm-generic/signal.h,
// arch/*/include/uapi/asm/signal.h).
type SigAction [8]uint64

// MIPS reports whether this is one of the architectures whose signal numbers and structures differ from all others'.
const MIPS = runtime.GOARCH == "mips" || runtime.GOARCH == "mipsle" || runtime.GOARCH == "mips64" || runtime.GOARCH == "mips64le"

// SigsetSize returns sizeof(sigset_t) of the kernel in bytes: mips has 128 signals.
func SigsetSize() uintptr {
	if MIPS {
		return 16
	}
	return 8
}

const saNoCldStop = 1 // SA_NOCLDSTOP, the same everywhere

// addFlag sets a flag and reports whether that changed anything.
func (a *SigAction) addFlag(flag uint32) bool {
	if MIPS {
		p := (*uint32)(unsafe.Pointer(a))
		old := *p
		*p |= flag
		return *p != old
	}
	p := (*uintptr)(unsafe.Add(unsafe.Pointer(a), unsafe.Sizeof(uintptr(0))))
	old := *p
	*p |= uintptr(flag)
	return *p != old
}

// GetSigAction reads the action of this process for a signal.
func GetSigAction(sig int, old *SigAction) Errno {
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(old)), SigsetSize(), 0, 0)
	return e
}

// SetSigAction sets the action. new must come from GetSigAction, or be zero, which is the default action.
func SetSigAction(sig int, new *SigAction) Errno {
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(new)), 0, SigsetSize(), 0, 0)
	return e
}

// IgnoreSignal makes this process ignore a signal (SIG_IGN).
func IgnoreSignal(sig int) Errno {
	const sigIgn = 1
	a := new(SigAction)
	handler := unsafe.Pointer(a)
	if MIPS { // the flags come first
		handler = unsafe.Add(handler, unsafe.Sizeof(uintptr(0)))
	}
	*(*uintptr)(handler) = sigIgn
	return SetSigAction(sig, a)
}

// QuietStops suppresses the SIGCHLD that each stop of a tracee sends to this process: handling a thousand of them takes
// the Go runtime as long as the stops. Exits of children are still signalled. It must not be on a goroutine stack.
type QuietStops struct {
	old, new SigAction
	on       bool
}

// Begin suppresses the signals.
func (q *QuietStops) Begin() {
	if GetSigAction(int(unix.SIGCHLD), &q.old) != 0 {
		return
	}
	q.new = q.old
	q.on = q.new.addFlag(saNoCldStop) && SetSigAction(int(unix.SIGCHLD), &q.new) == 0
}

// End restores the previous action.
func (q *QuietStops) End() {
	if q.on {
		SetSigAction(int(unix.SIGCHLD), &q.old)
		q.on = false
	}
}
