package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SigAction is the kernel's struct sigaction, of which only the flags are looked at. Where they stand differs: MIPS has a
// 32-bit word of them first, the others a long behind the handler (include/uapi/asm-generic/signal.h,
// arch/*/include/uapi/asm/signal.h).
type SigAction [8]uint64

// MIPS is whether this is one of the machines whose numbers and structures of signals differ from all others'.
const MIPS = runtime.GOARCH == "mips" || runtime.GOARCH == "mipsle" || runtime.GOARCH == "mips64" || runtime.GOARCH == "mips64le"

// SigsetSize is sizeof(sigset_t) of the kernel in bytes: mips has 128 signals.
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

// GetSigAction reads what this process does at a signal.
func GetSigAction(sig int, old *SigAction) Errno {
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(old)), SigsetSize(), 0, 0)
	return e
}

// SetSigAction sets it. new must come from GetSigAction, or be zero: the default.
func SetSigAction(sig int, new *SigAction) Errno {
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(new)), 0, SigsetSize(), 0, 0)
	return e
}

// IgnoreSignal has this process ignore a signal (SIG_IGN).
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

// QuietStops spares this process the SIGCHLD that each stop of a tracee sends it: to handle a thousand takes the Go
// runtime as long as the stops. Ends of children are signalled as ever. It must not be on a goroutine stack.
type QuietStops struct {
	old, new SigAction
	on       bool
}

// Begin makes stops quiet.
func (q *QuietStops) Begin() {
	if GetSigAction(int(unix.SIGCHLD), &q.old) != 0 {
		return
	}
	q.new = q.old
	q.on = q.new.addFlag(saNoCldStop) && SetSigAction(int(unix.SIGCHLD), &q.new) == 0
}

// End puts back what was.
func (q *QuietStops) End() {
	if q.on {
		SetSigAction(int(unix.SIGCHLD), &q.old)
		q.on = false
	}
}
