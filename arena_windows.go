package minidump

import (
	"syscall"
	"unsafe"
)

// Constants of VirtualAlloc and VirtualFree (winnt.h).
const (
	memCommit     = 0x1000
	memReserve    = 0x2000
	memRelease    = 0x8000
	pageNoAccess  = 1
	pageReadWrite = 4
)

var (
	kernel32     = syscall.NewLazyDLL("kernel32.dll")
	virtualAlloc = kernel32.NewProc("VirtualAlloc")
	virtualFree  = kernel32.NewProc("VirtualFree")
)

// reserve takes address space: what is committed counts, used or not, against what the whole system can give.
func (a *arena) reserve(size uintptr) error {
	p, _, err := syscall.SyscallN(virtualAlloc.Addr(), 0, size, memReserve, pageNoAccess)
	if p == 0 {
		return &attemptError{what: "reserve address space", err: err}
	}
	// It is no address of the Go heap, so the way around vet's warning is safe.
	*a = arena{base: *(*unsafe.Pointer)(unsafe.Pointer(&p)), size: size}
	return nil
}

func (a *arena) release() {
	if a.base != nil {
		syscall.SyscallN(virtualFree.Addr(), uintptr(a.base), 0, memRelease)
		*a = arena{}
	}
}

func arenaOpen(p unsafe.Pointer, n uintptr) bool {
	r, _, _ := syscall.SyscallN(virtualAlloc.Addr(), uintptr(p), n, memCommit, pageReadWrite)
	return r != 0
}
