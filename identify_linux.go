package minidump

import (
	"bytes"

	"golang.org/x/sys/unix"

	"minidump/elf"
	"minidump/internal/sys"
)

// fdSource reads a file as an ELF image.
type fdSource struct{ fd int }

func (f *fdSource) ReadAt(p []byte, off uint64) int {
	if off > 1<<62 {
		return 0
	}
	n := 0
	for n < len(p) {
		k, errno := sys.Pread(f.fd, p[n:], int64(off)+int64(n))
		if errno != 0 || k <= 0 {
			break
		}
		n += k
	}
	return n
}

// identify looks into the file that a module is mapped from: the very inode, by /proc/PID/map_files, else by its path
// below the process's own root, if that still is the same file. The dumper's own mount namespace is never looked at,
// where the path may be another file. A library in an archive that has no SONAME gets the name it has there.
func (l *live) identify(w *Writer, m *module) {
	s := &w.snap
	if m.path.len == 0 {
		m.path = l.exePath(s)
		m.name = m.path
	}
	if m.gate || m.mapIndex < 0 || int(m.mapIndex) >= s.mappings.n {
		return
	}
	first := s.mappings.at(int(m.mapIndex))
	if first.kind != mapFile {
		return
	}
	fd, errno := l.dir.OpenMapFile(first.start, first.end)
	if errno != 0 {
		fd, errno = l.openSame(s, first)
	}
	if errno != 0 {
		if e := s.soft(opModuleID, int32(errno), 0, m.base); e != nil {
			e.text = m.path
		}
		return
	}
	l.file.fd = fd
	if m.inArchive && m.soname.len == 0 {
		l.nameEntry(s, m, first.offset)
	}
	if m.id.len > 0 {
		sys.Close(fd)
		return
	}
	l.view.Source, l.view.Off, l.view.Size = &l.file, 0, ^uint64(0)
	if m.inArchive {
		l.view.Off, l.view.Size = first.offset, 1<<62
	}
	l.layout.PageSize = s.target.pageSize
	if id, kind, ok := l.images.BuildIDOf(&l.view, l.layout); ok && kind != elf.IDNone {
		m.id = s.put(id)
	} else {
		s.softModule(opModuleID, m)
	}
	l.images.Close()
	sys.Close(fd)
}

// nameEntry takes the last part of the name that the archive, which is open, gives to what lies at an offset.
func (l *live) nameEntry(s *snapshot, m *module, off uint64) {
	if sys.Statx(l.file.fd, "\x00", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_SIZE, &l.stat) != 0 {
		return
	}
	if e, ok := l.zip.At(&l.file, l.stat.Size, off); ok {
		m.soname = s.put(e.Name[bytes.LastIndexByte(e.Name, '/')+1:])
	}
}

// openSame opens the file of a mapping by its path below the root of the process.
func (l *live) openSame(s *snapshot, m *mapping) (int, sys.Errno) {
	if m.deleted {
		return -1, unix.ENOENT
	}
	fd, errno := l.dir.OpenRoot(s.bytes.bytes(m.name), &l.stat)
	if errno != 0 {
		return -1, errno
	}
	if l.stat.Ino != m.inode {
		sys.Close(fd)
		return -1, unix.ESTALE
	}
	return fd, 0
}

// exePath gives the path of the program file.
func (l *live) exePath(s *snapshot) span {
	p, b := s.bytes.alloc(4096)
	if b == nil {
		return span{}
	}
	n, errno := sys.Readlink(l.dir.Fd(), "exe\x00", b)
	if errno != 0 {
		n = 0
	}
	return s.bytes.trim(p, n)
}
