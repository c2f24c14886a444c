//go:build linux

package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"

	"minidump/internal/snapshot"
)

// A read of present memory can still block: another process can remove the page between the check of the page table and the
// read, and then a userfaultfd or a file server must deliver it again. That cannot happen to anonymous memory. The tracing
// thread must not make such a slow read, because it could not resume the process meanwhile: it makes the thread that waits
// for it read, and continues without the memory if that takes too long.
//
// The bytes arrive in a buffer that nothing else uses, because the read may still return after it was given up.
type slowRead struct {
	apart  slowReader // makes another thread read; nil: this one reads
	stuck  bool       // a read was given up: no other is tried in this dump
	buf    []byte
	remote []unix.RemoteIovec
	local  [1]unix.RemoteIovec
	ranges int // of remote, to be read
	size   int // of all of them, in bytes
	got    int
	noVM   bool // process_vm_readv does not work: there is one range, which is read from /proc/PID/mem
	fd     int  // /proc/PID/mem, or negative
}

// slowReader calls memory.readSlow on another thread.
type slowReader interface {
	// readApart reports whether the read was done in time.
	readApart() bool
}

// Sizes of one slow read, in bytes and ranges.
const (
	slowSize   = 64 << 10
	slowRanges = 64
)

// mayBlock reports whether a read of [lo, hi) may block.
func (m *memory) mayBlock(lo, hi uint64) bool {
	if m.blind {
		return true
	}
	for lo < hi {
		mp := m.mapping(lo)
		if mp == nil || mp.Start >= hi {
			return false
		}
		switch m.backingOf(mp) {
		case backingServer, backingMemory:
			return true
		}
		lo = mp.End
	}
	return false
}

// readSlowly reads one range.
func (m *memory) readSlowly(addr uint64, p []byte) (n int) {
	for n < len(p) {
		part := p[n:min(len(p), n+slowSize)]
		m.slow.ranges, m.slow.size = 0, 0
		m.addSlow(addr+uint64(n), len(part))
		got := copy(part, m.slow.buf[:m.finishSlow()])
		if n += got; got < len(part) {
			break
		}
	}
	return n
}

// readSlowlyV serves the first requests as long as simple and mayBlock hold, and returns how many it served: at least one.
func (m *memory) readSlowlyV(reqs []snapshot.ReadRequest) (done int) {
	m.slow.ranges, m.slow.size = 0, 0
	for done < len(reqs) && done < slowRanges && !m.noVM {
		r := &reqs[done]
		if m.slow.size+len(r.Dst) > slowSize || done > 0 && !(m.simple(r) && m.mayBlock(r.Addr, r.Addr+uint64(len(r.Dst)))) {
			break
		}
		m.addSlow(r.Addr, len(r.Dst))
		done++
	}
	if done == 0 {
		reqs[0].Got = m.Read(reqs[0].Addr, reqs[0].Dst)
		return 1
	}
	read := m.slow.buf[:m.finishSlow()]
	for i := range reqs[:done] {
		r := &reqs[i]
		if r.Got = copy(r.Dst, read); r.Got < len(r.Dst) { // the kernel ends at the first page that it can't read
			if !m.slow.stuck {
				r.Got += m.readSlowly(r.Addr+uint64(r.Got), r.Dst[r.Got:])
			}
			return i + 1
		}
		read = read[r.Got:]
	}
	return done
}

func (m *memory) addSlow(addr uint64, size int) {
	m.slow.remote[m.slow.ranges] = unix.RemoteIovec{Base: uintptr(addr), Len: size}
	m.slow.ranges++
	m.slow.size += size
}

// finishSlow reads the ranges that were added, and returns how many bytes are in the buffer.
func (m *memory) finishSlow() int {
	r := &m.slow
	if r.stuck || r.size == 0 {
		return 0
	}
	r.noVM, r.fd = m.noVM, -1
	if r.ranges == 1 && m.openMem() {
		r.fd = m.memFD
	}
	if r.apart == nil {
		m.readSlow()
		return r.got
	}
	if !r.apart.readApart() {
		r.stuck = true
		at := uint64(r.remote[0].Base)
		if e := m.snap.Soft(snapshot.OpAbsent, 0, 0, at); e != nil {
			if mp := m.mapping(at); mp != nil {
				e.Text = mp.Name
			}
		}
		return 0
	}
	return r.got
}

// readSlow makes the system calls of a slow read, on any thread. It makes them so that the Go scheduler knows,
// which lets garbage collections of this program proceed.
func (m *memory) readSlow() {
	r := &m.slow
	r.got = 0
	if !r.noVM {
		r.local[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(unsafe.SliceData(r.buf))), Len: r.size}
		r.got, _ = sys.ProcessVMReadvSlow(m.pid, r.local[:], r.remote[:r.ranges])
	}
	for r.got < r.size && r.fd >= 0 && r.ranges == 1 {
		n, errno := sys.PreadSlow(r.fd, r.buf[r.got:r.size], int64(r.remote[0].Base)+int64(r.got))
		if errno != 0 || n <= 0 {
			break
		}
		r.got += n
	}
}
