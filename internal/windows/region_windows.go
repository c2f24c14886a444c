package windows

import (
	"syscall"
	"unsafe"
)

// memoryBasicInformation is MEMORY_BASIC_INFORMATION.
type memoryBasicInformation struct {
	base, allocationBase uintptr
	allocationProtect    uint32
	size                 uintptr
	state, protect, typ  uint32
}

// Region fills r with the region at addr. It returns ERROR_INVALID_PARAMETER past the end of the address space.
//
// To walk all regions, start at 0 and continue at the end of each region.
func (p *Process) Region(addr uint64, r *Region) syscall.Errno {
	if uint64(uintptr(addr)) != addr || p.Wow64 && addr >= 1<<32 {
		return errorInvalidParameter
	}
	var m memoryBasicInformation
	n, _, errno := syscall.SyscallN(virtualQueryEx, uintptr(p.Handle), uintptr(addr), uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m))
	if n == 0 {
		return failed(0, errno)
	}
	*r = Region{
		Base: uint64(m.base), AllocationBase: uint64(m.allocationBase), Size: uint64(m.size), AllocationProtect: m.allocationProtect,
		State: m.state, Protect: m.protect, Type: m.typ,
	}
	return 0
}

// errorInvalidParameter is ERROR_INVALID_PARAMETER (winerror.h).
const errorInvalidParameter = syscall.Errno(87)

// MappedName writes the path of the file that is mapped at addr to b in UTF-16, and returns the bytes of the path. The path has
// the kernel's form: \Device\HarddiskVolume3\Windows\System32\ntdll.dll. b must have room for a UNICODE_STRING before the
// path, and must be aligned to 8 bytes.
func (p *Process) MappedName(addr uint64, b []byte) ([]byte, syscall.Errno) {
	const memoryMappedFilenameInformation = 2 // phnt's ntmmapi.h
	var n uintptr
	r, _, _ := syscall.SyscallN(ntQueryVirtualMemory, uintptr(p.Handle), uintptr(addr), memoryMappedFilenameInformation,
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&n)))
	if errno := errnoOf(r); errno != 0 {
		return nil, errno
	}
	return ownString(b), 0
}
