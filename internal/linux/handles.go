//go:build linux

package linux

import (
	"golang.org/x/sys/unix"

	"minidump/internal/snapshot"
)

// readHandles lists the open descriptors, with their types and names.
func (p *Reader) readHandles(s *snapshot.Snapshot) {
	p.program.userfault = false
	for want := 1024; ; want *= 4 {
		p.scratch.tids.Clear()
		out := p.scratch.tids.Extend(want)
		if out == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, 0)
			return
		}
		n, more, errno := p.dir.FDs(p.scratch.bytes, out)
		if errno != 0 {
			s.Soft(snapshot.OpHandles, int32(errno), 0, 0)
			return
		}
		if !more {
			p.scratch.tids.N = n
			break
		}
	}
	noStat := false // the kernel does not have this call
	for _, fd := range p.scratch.tids.All() {
		target, b := s.Bytes.Alloc(4096) // PATH_MAX
		if b == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, uint64(fd))
			return
		}
		n, errno := p.dir.FDLink(fd, b)
		target = s.Bytes.Trim(target, n)
		if errno == unix.ENOENT { // closed in the meantime
			continue
		}
		h := s.Handles.Add()
		if h == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, uint64(fd))
			return
		}
		h.FD, h.Target = fd, target
		p.program.userfault = p.program.userfault || string(s.Bytes.Get(target)) == "anon_inode:[userfaultfd]"
		if errno != 0 {
			s.Soft(snapshot.OpHandle, int32(errno), 0, uint64(fd))
		}
		if errno = p.dir.FDStat(fd, &p.scratch.statx); errno == 0 {
			h.Mode = uint32(p.scratch.statx.Mode)
			continue
		}
		h.NoType = true
		if errno == unix.ENOENT || errno == unix.ENOSYS && noStat { // closed in the meantime, or recorded before
			continue
		}
		s.Soft(snapshot.OpHandle, int32(errno), 0, uint64(fd))
		noStat = noStat || errno == unix.ENOSYS
	}
}
