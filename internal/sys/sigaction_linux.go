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

const mips = runtime.GOARCH == "mips" || runtime.GOARCH == "mipsle" || runtime.GOARCH == "mips64" || runtime.GOARCH == "mips64le"

// sigsetSize is sizeof(sigset_t) of the kernel.
func sigsetSize() uintptr {
	if mips {
		return 16
	}
	return 8
}

// SA_NOCLDSTOP is the same everywhere.
const SA_NOCLDSTOP = 1

// AddFlag sets a flag and says whether that changed anything.
func (a *SigAction) AddFlag(flag uint32) bool {
	if mips {
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
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(old)), sigsetSize(), 0, 0)
	return e
}

// SetSigAction sets it. new must come from GetSigAction.
func SetSigAction(sig int, new *SigAction) Errno {
	_, e := Raw(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(new)), 0, sigsetSize(), 0, 0)
	return e
}
