//go:build linux

package linux

import (
	"bytes"

	"golang.org/x/sys/unix"

	"minidump/elf"
	"minidump/internal/sys"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// fdSource reads an ELF image from a file descriptor.
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

// Identify reads the build id from the file that a module is mapped from: through /proc/PID/map_files, which refers to the inode,
// or else by its path below the process's root if that is still the same file. It never opens a path in the dumper's own mount
// namespace, where it may be another file. A library in an archive that has no SONAME is named after its entry in the archive.
func (p *Reader) Identify(s *snapshot.Snapshot, m *snapshot.Module) {
	if m.Path.Len == 0 {
		m.Path = p.exePath(s)
		m.Name = m.Path
	}
	if m.VDSO || m.MapIndex < 0 || int(m.MapIndex) >= s.Mappings.N {
		return
	}
	first := s.Mappings.At(int(m.MapIndex))
	if first.Kind != snapshot.MapFile {
		return
	}
	if kind := p.mem.backingOf(first); kind != backingDisk && kind != backingMemory {
		if m.ID.Len == 0 {
			p.notIdentified(s, m, unix.EREMOTE)
		}
		return
	}
	fd, errno := p.dir.OpenMapFile(first.Start, first.End)
	if errno != 0 {
		fd, errno = p.openSame(s, first)
	}
	if errno != 0 {
		p.notIdentified(s, m, errno)
		return
	}
	p.lookup.file.fd = fd
	if m.InArchive && m.Soname.Len == 0 {
		p.nameEntry(s, m, first.Offset)
	}
	if m.ID.Len > 0 {
		sys.Close(fd)
		return
	}
	p.lookup.view.Source, p.lookup.view.Off, p.lookup.view.Size = &p.lookup.file, 0, ^uint64(0)
	if m.InArchive {
		p.lookup.view.Off, p.lookup.view.Size = first.Offset, 1<<62
	}
	p.lookup.layout.PageSize = s.Target.PageSize
	if id, kind, ok := p.lookup.images.BuildIDOf(&p.lookup.view, p.lookup.layout); ok && kind != elf.IDNone {
		m.ID = s.Put(id)
	} else {
		s.SoftModule(snapshot.OpModuleID, m)
	}
	p.lookup.images.Close()
	sys.Close(fd)
}

// notIdentified records why the file of a module was not read. EREMOTE: it is on a file server, which might never answer.
func (p *Reader) notIdentified(s *snapshot.Snapshot, m *snapshot.Module, errno sys.Errno) {
	if e := s.Soft(snapshot.OpModuleID, int32(errno), 0, m.Base); e != nil {
		e.Text = m.Path
	}
}

// nameEntry sets m.Soname to the last part of the name of the entry at offset off of the open archive.
func (p *Reader) nameEntry(s *snapshot.Snapshot, m *snapshot.Module, off uint64) {
	if sys.Statx(p.lookup.file.fd, "\x00", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_SIZE, &p.scratch.statx) != 0 {
		return
	}
	if e, ok := p.lookup.zip.At(&p.lookup.file, p.scratch.statx.Size, off); ok {
		m.Soname = s.Put(e.Name[bytes.LastIndexByte(e.Name, '/')+1:])
	}
}

// openSame opens the file of a mapping by its path below the root of the process. It fails with ESTALE if another file is there now.
func (p *Reader) openSame(s *snapshot.Snapshot, m *snapshot.Mapping) (int, sys.Errno) {
	if m.Deleted {
		return -1, unix.ENOENT
	}
	fd, errno := p.dir.OpenRoot(s.Bytes.Get(m.Name), &p.scratch.statx)
	if errno != 0 {
		return -1, errno
	}
	if p.scratch.statx.Ino != m.Inode {
		sys.Close(fd)
		return -1, unix.ESTALE
	}
	return fd, 0
}

// exePath returns the path of the program file.
func (p *Reader) exePath(s *snapshot.Snapshot) arena.Span {
	path, b := s.Bytes.Alloc(4096)
	if b == nil {
		return arena.Span{}
	}
	n, errno := sys.Readlink(p.dir.Fd(), "exe\x00", b)
	if errno != 0 {
		n = 0
	}
	return s.Bytes.Trim(path, n)
}
