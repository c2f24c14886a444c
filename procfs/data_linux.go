package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Data finds the parts of a file that are not holes, for example in shared memory that this process has mapped only partly.
// Reading those parts from the file allocates nothing and changes no page table. A Data must not lie on a goroutine stack. It
// moves the file offset.
//
// On hugetlbfs everything counts as data, because it does not implement SEEK_DATA; the holes read as zeros.
type Data struct {
	position int64
}

// Next returns the first part of the file fd in [start, end) that has data, cut to that range; not ok if there is none. On a file
// system without holes, all of the range is data, up to the end of the file if that is known.
func (d *Data) Next(fd int, start, end int64) (from, to int64, ok bool, errno sys.Errno) {
	if start < 0 || start >= end {
		return 0, 0, false, 0
	}
	switch errno = sys.Seek(fd, start, unix.SEEK_DATA, &d.position); errno {
	case 0:
	case unix.ENXIO: // no data from start on
		return 0, 0, false, 0
	case unix.EINVAL:
		return start, end, true, 0
	default:
		return 0, 0, false, errno
	}
	if from = max(d.position, start); from >= end {
		return 0, 0, false, 0
	}
	errno = sys.Seek(fd, from, unix.SEEK_HOLE, &d.position)
	if errno == unix.ENXIO || errno == 0 && d.position <= from { // the file has shrunk in between
		return 0, 0, false, 0
	}
	if errno != 0 {
		return 0, 0, false, errno
	}
	return from, min(d.position, end), true, 0
}
