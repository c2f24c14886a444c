package minidump

import (
	"encoding/binary"

	"minidump/context"
)

// Note types of include/uapi/linux/elf.h that every architecture has; the numbers are those of PTRACE_GETREGSET and of
// core files alike.
const (
	ntPRStatus = 1 // NT_PRSTATUS
	ntPRFPReg  = 2 // NT_PRFPREG
)

// errnoInvalid is EINVAL of every Linux.
const errnoInvalid = 22

// checkContext settles whether the dump gets a CPU context record of a thread: there is one from the crash context, or
// its raw registers are enough to make one when it is written.
func (s *snapshot) checkContext(t *thread) {
	if t.context.len > 0 || t.gp.len == 0 {
		return
	}
	if int(t.gp.len) < s.target.arch.GPSize() {
		s.soft(opRegisters, errnoInvalid, t.tid, 0)
		t.gp = span{}
		return
	}
	t.hasRegs = true
}

// contextSize is the length of a thread's CPU context record, 0 if it has none.
func (s *snapshot) contextSize(t *thread) int {
	switch {
	case !t.hasRegs:
		return 0
	case t.context.len > 0:
		return int(t.context.len)
	}
	return s.target.arch.ContextSize()
}

// putContext writes the CPU context record of a thread to b, which has its size. Records are made when they are
// written, because raw registers take half the memory. debug is scratch.
func (s *snapshot) putContext(b []byte, t *thread, debug *[8]uint64) {
	if t.context.len > 0 {
		copy(b, s.bytes.bytes(t.context))
		return
	}
	r := context.Regsets{Arch: s.target.arch, Order: s.target.order, GP: s.bytes.bytes(t.gp)}
	if t.fp.len > 0 {
		r.FP = s.bytes.bytes(t.fp)
	}
	if t.vector.len > 0 {
		r.Extra = s.bytes.bytes(t.vector)
	}
	if t.debug.len == 64 {
		d := s.bytes.bytes(t.debug)
		for i := range debug {
			debug[i] = binary.NativeEndian.Uint64(d[8*i:])
		}
		r.Debug = debug
	}
	r.Encode(b)
}

// maxRegsets bounds what one thread's further register sets take: ZA of SME is the largest, 64 KiB at its longest vectors,
// and SVE takes 9 KiB.
const maxRegsets = 128 << 10

// endRegset enters a further register set of which n bytes lie at b[used+8:], as type, size, bytes and padding to 8. It
// returns where the next one goes.
func (s *snapshot) endRegset(b []byte, used int, note uint32, n int) int {
	s.target.order.PutUint32(b[used:], note)
	s.target.order.PutUint32(b[used+4:], uint32(n))
	used += 8 + n
	for used&7 != 0 && used < len(b) {
		b[used] = 0
		used++
	}
	return used
}

// narrowArch gives the 32-bit architecture that a 64-bit kernel may run besides.
func narrowArch(a context.Arch) context.Arch {
	switch a {
	case context.AMD64:
		return context.X86
	case context.ARM64:
		return context.ARM
	case context.MIPS64:
		return context.MIPS
	}
	return a
}
