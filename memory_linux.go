package minidump

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// process_vm_readv takes this many ranges a call (UIO_MAXIOV of the kernel's include/uapi/linux/uio.h).
const maxIovec = 1024

// liveMemory reads the memory of a live process: with process_vm_readv, where that is forbidden or fails from
// /proc/PID/mem (which also reads execute-only pages), and at the very last by PTRACE_PEEKDATA.
type liveMemory struct {
	pid     int
	dir     *procfs.Dir
	tracer  *ptrace.Tracer
	peekTID int32 // a stopped thread, for PTRACE_PEEKDATA; 0: none
	memFD   int   // /proc/PID/mem; -1: not opened, -2: can't be opened
	noVM    bool  // process_vm_readv does not work here

	// The two lists of a vectored read: of a short one, and of one of up to maxIovec ranges.
	short [16]unix.RemoteIovec
	long  []unix.RemoteIovec
}

// begin forgets what was found out for the last dump. Since then the process may have executed another program, whose
// memory an old descriptor does not show, or got other rights.
func (m *liveMemory) begin() {
	m.close()
	m.noVM = false
}

func (m *liveMemory) close() {
	if m.memFD >= 0 {
		sys.Close(m.memFD)
	}
	m.memFD = -1
}

func (m *liveMemory) read(addr uint64, p []byte) int {
	if len(p) == 0 || uint64(uintptr(addr)) != addr {
		return 0
	}
	n := 0
	if !m.noVM {
		m.short[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&p[0])), Len: len(p)}
		m.short[1] = unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
		got, errno := sys.ProcessVMReadv(m.pid, m.short[:1], m.short[1:2])
		m.note(errno)
		n = got
	}
	if n < len(p) {
		n += m.readOther(addr+uint64(n), p[n:])
	}
	return n
}

// note takes a lasting refusal of process_vm_readv for an answer.
func (m *liveMemory) note(errno sys.Errno) {
	if errno == unix.EPERM || errno == unix.ENOSYS {
		m.noVM = true
	}
}

func (m *liveMemory) readOther(addr uint64, p []byte) (n int) {
	if m.memFD == -1 {
		fd, errno := m.dir.OpenFile("mem\x00", unix.O_RDONLY)
		if errno != 0 {
			fd = -2
		}
		m.memFD = fd
	}
	if m.memFD >= 0 && int64(addr) >= 0 {
		for n < len(p) {
			got, errno := sys.Pread(m.memFD, p[n:], int64(addr)+int64(n))
			if errno != 0 || got <= 0 {
				break
			}
			n += got
		}
		if n > 0 {
			return n
		}
	}
	if m.noVM && m.memFD < 0 && m.peekTID != 0 {
		n, _ = m.tracer.Peek(m.peekTID, addr, p)
	}
	return n
}

func (m *liveMemory) readv(reqs []readRequest) {
	for len(reqs) > 0 {
		if m.noVM {
			reqs[0].got = m.read(reqs[0].addr, reqs[0].dst)
			reqs = reqs[1:]
			continue
		}
		n := 0
		for n < len(reqs) && n < maxIovec && uint64(uintptr(reqs[n].addr)) == reqs[n].addr {
			n++
		}
		if n == 0 { // an address that this process can't even name
			reqs[0].got = 0
			reqs = reqs[1:]
			continue
		}
		lists := m.short[:]
		if 2*n > len(lists) {
			lists = m.long
		}
		local, remote := lists[:n], lists[n:2*n]
		for i := range local {
			r := &reqs[i]
			local[i] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(unsafe.SliceData(r.dst))), Len: len(r.dst)}
			remote[i] = unix.RemoteIovec{Base: uintptr(r.addr), Len: len(r.dst)}
		}
		got, errno := sys.ProcessVMReadv(m.pid, local, remote)
		m.note(errno)
		if m.noVM {
			continue
		}
		// The kernel copies in order and stops at the first page that it can't read.
		i := 0
		for i < n && got >= len(reqs[i].dst) {
			reqs[i].got = len(reqs[i].dst)
			got -= reqs[i].got
			i++
		}
		if i < n {
			r := &reqs[i]
			r.got = got
			if got < len(r.dst) {
				r.got += m.readOther(r.addr+uint64(got), r.dst[got:])
			}
			i++
		}
		reqs = reqs[i:]
	}
}
