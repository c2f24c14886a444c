package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// ReadVMFlags reads the smaps file of the process through r, which it resets first, up to the address end or the end of the
// address space (r.Until records how far). Each piece is read into buf, which should have a page or more.
//
// The kernel walks all page tables for this, at some 20 ns per present page: 20 ms for 4 GiB. There is no cheaper way to get
// these flags (PROCMAP_QUERY has only permissions; smaps can't be read from the middle). So use it before the stop, and in modes
// that read memory which the program may have marked. ENOENT: the kernel has no smaps.
func (d *Dir) ReadVMFlags(buf []byte, end uint64, r *SmapsReader) sys.Errno {
	r.Reset()
	fd, errno := d.OpenFile("smaps\x00", unix.O_RDONLY)
	if errno != 0 {
		return errno
	}
	for r.Until < end && !r.More {
		var n int
		if n, errno = sys.ReadLong(fd, buf); errno != 0 || n <= 0 {
			break
		}
		r.Write(buf[:min(n, len(buf))])
	}
	sys.Close(fd)
	return errno
}
