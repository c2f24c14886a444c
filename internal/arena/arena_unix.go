//go:build unix && !linux

package arena

import (
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
)

// Reserve maps size bytes, at most 256 MiB, which are usable at once: these systems allocate a page only when it is
// touched. The memory is not from the Go heap, because the runtime would clear a reused block and so touch all of it.
func (a *Arena) Reserve(size uintptr) error {
	b, err := syscall.Mmap(-1, 0, int(min(size, 256<<20)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return errtext.Wrap(err, "minidump: reserve address space")
	}
	*a = Arena{base: unsafe.Pointer(unsafe.SliceData(b)), size: uintptr(len(b))}
	return nil
}

// Release unmaps the arena. Everything in it becomes invalid.
func (a *Arena) Release() {
	if a.base != nil {
		syscall.Munmap(unsafe.Slice((*byte)(a.base), a.size))
		*a = Arena{}
	}
}

func openPages(unsafe.Pointer, uintptr) bool { return true }
