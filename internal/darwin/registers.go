package darwin

import (
	"encoding/binary"

	"minidump/mach"
)

var order = binary.LittleEndian // both architectures

// Sizes in bytes of the register sets of Linux, from which package context builds CPU context records:
// user_regs_struct and user_i387_struct of arch/x86/include/asm/user_64.h, user_pt_regs and user_fpsimd_state of
// arch/arm64/include/uapi/asm/ptrace.h.
const (
	amd64GPSize = 216
	amd64FPSize = 512
	arm64GPSize = 272
	arm64FPSize = 528
)

// putAMD64 writes the integer registers of a thread in the layout of Linux. The segment bases are not part of the state, and are 0.
func putAMD64(b []byte, s *mach.X86ThreadState64) {
	_ = b[amd64GPSize-1]
	clear(b[:amd64GPSize])
	for i, r := range [...]uint64{
		s.R15, s.R14, s.R13, s.R12, s.RBP, s.RBX, s.R11, s.R10, s.R9, s.R8, s.RAX, s.RCX, s.RDX, s.RSI, s.RDI,
		^uint64(0), // orig_rax: not in a system call
		s.RIP, s.CS & 0xffff, s.RFLAGS, s.RSP,
	} {
		order.PutUint64(b[8*i:], r)
	}
	order.PutUint64(b[8*25:], s.FS&0xffff)
	order.PutUint64(b[8*26:], s.GS&0xffff)
}

// putARM64 writes the integer registers of a thread in the layout of Linux.
func putARM64(b []byte, s *mach.ARMThreadState64) {
	_ = b[arm64GPSize-1]
	for i, r := range s.X {
		order.PutUint64(b[8*i:], r)
	}
	order.PutUint64(b[8*29:], s.FP)
	order.PutUint64(b[8*30:], s.LR)
	order.PutUint64(b[8*31:], s.SP)
	order.PutUint64(b[8*32:], s.PC)
	order.PutUint64(b[8*33:], uint64(s.CPSR))
}

// putNeon writes the vector registers of a thread in the layout of Linux.
func putNeon(b []byte, s *mach.ARMNeonState64) {
	_ = b[arm64FPSize-1]
	for i := range s.V {
		copy(b[16*i:], s.V[i][:])
	}
	order.PutUint32(b[512:], s.FPSR)
	order.PutUint32(b[516:], s.FPCR)
	clear(b[520:arm64FPSize])
}
