//go:build !unix && !windows

package minidump

import "unsafe"

// Without address space that can be had for nothing, an arena is ordinary heap.
func (a *arena) reserve(size uintptr) error {
	b := make([]byte, min(size, 256<<20))
	*a = arena{base: unsafe.Pointer(unsafe.SliceData(b)), size: uintptr(len(b))}
	return nil
}

func (a *arena) release() { *a = arena{} }

func arenaOpen(unsafe.Pointer, uintptr) bool { return true }
