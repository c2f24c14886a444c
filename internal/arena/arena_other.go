//go:build !unix && !windows

package arena

import "unsafe"

// Reserve allocates size bytes, at most 256 MiB, from the Go heap: package syscall offers nothing better on these systems.
func (a *Arena) Reserve(size uintptr) error {
	b := make([]byte, min(size, 256<<20))
	*a = Arena{base: unsafe.Pointer(unsafe.SliceData(b)), size: uintptr(len(b))}
	return nil
}

// Release leaves the memory to the garbage collector.
func (a *Arena) Release() { *a = Arena{} }

func openPages(unsafe.Pointer, uintptr) bool { return true }
