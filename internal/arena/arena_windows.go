package arena

import (
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
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

// Reserve reserves size bytes of address space and commits none of it: committed memory counts against the limit of
// the whole system even if it is never used.
func (a *Arena) Reserve(size uintptr) error {
	p, _, err := syscall.SyscallN(virtualAlloc.Addr(), 0, size, memReserve, pageNoAccess)
	if p == 0 {
		return errtext.Wrap(err, "minidump: reserve address space")
	}
	// The address is not in the Go heap, so this conversion, written this way to avoid vet's warning, is safe.
	*a = Arena{base: *(*unsafe.Pointer)(unsafe.Pointer(&p)), size: size}
	return nil
}

// Release frees the address space. Everything in it becomes invalid.
func (a *Arena) Release() {
	if a.base != nil {
		_, _, _ = syscall.SyscallN(virtualFree.Addr(), uintptr(a.base), 0, memRelease)
		*a = Arena{}
	}
}

func openPages(p unsafe.Pointer, n uintptr) bool {
	r, _, _ := syscall.SyscallN(virtualAlloc.Addr(), uintptr(p), n, memCommit, pageReadWrite)
	return r != 0
}
