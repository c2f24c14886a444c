//go:build linux && (386 || arm || mips || mipsle)

package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a 64-bit argument is passed: 386 uses any two registers, and mips puts the upper half first.
const (
	alignedPair = runtime.GOARCH != "386"
	bigEndian   = runtime.GOARCH == "mips"
)

// fileOffset returns the last three arguments of a call with a file offset. The offset takes two registers: on arm and
// mips an aligned pair (so one argument is skipped), in the order of the machine's words.
func fileOffset(off int64) (a4, a5, a6 uintptr) {
	first, second := uintptr(uint32(off)), uintptr(uint32(off>>32))
	if bigEndian {
		first, second = second, first
	}
	if alignedPair {
		return 0, first, second
	}
	return first, second, 0
}

// Seek sets the position of fd, and stores the new one at result, which must not be on a goroutine stack. whence may also
// be SEEK_DATA or SEEK_HOLE.
func Seek(fd int, off int64, whence int, result *int64) Errno {
	_, e := Raw(unix.SYS__LLSEEK, uintptr(fd), uintptr(uint32(off>>32)), uintptr(uint32(off)), uintptr(unsafe.Pointer(result)),
		uintptr(whence), 0)
	return e
}
