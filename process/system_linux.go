package process

import (
	"errors"

	"minidump/internal/linux"
	"minidump/internal/snapshot"
	"minidump/procfs"

	"golang.org/x/sys/unix"
)

// ignoreCase is whether case is ignored in names of modules.
const ignoreCase = false

// linuxProcess is a process on Linux.
type linuxProcess struct{ *linux.Looking }

func openSystem(pid int) (system, error) {
	l, err := linux.Look(pid)
	if err != nil {
		return nil, err
	}
	return linuxProcess{l}, nil
}

func (l linuxProcess) close() error { return l.Close() }

func (l linuxProcess) read(addr uint64, b []byte) (int, error) {
	n, err := l.ReadMemory(addr, b)
	if errors.Is(err, unix.EFAULT) {
		err = because(ErrUnreadable, err)
	}
	return n, err
}

func (l linuxProcess) modules(p *Process) ([]Module, error) {
	var s snapshot.Snapshot
	if err := s.Reserve(); err != nil {
		return nil, err
	}
	defer s.Release()
	if err := l.ReadModules(&s); err != nil {
		return nil, err
	}
	list := make([]Module, s.Modules.N)
	for i := range list {
		l.module(&list[i], &s, s.Modules.At(i))
		list[i].p = p
	}
	return list, nil
}

// module fills in a module from the list of a snapshot.
func (l linuxProcess) module(m *Module, s *snapshot.Snapshot, from *snapshot.Module) {
	m.Path, m.soname = string(s.Bytes.Get(from.Path)), string(s.Bytes.Get(from.Soname))
	m.Name = lastPart(m.Path, "/")
	m.Base = from.Base
	if int(from.MapIndex) < s.Mappings.N && from.MapIndex >= 0 {
		at := s.Mappings.At(int(from.MapIndex))
		m.first = procfs.Mapping{Start: at.Start, End: at.End, Offset: at.Offset, Inode: at.Inode, Major: uint32(at.Dev >> 32),
			Minor: uint32(at.Dev), Name: append([]byte(nil), s.Bytes.Get(at.Name)...)}
		// The base in a dump may be lower: the address to which symbols are relative.
		m.Base = max(from.Base, at.Start)
	}
	m.Size = from.End - m.Base
	switch {
	case from.PE:
		m.format = peFormat
	case !from.Copy:
		m.format = elfFormat
	}
	if from.VDSO {
		m.Name = "linux-gate.so"
	}
	if m.archive = from.InArchive; m.archive && m.soname != "" {
		m.Name = m.soname
	}
	m.id = append([]byte(nil), s.Bytes.Get(from.ID)...)
	m.page, m.order = s.Target.PageSize, s.Target.Order
}

// openedFile is the file of a module, or the part of an archive that contains it.
type openedFile struct {
	*linux.ModuleFile
	off uint64
}

// ReadAt implements elf.Source.
func (f openedFile) ReadAt(b []byte, off uint64) int {
	at := f.off + off
	if at < off {
		return 0
	}
	return f.ModuleFile.ReadAt(b, at)
}

func (l linuxProcess) open(m *Module) (file, error) {
	f, err := l.OpenMapped(&m.first)
	if err != nil {
		return nil, err
	}
	opened := openedFile{ModuleFile: f}
	if m.archive {
		opened.off = m.first.Offset
	}
	return opened, nil
}
