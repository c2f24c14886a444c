package darwin

import (
	"minidump/internal/snapshot"
	"minidump/mach"
)

// A memory reads a task's memory. It implements snapshot.Memory, and is a source of bytes for package macho.
type memory struct {
	snapshot.Whole
	task mach.Port
	page uint64 // bytes
	// The captured memory, which replaces what is there now; nil: none. The own task runs again before the dump is written.
	captured *snapshot.Snapshot
}

// Read reads memory at addr into p, and returns how many bytes it read before the first that can't be read. The kernel
// reads all of a range or nothing, so a range that it refuses is read page by page.
func (m *memory) Read(addr uint64, p []byte) int {
	n := m.read(addr, p)
	if m.captured != nil {
		m.cover(addr, p[:n])
	}
	return n
}

// cover copies the captured part of the memory at addr into p.
func (m *memory) cover(addr uint64, p []byte) {
	s := m.captured
	for i := range s.Memory.All() {
		r := s.Memory.At(i)
		data := s.Bytes.Get(r.Data)
		switch {
		case r.Start >= addr+uint64(len(p)) || addr >= r.Start+uint64(len(data)):
		case r.Start >= addr:
			copy(p[r.Start-addr:], data)
		default:
			copy(p, data[addr-r.Start:])
		}
	}
}

func (m *memory) read(addr uint64, p []byte) int {
	if addr+uint64(len(p)) < addr {
		p = p[:-addr]
	}
	if n, kr := mach.VMReadOverwrite(m.task, addr, p); kr == mach.KERN_SUCCESS {
		return n
	}
	for at := 0; at < len(p); {
		n := min(len(p)-at, int(m.page-(addr+uint64(at))%m.page))
		if got, kr := mach.VMReadOverwrite(m.task, addr+uint64(at), p[at:at+n]); kr != mach.KERN_SUCCESS || got < n {
			return at
		}
		at += n
	}
	return len(p)
}

// ReadV serves each request.
func (m *memory) ReadV(reqs []snapshot.ReadRequest) {
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// ReadAt implements macho.Source.
func (m *memory) ReadAt(p []byte, addr uint64) int { return m.Read(addr, p) }
