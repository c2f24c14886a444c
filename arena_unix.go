//go:build unix && !linux

package minidump

import (
	"syscall"
	"unsafe"
)

// Where a dump is not made of a live process by this package, the reserve is usable at once: the system gives its pages only
// as they are touched. It is no Go heap, which would clear it when it is used again, and so touch all of it.
func (a *arena) reserve(size uintptr) error {
	b, err := syscall.Mmap(-1, 0, int(min(size, 256<<20)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return &attemptError{what: "reserve address space", err: err}
	}
	*a = arena{base: unsafe.Pointer(unsafe.SliceData(b)), size: uintptr(len(b))}
	return nil
}

func (a *arena) release() {
	if a.base != nil {
		syscall.Munmap(unsafe.Slice((*byte)(a.base), a.size))
		*a = arena{}
	}
}

func arenaOpen(unsafe.Pointer, uintptr) bool { return true }
