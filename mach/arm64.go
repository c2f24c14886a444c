package mach

// Flavors of thread_get_state for arm64: osfmk/mach/arm/thread_status.h.
const (
	ARM_THREAD_STATE64    = 6
	ARM_EXCEPTION_STATE64 = 7
	ARM_NEON_STATE64      = 17
)

// ARMThreadState64 is arm_thread_state64_t of osfmk/mach/arm/_structs.h, 272 bytes. In an arm64e program FP, LR, SP and PC may be
// signed: see [ARMThreadState64.Strip].
type ARMThreadState64 struct {
	X     [29]uint64
	FP    uint64
	LR    uint64
	SP    uint64
	PC    uint64
	CPSR  uint32
	Flags uint32 // __DARWIN_ARM_THREAD_STATE64_FLAGS_*
}

// ARM_THREAD_STATE64_FLAGS_NO_PTRAUTH in Flags: no register is signed (osfmk/mach/arm/_structs.h).
const ARM_THREAD_STATE64_FLAGS_NO_PTRAUTH = 0x1

// userAddress masks the bits of an address in the memory of an arm64 program; the bits above are a signature or a tag. On XNU
// such addresses have 47 bits (MACH_VM_MAX_ADDRESS of osfmk/mach/arm/vm_param.h).
const userAddress = 1<<47 - 1

// Strip removes pointer authentication codes from FP, LR, SP and PC.
func (s *ARMThreadState64) Strip() {
	s.FP &= userAddress
	s.LR &= userAddress
	s.SP &= userAddress
	s.PC &= userAddress
}

// ARMNeonState64 is arm_neon_state64_t of osfmk/mach/arm/_structs.h, 528 bytes.
type ARMNeonState64 struct {
	V    [32][16]byte // little-endian
	FPSR uint32
	FPCR uint32
	_    [2]uint32 // the C type is aligned to 16 bytes
}

// ARMExceptionState64 is arm_exception_state64_t of osfmk/mach/arm/_structs.h, 16 bytes: the thread's last fault.
type ARMExceptionState64 struct {
	FAR       uint64 // faulting address
	ESR       uint32 // exception syndrome
	Exception uint32
}
