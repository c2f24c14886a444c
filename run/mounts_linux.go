package run

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Mounts are the files of a mount namespace other than this process's, such as a container's. They can be read even after the process
// in that namespace has ended.
type Mounts struct {
	// Root is a path of this process that leads to the root of the namespace: /proc/self/fd/N. File names in /proc/PID/maps and in the
	// dump are relative to it, even if the process had changed its root (d_path in fs/d_path.c of Linux).
	Root string
	// Info is /proc/PID/mountinfo of the dead process.
	Info []byte

	namespace, root int // descriptors. The first one keeps the mounts below the root alive
}

// mountsOf returns the mounts of a process that still exists; nil if they are those of this process, or can't be
// opened.
func mountsOf(pid int) *Mounts {
	proc := "/proc/" + strconv.Itoa(pid)
	if sameNamespace(proc) {
		return nil
	}
	m := &Mounts{}
	var err error
	if m.namespace, err = unix.Open(proc+"/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil
	}
	if m.root, err = topOf(proc + "/root"); err != nil {
		unix.Close(m.namespace)
		return nil
	}
	if m.Info, err = os.ReadFile(proc + "/mountinfo"); err != nil {
		m.close()
		return nil
	}
	m.Root = "/proc/self/fd/" + strconv.Itoa(m.root)
	return m
}

// sameNamespace reports whether a process is in this process's mount namespace. It returns true if that is not known.
func sameNamespace(proc string) bool {
	var x, y unix.Stat_t
	if unix.Stat(proc+"/ns/mnt", &x) != nil || unix.Stat("/proc/self/ns/mnt", &y) != nil {
		return true
	}
	return x.Dev == y.Dev && x.Ino == y.Ino
}

// topOf opens the root of a folder's mount namespace. This process's own root, at which ".." would stop, is in another namespace.
func topOf(folder string) (int, error) {
	const flags, most = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, 64 // folders
	fd, err := unix.Open(folder, flags, 0)
	for range most {
		if err != nil {
			return -1, err
		}
		var here, above unix.Stat_t
		up, err := unix.Openat(fd, "..", flags, 0)
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		err1, err2 := unix.Fstat(fd, &here), unix.Fstat(up, &above)
		unix.Close(fd)
		if fd = up; err1 != nil || err2 != nil || here.Dev == above.Dev && here.Ino == above.Ino {
			break
		}
	}
	return fd, nil
}

func (m *Mounts) close() {
	if m != nil {
		unix.Close(m.root)
		unix.Close(m.namespace)
	}
}
