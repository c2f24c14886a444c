package darwin

import (
	"minidump/internal/snapshot"
	"minidump/mach"
)

// readHandles lists the open descriptors: the kind of each, and the path of a file.
func (l *Source) readHandles(s *snapshot.Snapshot) {
	n, err := mach.ProcListFDs(int(l.pid), l.fds)
	if err != nil {
		s.Soft(snapshot.OpHandles, 0, 0, 0)
		return
	}
	if n == len(l.fds) {
		s.Soft(snapshot.OpTruncated, 0, 0, uint64(n))
	}
	for _, fd := range l.fds[:n] {
		h := s.Handles.Add()
		if h == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, uint64(fd.FD))
			return
		}
		h.FD, h.NoType = fd.FD, true
		h.Type = s.Bytes.PutString(fdType(fd.Type))
		switch fd.Type {
		case mach.PROX_FDTYPE_VNODE:
			if err := l.vnode.Read(int(l.pid), int(fd.FD)); err != nil {
				s.Soft(snapshot.OpHandle, 0, 0, uint64(fd.FD)) // closed in the meantime
				continue
			}
			h.Mode, h.NoType = uint32(l.vnode.Mode), false
			h.Target = s.Put(l.vnode.Path())
		case mach.PROX_FDTYPE_SOCKET:
			if err := l.socket.Read(int(l.pid), int(fd.FD)); err != nil {
				s.Soft(snapshot.OpHandle, 0, 0, uint64(fd.FD))
				continue
			}
			h.Target = s.Put(appendSocket(l.path[:0], &l.socket))
		}
	}
}
