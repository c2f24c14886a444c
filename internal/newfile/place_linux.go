package newfile

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is an open folder (O_PATH). Everything in it is done relative to the descriptor: a user who can rename the
// folder, or a folder above it, cannot redirect a new file to another place.
type folder struct {
	fd   int
	name string // for errors
}

// maxLinks is the maximum number of symbolic links in a path, like MAXSYMLINKS of the kernel's namei.h.
const maxLinks = 40

// openFolder opens the folder dir.
func openFolder(dir string) (folder, error) {
	p := Place{folder: folder{fd: -1}}
	if err := p.walk(dir+"/", true); err != nil {
		return p.folder, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	p.name = dir
	return p.folder, nil
}

// MakeFolder creates the folder dir and its parents, with the permissions perm, as far as they do not exist. It
// follows links as Create does.
func MakeFolder(dir string, perm fs.FileMode) error {
	p := Place{folder: folder{fd: -1}, perm: perm}
	defer p.Close()
	if err := p.walk(dir+"/", true); err != nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}

func (d *folder) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// enter replaces the open folder with the one called name in it.
func (d *folder) enter(name string, flags int) error {
	at := d.fd
	if at < 0 {
		at = unix.AT_FDCWD
	}
	fd, err := again(func() (int, error) {
		return unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
	})
	if err != nil {
		return err
	}
	d.close()
	d.fd = fd
	return nil
}

// walk opens the folders of path one name after another, and stores the last name in p.Name; a path that ends with
// "/" has none. It follows only links that the owner of the process or root made, or that nobody else could have
// made. The last name is followed only if follow is set.
//
// The kernel's own walk would follow any link, and its protected_symlinks checks only links in sticky folders.
func (p *Place) walk(path string, follow bool) error {
	if err := p.enter(".", 0); err != nil {
		return err
	}
	if err := p.start(path); err != nil {
		return err
	}
	for links := 0; ; {
		path = strings.TrimLeft(path, "/")
		name, rest, more := strings.Cut(path, "/")
		if name == "" { // the path ends with "/"
			p.Name = ""
			return nil
		}
		fd, st, err := p.openStep(name, more)
		if !more && errors.Is(err, unix.ENOENT) {
			p.Name = name
			return nil
		}
		if err != nil {
			return err
		}
		isLink := st.Mode&unix.S_IFMT == unix.S_IFLNK
		switch {
		case !more && !(isLink && follow):
			unix.Close(fd)
			p.Name = name
			return nil
		case isLink:
			if links++; links > maxLinks {
				unix.Close(fd)
				return unix.ELOOP
			}
			done, next, err := p.followLink(fd, &st, name, rest, more)
			if err != nil || done {
				return err
			}
			path = next
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			unix.Close(fd)
			return unix.ENOTDIR
		default:
			p.close()
			p.fd, path = fd, rest
		}
	}
}

// start replaces the folder with the root if path starts with a slash.
func (p *Place) start(path string) error {
	if strings.HasPrefix(path, "/") {
		return p.enter("/", 0)
	}
	return nil
}

// openStep opens name, and creates it as a folder if it does not exist, more of the path follows, and folders may be created.
func (p *Place) openStep(name string, more bool) (fd int, st unix.Stat_t, err error) {
	fd, err = p.openPath(name)
	if errors.Is(err, unix.ENOENT) && more && p.perm != 0 {
		if err = unix.Mkdirat(p.fd, name, uint32(p.perm)); err == nil || errors.Is(err, unix.EEXIST) {
			fd, err = p.openPath(name)
		}
	}
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// followLink follows the link that is open as fd, and closes fd. Then either the walk is done, or it continues with the path next.
func (p *Place) followLink(fd int, st *unix.Stat_t, name, rest string, more bool) (done bool, next string, err error) {
	target, err := readLink(fd)
	unix.Close(fd)
	if err != nil {
		return false, "", err
	}
	if err := p.trusts(st); err != nil {
		return false, "", err
	}
	switch magic := p.magic(); {
	case magic && more: // the text of a procfs link is not always a path
		return false, rest, p.enter(name, 0)
	case magic && !strings.HasPrefix(target, "/"):
		p.Name = name
		return true, "", nil
	}
	if more {
		target += "/" + rest
	}
	return false, target, p.start(target)
}

// openPath opens name, even if it is a link (O_PATH): all later checks of the descriptor are about the same file.
func (d *folder) openPath(name string) (int, error) {
	return again(func() (int, error) { return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) })
}

// readLink returns the text of an open link.
func readLink(fd int) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := again(func() (int, error) { return unix.Readlinkat(fd, "", b) })
	return string(b[:n]), err
}

// trusts returns nil if only the owner of this process or root can have put the file described by st into the folder.
func (d *folder) trusts(st *unix.Stat_t) error {
	if own(st) {
		return nil
	}
	var dir unix.Stat_t
	if err := unix.Fstat(d.fd, &dir); err != nil {
		return err
	}
	const othersWrite = 0o022
	if own(&dir) && dir.Mode&othersWrite == 0 {
		return nil
	}
	return ErrForeign
}

func own(st *unix.Stat_t) bool { return st.Uid == 0 || st.Uid == uint32(unix.Geteuid()) }

// magic reports whether the folder is on procfs.
func (d *folder) magic() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(d.fd, &st) == nil && int64(st.Type) == unix.PROC_SUPER_MAGIC
}

// Find finds the place of path. The last name is followed, if it is a link, only if follow is set. Links, there and
// in the folders of path, are followed only if nobody except the owner of this process and root can have made them.
func Find(path string, follow bool) (*Place, error) {
	p := &Place{folder: folder{fd: -1}, path: path}
	err := p.walk(path, follow)
	if err == nil {
		err = p.look()
	}
	if err != nil {
		p.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	p.folder.name, _ = split(path)
	return p, nil
}

// look sets Mode.
func (p *Place) look() error {
	if p.Name == "" || p.Name == "." || p.Name == ".." {
		p.Mode = fs.ModeDir
		return nil
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if p.magic() {
		flags = 0
	}
	var st unix.Stat_t
	err := unix.Fstatat(p.fd, p.Name, &st, flags)
	switch {
	case errors.Is(err, unix.ENOENT):
		p.Mode, err = 0, nil
	case err != nil:
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		p.Mode = fs.ModeDir
	case st.Mode&unix.S_IFMT == unix.S_IFREG:
		p.Mode = 0
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		p.Mode = fs.ModeSymlink
	case st.Mode&unix.S_IFMT == unix.S_IFIFO:
		p.Mode = fs.ModeNamedPipe
	case st.Mode&unix.S_IFMT == unix.S_IFSOCK:
		p.Mode = fs.ModeSocket
	default:
		p.Mode = fs.ModeDevice
	}
	return err
}

// Open opens the existing file for writing. It must not be a regular file.
func (p *Place) Open() (*File, error) {
	fd, err := p.openSpecial()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p.path, Err: err}
	}
	p.Close()
	return &File{file: file{fd, p.path}, dir: folder{fd: -1}}, nil
}

func (p *Place) openSpecial() (fd int, err error) {
	magic := p.magic()
	flags := unix.O_WRONLY | unix.O_CLOEXEC
	if !magic {
		flags |= unix.O_NOFOLLOW
		// Check before opening: opening a pipe waits for its reader, and opening some devices has effects.
		var st unix.Stat_t
		if err = unix.Fstatat(p.fd, p.Name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
			err = p.trusts(&st)
		}
		if err != nil {
			return -1, err
		}
	}
	fd, err = again(func() (int, error) { return unix.Openat(p.fd, p.Name, flags, 0) })
	if err != nil || magic {
		return fd, err
	}
	// Check again: it may be another file now.
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		if err = p.trusts(&st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			err = unix.EEXIST
		}
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// Fd returns the descriptor of the folder (O_PATH), which Close closes.
func (p *Place) Fd() int { return p.fd }

// Close closes the folder.
func (p *Place) Close() { p.folder.close() }
