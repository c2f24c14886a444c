//go:build linux && (386 || arm || mips || mipsle)

package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a 64-bit argument is passed: 386 takes any two registers, and mips the upper half first.
const (
	alignedPair = runtime.GOARCH != "386"
	bigEndian   = runtime.GOARCH == "mips"
)

// Pread reads at a file offset, again after EINTR. A 64-bit offset takes two registers: on arm and mips an aligned pair
// (so one argument is skipped), in the order of the machine's words.
func Pread(fd int, p []byte, off int64) (int, Errno) {
	first, second := uintptr(uint32(off)), uintptr(uint32(off>>32))
	if bigEndian {
		first, second = second, first
	}
	a4, a5, a6 := first, second, uintptr(0)
	if alignedPair {
		a4, a5, a6 = 0, first, second
	}
	for {
		r, e := Raw(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), a4, a5, a6)
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
	_, e := Raw(unix.SYS__LLSEEK, uintptr(fd), uintptr(uint32(off>>32)), uintptr(uint32(off)), uintptr(unsafe.Pointer(result)),
		uintptr(whence), 0)
	return e
}
