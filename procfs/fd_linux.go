package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// FDs lists the open descriptors of the process in out, in ascending order; scratch and more are as for Tasks.
func (d *Dir) FDs(scratch []byte, out []int32) (n int, more bool, errno sys.Errno) {
	fd, errno := d.OpenFile("fd\x00", unix.O_RDONLY|unix.O_DIRECTORY)
	if errno != 0 {
		return 0, false, errno
	}
	n, more, errno = listNumbers(fd, scratch, out)
	sys.Close(fd)
	return n, more, errno
}

// FDLink reads the link of descriptor fd of the process: a path, or a text like "pipe:[123]". n == len(buf) means that the text
// may be cut: the kernel does not report that. 4096 bytes are always enough; for a path longer than a page the result is
// ENAMETOOLONG instead.
func (d *Dir) FDLink(fd int32, buf []byte) (n int, errno sys.Errno) {
	if fd < 0 || len(buf) == 0 {
		return 0, unix.EINVAL
	}
	n, errno = sys.ReadlinkBytes(d.fd, d.fdPath(fd), buf)
	return min(n, len(buf)), errno
}

// FDStat fills st (mask STATX_BASIC_STATS) for the file of descriptor fd of the process. It contacts no file server: the
// attributes are those that the kernel has cached.
func (d *Dir) FDStat(fd int32, st *unix.Statx_t) sys.Errno {
	if fd < 0 {
		return unix.EINVAL
	}
	return sys.StatxBytes(d.fd, d.fdPath(fd), unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC,
		unix.STATX_BASIC_STATS, st)
}

// fdPath builds "fd/N" with its NUL in d.path.
func (d *Dir) fdPath(fd int32) []byte {
	n := copy(d.path[:], "fd/")
	n = d.number(n, 10, uint64(fd))
	d.path[n] = 0
	return d.path[:n+1]
}
