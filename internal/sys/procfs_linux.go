package sys

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rewind sets the position of fd to its start, so that a directory can be listed again.
func Rewind(fd int) Errno {
	_, e := Raw(unix.SYS_LSEEK, uintptr(fd), 0, unix.SEEK_SET, 0, 0, 0)
	return e
}

// Openat2 opens path (NUL-terminated bytes) relative to dirfd as how says (Linux 5.6), again after EINTR. Unlike Open it
// adds no flag of its own. After ForbidOpenat2 it gives ENOSYS.
func Openat2(dirfd int, path []byte, how *unix.OpenHow) (fd int, errno Errno) {
	if noOpenat2.Load() {
		return -1, unix.ENOSYS
	}
	for {
		r, e := Raw(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
			uintptr(unsafe.Pointer(how)), unix.SizeofOpenHow, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return int(r), e
	}
}

var noOpenat2 atomic.Bool

// ForbidOpenat2 makes Openat2 act like an old kernel's, or undoes that. Android's seccomp filter for applications does not
// refuse what it does not know: it kills, and openat2 is not in the filters of most versions.
func ForbidOpenat2(forbid bool) { noOpenat2.Store(forbid) }
