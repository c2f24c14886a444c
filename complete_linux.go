package minidump

import (
	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/sys"
	"minidump/procfs"
)

// complete adds what can be read, and works out what can be worked out, while the process runs again.
func (l *live) complete(w *Writer) {
	s := &w.snap
	for i := range s.threads.all() {
		t := s.threads.at(i)
		l.encodeContext(s, t)
		l.readName(s, t)
	}
	s.followLinkMaps(&l.window)
	if w.opts.Omit&OmitHandles == 0 {
		l.readHandles(s)
	}
}

// encodeContext makes the CPU context record of one thread, unless the crash context gave one.
func (l *live) encodeContext(s *snapshot, t *thread) {
	if t.hasRegs || t.gp.len == 0 {
		return
	}
	r := context.Regsets{Arch: s.target.arch, Order: s.target.order, GP: s.bytes.bytes(t.gp)}
	if t.fp.len > 0 {
		r.FP = s.bytes.bytes(t.fp)
	}
	if t.debug.len == 64 {
		b := s.bytes.bytes(t.debug)
		for i := range l.debug {
			l.debug[i] = nativeOrder.Uint64(b[8*i:])
		}
		r.Debug = &l.debug
	}
	rec, b := s.bytes.alloc(s.target.arch.ContextSize())
	if n := r.Encode(b); n > 0 {
		t.context = s.bytes.trim(rec, n)
		t.hasRegs = true
	} else {
		s.bytes.trim(rec, 0)
		s.soft(opRegisters, int32(unix.EINVAL), t.tid, 0)
	}
}

func (l *live) readName(s *snapshot, t *thread) {
	name, b := s.bytes.alloc(64) // TASK_COMM_LEN is 16
	if b == nil {
		return
	}
	n, errno := l.dir.TaskName(t.tid, b)
	t.name = s.bytes.trim(name, n)
	if errno != 0 && errno != unix.ENOENT && errno != unix.ESRCH { // a thread that has ended meanwhile is no error
		s.soft(opName, int32(errno), t.tid, 0)
	}
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
		}
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
		n, errno := l.tracer.Regset(t.tid, note, b[used+8:])
		if errno != 0 || n == 0 {
			continue // this CPU or kernel does not have it
		}
		s.target.order.PutUint32(b[used:], note)
		s.target.order.PutUint32(b[used+4:], uint32(n))
		used += 8 + n
		for used&7 != 0 && used < len(b) {
			b[used] = 0
			used++
		}
	}
	t.extra = s.bytes.trim(all, used)
}

// maxRegsets bounds what one thread's further register sets take: SVE at its longest vectors is the largest.
const maxRegsets = 64 << 10

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
