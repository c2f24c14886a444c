package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Data finds the parts of a file that are not holes, such as of shared memory whose pages this process has not all mapped
// in: to read those from the file allocates nothing and changes no page table. It must not lie on a goroutine stack. It
// moves the position of the file.
//
// On hugetlbfs everything counts as data, since its files can't tell (hugetlbfs has no SEEK_DATA of its own); the holes read
// as zeros.
type Data struct {
	position int64
}

// Next returns the first part of the file fd in [start, end) that has data, cut to that range; not ok when there is none. On
// a file system that knows no holes all of the range is data, up to the end of the file where that is known.
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
	if errno == unix.ENXIO || errno == 0 && d.position <= from { // the file has shrunk meanwhile
		return 0, 0, false, 0
	}
	if errno != 0 {
		return 0, 0, false, errno
	}
	return from, min(d.position, end), true, 0
}
