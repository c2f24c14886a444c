package arena

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/sys"
)

// Reserve reserves size bytes of address space, or less, down to 1/64 of size, if a limit (RLIMIT_AS) forbids that much.
func (a *Arena) Reserve(size uintptr) error {
	least := size / 64
	size = share(size)
	for {
		p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err == nil {
			// A transparent huge page for a few kilobytes would be most of a small dumper's memory.
			unix.Syscall(unix.SYS_MADVISE, uintptr(p), size, unix.MADV_NOHUGEPAGE)
			*a = Arena{base: p, size: size}
			return nil
		}
		if size/2 < least || size/2 < Step {
			return errtext.Wrap(err, "minidump: reserve address space")
		}
		size = size / 2 &^ (Step - 1)
	}
}

// Release unmaps the arena. Everything in it becomes invalid.
func (a *Arena) Release() {
	if a.base != nil {
		unix.MunmapPtr(a.base, a.size)
		*a = Arena{}
	}
}

func openPages(p unsafe.Pointer, n uintptr) bool {
	return sys.Mprotect(p, n, unix.PROT_READ|unix.PROT_WRITE) == 0
}

// ample is how much address space must be left to the process for its arenas to have their full size. If less is
// left, each arena gets a share, and the rest goes to the program, above all to the Go runtime.
const ample = 8 << 30

// share returns how much of size may be reserved under RLIMIT_AS, which batch systems and systemd's LimitAS set.
func share(size uintptr) uintptr {
	var limit unix.Rlimit
	if size < 1<<20 { // not worth a system call
		return size
	}
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) != nil || limit.Cur > 1<<46 {
		return size
	}
	left := uint64(limit.Cur) - min(uint64(limit.Cur), addressSpace())
	if left >= ample {
		return size
	}
	return max(uintptr(uint64(size)*(left>>20)/(ample>>20))&^(Step-1), min(size, Step))
}

// addressSpace returns how many bytes of address space this process uses; 0 if that can't be determined.
func addressSpace() uint64 {
	fd, err := unix.Open("/proc/self/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	b := make([]byte, 128)
	n, _ := unix.Read(fd, b)
	unix.Close(fd)
	var pages uint64
	for _, c := range b[:max(n, 0)] {
		if c < '0' || c > '9' {
			break
		}
		pages = pages*10 + uint64(c-'0')
	}
	return pages * uint64(unix.Getpagesize())
}
