package windows

import (
	"syscall"
	"unsafe"
)

// UnloadedRing is the ring in which a process records the modules that it has unloaded.
type UnloadedRing struct {
	Addr  uint64 // of the first element, in the target
	Size  int    // of an element, in bytes
	Count int
}

// Unloaded finds the ring of unloaded modules. ntdllBase is the base of ntdll.dll in the target: its variables have the same
// offsets from the base as in this process. It returns an empty ring if the target has unloaded nothing, and
// ERROR_NOT_SUPPORTED for a WOW64 target, whose ntdll.dll is a different file.
func (p *Process) Unloaded(ntdllBase uint64, scratch []byte) (ring UnloadedRing, errno syscall.Errno) {
	if p.Wow64 || rtlGetUnloadEventTraceEx == 0 {
		return ring, syscall.Errno(errorNotSupported)
	}
	var size, count, array uintptr
	syscall.SyscallN(rtlGetUnloadEventTraceEx, uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&array)))
	if size == 0 || count == 0 || array == 0 || ownNtdll == 0 {
		return ring, syscall.Errno(errorNotSupported)
	}
	// Three variables of ntdll.dll: the size of an element, the number of elements, and a pointer to the first.
	move := ntdllBase - uint64(ownNtdll)
	b := scratch[:16]
	if p.Read(uint64(size)+move, b[:4]) != 4 || p.Read(uint64(count)+move, b[4:8]) != 4 || p.Read(uint64(array)+move, b[8:8+nativeWord]) != nativeWord {
		return ring, errorNoAccess
	}
	ring = UnloadedRing{layoutOf(p.Wide).pointer(b, 8), int(le.Uint32(b)), int(le.Uint32(b[4:]))}
	if ring.Addr == 0 {
		return UnloadedRing{}, 0
	}
	if ring.Size < layoutOf(p.Wide).unloadLen || ring.Size > 4096 || ring.Count < 0 {
		return UnloadedRing{}, errorInvalidData
	}
	ring.Count = min(ring.Count, MaxUnloaded)
	return ring, 0
}

// Errors of winerror.h.
const (
	errorInvalidData  = syscall.Errno(13)
	errorNotSupported = syscall.Errno(50)
)
