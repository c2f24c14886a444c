//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pread reads at a file offset, again after EINTR.
func Pread(fd int, p []byte, off int64) (int, Errno) {
	for {
		r, e := Raw(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(off), 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// Seek sets the position of fd, and stores the new one at result, which must not be on a goroutine stack. whence may also
// be SEEK_DATA or SEEK_HOLE.
func Seek(fd int, off int64, whence int, result *int64) Errno {
	r, e := Raw(unix.SYS_LSEEK, uintptr(fd), uintptr(off), uintptr(whence), 0, 0, 0)
	if e == 0 {
		*result = int64(r)
	}
	return e
}
