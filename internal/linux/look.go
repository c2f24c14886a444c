//go:build linux

package linux

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/sys"
	"minidump/procfs"

	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// Looking is a process that runs while its memory is read and its modules are listed. It is neither stopped nor traced.
// Package process uses it to read a process.
type Looking struct{ Reader }

// Look opens a process. The error is ErrNoProcess if it has ended, ErrPermission if its memory must not be read, and
// ErrUnsupported if it is a kernel thread, or if it is a 64-bit process and this is a 32-bit program.
func Look(pid int) (*Looking, error) {
	l := new(Looking)
	if _, err := l.open(pid); err != nil {
		return nil, errors.Unwrap(err) // without the text of the wrapping error, which is about a dump
	}
	if err := l.begin(); err != nil {
		l.Reader.Close()
		return nil, err
	}
	return l, nil
}

func (l *Looking) begin() error {
	t := &l.facts.target
	*t = snapshot.Target{Arch: l.native, Order: sys.NativeOrder, PageSize: uint64(syscall.Getpagesize()), Android: IsAndroid()}
	if t.Android {
		sys.ForbidOpenat2(true)
	}
	l.facts.clockTick = 100 // readStat divides by it
	if err := l.readStat(new(snapshot.Snapshot)); err != nil {
		return err
	}
	if err := l.findArch(); err != nil {
		return err
	}
	if errno := l.refused(); errno != 0 {
		return systemError(errno)
	}
	return nil
}

// Target returns the architecture and word size of the process.
func (l *Looking) Target() *snapshot.Target { return &l.facts.target }

// refused returns why no memory of the process can be read, or 0 if some can.
func (l *Looking) refused() sys.Errno {
	if l.living == 0 {
		n, errno := l.dir.TaskFile(l.pid, "stat\x00", l.scratch.bytes)
		if errno == unix.ENOENT || errno == unix.ESRCH {
			return unix.ESRCH
		}
		// For a process without memory, too, the kernel reports that it may not be read.
		if st := &l.scratch.stat; errno == 0 && st.Parse(l.scratch.bytes[:n]) && (st.State == 'Z' || st.State == 'X') {
			return unix.ESRCH
		}
	}
	fd, errno := l.dir.OpenFile("mem\x00", unix.O_RDONLY)
	switch errno {
	case 0:
		sys.Close(fd)
	case unix.EACCES, unix.EPERM, unix.ESRCH:
		return errno
	}
	return 0 // the memory may be readable without this file
}

// ReadMemory reads memory at addr into p up to the first unreadable byte, and returns how many bytes that is. Pages that
// the process has never used are read too. The read blocks until missing pages are delivered (by a userfaultfd or a file
// server). The error, if not all of p was read, is EFAULT, or ErrNoProcess or ErrPermission.
func (l *Looking) ReadMemory(addr uint64, p []byte) (n int, err error) {
	all := len(p)
	if uint64(uintptr(addr)) != addr {
		p = nil
	}
	p = p[:min(uint64(len(p)), uint64(^uintptr(addr)))]
	for try := 0; n < len(p) && try < readTries; try++ {
		if try > 0 { // it may have executed another program, or the thread through which it is read has ended
			l.mem.close()
			l.followLiving()
		}
		l.mem.slow.stuck = false
		got := l.mem.readSlowly(addr+uint64(n), p[n:])
		// If the thread still exists, its id was not yet that of another process during the read.
		if l.exists() {
			n += got
		}
	}
	if n == all {
		return n, nil
	}
	if errno := l.refused(); errno != 0 {
		return n, systemError(errno)
	}
	return n, unix.EFAULT
}

// readTries is how often ReadMemory tries to read memory that it can't read.
const readTries = 3

// exists reports whether the thread through which the process is read still exists, possibly as a zombie.
func (l *Looking) exists() bool {
	return sys.Statx(l.dir.Fd(), "stat\x00", unix.AT_NO_AUTOMOUNT, 0, &l.scratch.statx) == 0
}

// ReadModules fills the memory map and the module list of s. Their order and names are the same as in a dump. It reads only
// memory and files that are available at once, as a dump does.
func (l *Looking) ReadModules(s *snapshot.Snapshot) error {
	s.Target, s.Proc.PID = l.facts.target, l.pid
	if err := l.readStat(s); err != nil {
		return err
	}
	n, _, errno := l.dir.ReadFile("auxv\x00", l.scratch.bytes)
	if errno == 0 {
		auxv := procfs.ParseAuxv(l.scratch.bytes[:n], s.Target.WordSize(), s.Target.Order)
		s.AdoptAuxv(&auxv)
	}
	l.mem.begin(s)
	defer l.mem.begin(nil)
	if errno := l.readMaps(s); errno != 0 {
		return errtext.Wrap(systemError(errno), "read maps")
	}
	images.Identify(s, (*lookSource)(l))
	return nil
}

// lookSource adapts a Looking to images.Identify.
type lookSource Looking

func (l *lookSource) Capture(*snapshot.Snapshot) error { return snapshot.ErrUnsupported }
func (l *lookSource) Complete(*snapshot.Snapshot)      {}
func (l *lookSource) Release(*snapshot.Snapshot) error { return nil }
func (l *lookSource) Identify(s *snapshot.Snapshot, m *snapshot.Module) {
	l.Reader.Identify(s, m)
}
func (l *lookSource) Memory() snapshot.Memory        { return l.Reader.Memory() }
func (l *lookSource) Process() (int, string)         { return l.Reader.Process() }
func (l *lookSource) IsGo(s *snapshot.Snapshot) bool { return l.Reader.IsGo(s) }
func (l *lookSource) Close() error                   { return nil }

// ModuleFile is the open file of a module.
type ModuleFile struct{ fdSource }

// Close closes the file.
func (f *ModuleFile) Close() { sys.Close(f.fd) }

// OpenMapped opens the file of a mapping: see procfs.Dir.OpenMapped. It fails with EREMOTE, and does not access the file,
// if that is on a file server, which might never answer.
func (l *Looking) OpenMapped(m *procfs.Mapping) (*ModuleFile, error) {
	kind := l.mem.backingOf(&snapshot.Mapping{Inode: m.Inode, Dev: uint64(m.Major)<<32 | uint64(m.Minor)})
	if kind != backingDisk && kind != backingMemory {
		return nil, unix.EREMOTE
	}
	fd, errno := l.dir.OpenMapped(m, &l.scratch.statx)
	if errno != 0 {
		return nil, errno
	}
	return &ModuleFile{fdSource{fd}}, nil
}
