package minidump

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// reserve takes size bytes of address space, or less where a limit (RLIMIT_AS) forbids that much, down to 1/64.
func (a *arena) reserve(size uintptr) error {
	least := size / 64
	for {
		p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err == nil {
			// A huge page for a few kilobytes would be the largest part of a small dumper.
			unix.Syscall(unix.SYS_MADVISE, uintptr(p), size, unix.MADV_NOHUGEPAGE)
			*a = arena{base: p, size: size}
			return nil
		}
		if size/2 < least || size/2 < arenaStep {
			return &attemptError{what: "reserve address space", err: err}
		}
		size = size / 2 &^ (arenaStep - 1)
	}
}

func (a *arena) release() {
	if a.base != nil {
		unix.MunmapPtr(a.base, a.size)
		*a = arena{}
	}
}

func arenaOpen(p unsafe.Pointer, n uintptr) bool {
	return sys.Mprotect(p, n, unix.PROT_READ|unix.PROT_WRITE) == 0
}
