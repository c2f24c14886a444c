//go:build !linux

package minidump

import "unsafe"

// Where a dump is not made of a live process by this package, the reserve is ordinary heap: the system gives its pages
// only as they are touched.
func (a *arena) reserve(size uintptr) error {
	b := make([]byte, min(size, 256<<20))
	*a = arena{base: unsafe.Pointer(unsafe.SliceData(b)), size: uintptr(len(b))}
	return nil
}

func (a *arena) release() { *a = arena{} }

func arenaOpen(unsafe.Pointer, uintptr) bool { return true }
