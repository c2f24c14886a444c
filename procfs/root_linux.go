package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// OpenMapFile opens for reading the very file that is mapped at [start, end), also when it has no name any more or its
// path now leads elsewhere. The range must be exactly that of a line of maps. EPERM: the caller lacks
// CAP_CHECKPOINT_RESTORE and CAP_SYS_ADMIN. ENOENT: no file is mapped there.
func (d *Dir) OpenMapFile(start, end uint64) (fd int, errno sys.Errno) {
	n := copy(d.path[:], "map_files/")
	n = appendHex(d.path[:], n, start)
	d.path[n] = '-'
	n = appendHex(d.path[:], n+1, end)
	d.path[n] = 0
	return sys.OpenBytes(d.fd, d.path[:n+1], unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// OpenRoot opens for reading the regular file that the process itself would find at path (absolute, without a NUL; as in a
// line of maps after UnescapeName and TrimDeleted), and fills st (in heap memory, mask STATX_BASIC_STATS) for it. The
// path is looked up below /proc/PID/root, so the mount namespace and root directory are those of the process; neither
// a symbolic link nor ".." leads out. It can be another file than the mapped one, see SameFile.
//
// On kernels without openat2 (before 5.6, or forbidden by a seccomp filter) a symbolic link in the path is not
// followed but gives ELOOP: the paths that the kernel writes into maps have none. EINVAL: not an absolute path, or not a
// regular file (a FIFO or a device is never opened). EACCES, EPERM: the caller may not look below root.
func (d *Dir) OpenRoot(path []byte, st *unix.Statx_t) (fd int, errno sys.Errno) {
	if len(path) == 0 || path[0] != '/' {
		return -1, unix.EINVAL
	}
	if len(path) >= pathSize {
		return -1, unix.ENAMETOOLONG
	}
	for _, c := range path {
		if c == 0 {
			return -1, unix.EINVAL
		}
	}
	root, errno := sys.Open(d.fd, "root\x00", unix.O_PATH|unix.O_DIRECTORY)
	if errno != 0 {
		return -1, errno
	}
	// An O_PATH descriptor first: to open a file for reading can have effects, to look at it has none.
	n := copy(d.path[:], path)
	d.path[n] = 0
	d.how = unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	handle, errno := sys.Openat2(root, d.path[:n+1], &d.how)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		handle, errno = d.walk(root, n)
	}
	sys.Close(root)
	if errno != 0 {
		return -1, errno
	}
	fd, errno = d.reopen(handle, st)
	sys.Close(handle)
	return fd, errno
}

// walk opens the absolute path in d.path[:n] below root without following any symbolic link, as an O_PATH descriptor.
func (d *Dir) walk(root, n int) (fd int, errno sys.Errno) {
	at := -1
	for i := 0; i < n; {
		for i < n && d.path[i] == '/' {
			i++
		}
		start := i
		for i < n && d.path[i] != '/' {
			i++
		}
		if start == i {
			break
		}
		last := i == n
		d.path[i] = 0
		flags := unix.O_PATH | unix.O_NOFOLLOW
		if !last {
			flags |= unix.O_DIRECTORY
		}
		component := d.path[start : i+1]
		dir := at
		if dir < 0 {
			dir = root
		}
		if string(component) == "..\x00" {
			fd, errno = -1, unix.ELOOP
		} else {
			fd, errno = sys.OpenBytes(dir, component, flags)
		}
		if at >= 0 {
			sys.Close(at)
		}
		if errno != 0 {
			return -1, errno
		}
		at = fd
		i++
	}
	if at < 0 {
		return -1, unix.EINVAL
	}
	return at, 0
}

// reopen opens for reading what the O_PATH descriptor handle stands for, if that is a regular file.
func (d *Dir) reopen(handle int, st *unix.Statx_t) (fd int, errno sys.Errno) {
	errno = sys.Statx(handle, "\x00", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, st)
	if errno != 0 {
		return -1, errno
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFLNK:
		return -1, unix.ELOOP
	default:
		return -1, unix.EINVAL
	}
	n := copy(d.path[:], "/proc/self/fd/")
	n = appendDecimal(d.path[:], n, uint64(handle))
	d.path[n] = 0
	return sys.OpenBytes(sys.AT_FDCWD, d.path[:n+1], unix.O_RDONLY|unix.O_NOCTTY)
}

// SameFile says whether st is the file that m maps: device and inode are equal. On some file systems (btrfs, and overlayfs
// before Linux 6.6 or so) maps shows another device than statx, so false does not prove that they differ.
func (m *Mapping) SameFile(st *unix.Statx_t) bool {
	return m.Inode != 0 && m.Inode == st.Ino && m.Major == st.Dev_major && m.Minor == st.Dev_minor
}
