package procfs

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// OpenMapFile opens for reading the very file that is mapped at [start, end), even if it no longer has a name or its path now
// names another file. The range must be exactly that of a line of maps. EPERM: the caller lacks CAP_CHECKPOINT_RESTORE and
// CAP_SYS_ADMIN. ENOENT: no file is mapped there.
func (d *Dir) OpenMapFile(start, end uint64) (fd int, errno sys.Errno) {
	n := copy(d.path[:], "map_files/")
	n = d.number(n, 16, start)
	d.path[n] = '-'
	n = d.number(n+1, 16, end)
	d.path[n] = 0
	return sys.OpenBytes(d.fd, d.path[:n+1], unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// OpenMapped opens for reading the file that m maps, and fills st (in heap memory) for it. m must be a mapping of this process,
// with Name as in its line of maps. It tries, in this order:
//
//   - map_files, which is always the right file but requires a capability;
//   - the path below the root directory of the process, in its mount namespace (OpenRoot);
//   - the path below the reader's root directory, only if both are in one mount namespace: the kernel writes the paths of maps
//     from the reader's point of view, which matters for a process that has only changed its root.
//
// A file found by its path counts only if it is the mapped one (SameFile), otherwise the result is ESTALE.
func (d *Dir) OpenMapped(m *Mapping, st *unix.Statx_t) (fd int, errno sys.Errno) {
	if fd, errno = d.OpenMapFile(m.Start, m.End); errno == 0 {
		errno = sys.Statx(fd, "\x00", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, st)
		if errno == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
			return fd, 0
		}
		sys.Close(fd)
	}
	name := m.TrimDeleted()
	if len(name) == 0 || name[0] != '/' {
		return -1, unix.EINVAL
	}
	if len(name) >= pathSize {
		return -1, unix.ENAMETOOLONG
	}
	n := UnescapeName(d.path[:], name)
	fd, errno = d.openBelow(d.fd, "root\x00", n, m, st)
	if errno != 0 && d.sameMountNamespace() {
		n = UnescapeName(d.path[:], name)
		if own, ownErrno := d.openBelow(sys.AT_FDCWD, "/\x00", n, m, st); ownErrno == 0 {
			return own, 0
		}
	}
	return fd, errno
}

// sameMountNamespace reports whether the process and the reader have the same mounts. It overwrites d.path. The kernel writes the
// text of these links ("mnt:[INODE]") in a fifth of the time that it takes to follow them.
func (d *Dir) sameMountNamespace() bool {
	const most = 64
	its, own := d.path[:most], d.path[most:2*most]
	n, errno := sys.Readlink(d.fd, "ns/mnt\x00", its)
	if errno != 0 {
		return false
	}
	k, errno := sys.Readlink(sys.AT_FDCWD, "/proc/self/ns/mnt\x00", own)
	return errno == 0 && string(its[:n]) == string(own[:k])
}

// OpenRoot opens for reading the regular file that the process itself would find at path (absolute, without a NUL), and fills st
// (in heap memory, mask STATX_BASIC_STATS) for it. It looks up the path below /proc/PID/root, so the mount namespace and root
// directory are those of the process; neither a symbolic link nor ".." leads out. For the names in maps use OpenMapped.
//
// On kernels without openat2 (before 5.6, or forbidden by a seccomp filter) OpenRoot follows no symbolic link in the path and
// returns ELOOP; the paths that the kernel writes into maps contain none. EINVAL: not an absolute path, or not a regular file (it
// never opens a FIFO or a device). EACCES, EPERM: the caller may not look below root.
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
	return d.openBelow(d.fd, "root\x00", copy(d.path[:], path), nil, st)
}

// openBelow opens the path d.path[:n] below the directory dir (relative to dirFd) as OpenRoot describes. If m is not nil, the
// file must be the one that m maps.
func (d *Dir) openBelow(dirFd int, dir string, n int, m *Mapping, st *unix.Statx_t) (fd int, errno sys.Errno) {
	root, errno := sys.Open(dirFd, dir, unix.O_PATH|unix.O_DIRECTORY)
	if errno != 0 {
		return -1, errno
	}
	// An O_PATH descriptor first: opening a file for reading can have side effects, examining it has none.
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
	fd, errno = d.reopen(handle, m, st)
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

// reopen opens for reading the file of the O_PATH descriptor handle, if it is a regular file and, unless m is nil, the one that m
// maps.
func (d *Dir) reopen(handle int, m *Mapping, st *unix.Statx_t) (fd int, errno sys.Errno) {
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
	if m != nil && !m.SameFile(st) {
		return -1, unix.ESTALE
	}
	n := copy(d.path[:], "/proc/self/fd/")
	n = d.number(n, 10, uint64(handle))
	d.path[n] = 0
	return sys.OpenBytes(sys.AT_FDCWD, d.path[:n+1], unix.O_RDONLY|unix.O_NOCTTY)
}

// SameFile reports whether st is the file that m maps: inode and device are equal. Two devices with major number 0 count as
// equal, because on btrfs maps shows the number of the file system and statx that of the subvolume. On overlayfs before about
// Linux 6.8 maps shows the file of a layer, which is never equal.
func (m *Mapping) SameFile(st *unix.Statx_t) bool {
	if m.Inode == 0 || m.Inode != st.Ino || m.Major != st.Dev_major {
		return false
	}
	return m.Minor == st.Dev_minor || m.Major == 0
}
