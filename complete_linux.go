package minidump

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"
)

// complete adds what can be read, and works out what can be worked out, while the process runs again.
func (l *live) complete(w *Writer) {
	s := &w.snap
	for i := range s.threads.all() {
		t := s.threads.at(i)
		s.checkContext(t)
		l.readName(s, t)
	}
	s.followLinkMaps(&l.window)
	if w.opts.Omit&OmitHandles == 0 {
		l.readHandles(s)
	}
}

func (l *live) readName(s *snapshot, t *thread) {
	name, b := s.bytes.alloc(64) // TASK_COMM_LEN is 16
	if b == nil {
		s.soft(opTruncated, 0, t.tid, 0)
		return
	}
	n, errno := l.dir.TaskName(t.tid, b)
	t.name = s.bytes.trim(name, n)
	if errno != 0 && errno != unix.ENOENT && errno != unix.ESRCH { // a thread that has ended meanwhile is no error
		s.soft(opName, int32(errno), t.tid, 0)
	}
}

// process tells who is dumped.
func (l *live) process() (int, string) {
	name := make([]byte, 64)
	n, _ := l.dir.TaskName(l.pid, name)
	return int(l.pid), string(name[:n])
}

// readHandles lists the open descriptors: what each is and what it is called.
func (l *live) readHandles(s *snapshot) {
	for want := 1024; ; want *= 4 {
		l.tids.clear()
		out := l.tids.extend(want)
		if out == nil {
			s.soft(opTruncated, 0, 0, 0)
			return
		}
		n, more, errno := l.dir.FDs(l.scratch, out)
		if errno != 0 {
			s.soft(opHandles, int32(errno), 0, 0)
			return
		}
		if !more {
			l.tids.n = n
			break
		}
	}
	noStat := false // the kernel does not have the call
	for _, fd := range l.tids.all() {
		target, b := s.bytes.alloc(4096) // PATH_MAX
		if b == nil {
			s.soft(opTruncated, 0, 0, uint64(fd))
			return
		}
		n, errno := l.dir.FDLink(fd, b)
		target = s.bytes.trim(target, n)
		if errno == unix.ENOENT { // closed meanwhile
			continue
		}
		h := s.handles.add()
		if h == nil {
			s.soft(opTruncated, 0, 0, uint64(fd))
			return
		}
		h.fd, h.target = fd, target
		if errno != 0 {
			s.soft(opHandle, int32(errno), 0, uint64(fd))
		}
		if errno = l.dir.FDStat(fd, &l.stat); errno == 0 {
			h.mode = uint32(l.stat.Mode)
			continue
		}
		h.noType = true
		if errno == unix.ENOENT || errno == unix.ENOSYS && noStat { // closed meanwhile; told already
			continue
		}
		s.soft(opHandle, int32(errno), 0, uint64(fd))
		noStat = noStat || errno == unix.ENOSYS
	}
}

// readRegsets stores the register sets that the context record has no room for, each as type, size and bytes.
func (l *live) readRegsets(s *snapshot, t *thread) {
	all, b := s.bytes.alloc(maxRegsets)
	if b == nil {
		s.soft(opTruncated, 0, t.tid, 0)
		return
	}
	used := 0
	for _, note := range regsetNotes(s.target.arch) {
		if len(b)-used < 8 {
			break
		}
		// The kernel wants room for whole registers, of 32 bytes at most.
		n, errno := l.tracer.Regset(t.tid, note, b[used+8:used+8+(len(b)-used-8)&^31])
		if errno == unix.EIO && note != ntMIPSDSP || errno == unix.ESRCH { // a MIPS without DSP says EIO
			s.soft(opRegsets, int32(errno), t.tid, 0)
		}
		if errno != 0 || n == 0 {
			continue // this CPU or kernel does not have it
		}
		used = s.endRegset(b, used, note, n)
	}
	t.extra = s.bytes.trim(all, used)
}

// readAll reads fd to its end into the arena and closes it.
func readAll(a *bytesArena, fd int) (span, sys.Errno) {
	start := (a.used + 15) &^ 15
	size := uintptr(0)
	for {
		if !a.ensure(start + size + arenaStep) {
			sys.Close(fd)
			return span{}, unix.ENOMEM
		}
		n, more, errno := procfs.ReadFd(fd, a.bytes(span{uint32(start + size), arenaStep}))
		size += uintptr(n)
		if errno != 0 {
			sys.Close(fd)
			return span{}, errno
		}
		if !more {
			break
		}
	}
	sys.Close(fd)
	a.used = start + size
	return span{uint32(start), uint32(size)}, 0
}
