//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package sys

import "golang.org/x/sys/unix"

// fileOffset returns the last three arguments of a call with a file offset.
func fileOffset(off int64) (a4, a5, a6 uintptr) { return uintptr(off), 0, 0 }

// Seek sets the position of fd, and stores the new one at result, which must not be on a goroutine stack. whence may also
// be SEEK_DATA or SEEK_HOLE.
func Seek(fd int, off int64, whence int, result *int64) Errno {
	r, e := Raw(unix.SYS_LSEEK, uintptr(fd), uintptr(off), uintptr(whence), 0, 0, 0)
	if e == 0 {
		*result = int64(r)
	}
	return e
}
