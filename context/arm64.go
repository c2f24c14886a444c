package context

// The ARM64 record: ARM64_NT_CONTEXT of WinNT.h, Breakpad's MDRawContextARM64, Crashpad's MinidumpContextARM64. lldb reads it
// too. 912 bytes:
//
//	  0 u32 context_flags
//	  4 u32 cpsr                    CONTEXT_CONTROL
//	  8 u64 x0-x28                  CONTEXT_INTEGER
//	240 u64 fp lr sp pc             CONTEXT_CONTROL
//	272 [32][16]byte v0-v31         CONTEXT_FLOATING_POINT
//	784 u32 fpcr                    CONTEXT_FLOATING_POINT
//	788 u32 fpsr                    CONTEXT_FLOATING_POINT
//	792 u32 bcr[8], u64 bvr[8], u32 wcr[2], u64 wvr[2] (0; CONTEXT_DEBUG_REGISTERS, never set here)
const (
	sizeARM64 = 912
	arm64V0   = 272
	arm64Fpcr = 784
	arm64Fpsr = 788

	flagARM64        = 0x00400000
	flagARM64Control = 0x01
	flagARM64Integer = 0x02
	flagARM64Float   = 0x04
)

// fpsimdSize is the size of the kernel's struct user_fpsimd_state: 32 registers of 16 bytes, fpsr, fpcr and 8 bytes more.
const fpsimdSize = 528

// The kernel's struct user_pt_regs of arm64 (asm/ptrace.h): 34 words, x0-x30 sp pc pstate.
var infoARM64 = archInfo{
	name:         "arm64",
	processor:    12,
	wordSize:     8,
	size:         sizeARM64,
	gpSize:       272,
	fpRegset:     NT_PRFPREG,
	fpSize:       fpsimdSize,
	cpuFlag:      flagARM64,
	gpFlags:      flagARM64Control | flagARM64Integer,
	controlFlags: flagARM64Control,
	flagsSize:    4,
	table: func() []reg {
		return append(numbered("x", 0, 29, 0, 8, 8, 8),
			reg{"fp", 232, 8, 240, 8, true},
			reg{"lr", 240, 8, 248, 8, true},
			reg{"sp", 248, 8, 256, 8, true},
			reg{"pc", 256, 8, 264, 8, true},
			reg{"cpsr", 264, 4, 4, 4, false})
	},
	pc: 32, sp: 31, fp: 29, lr: 30, g: 28,
}

// encodeARM64 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeARM64(rec, fp []byte, big bool) uint32 {
	if len(fp) < 520 {
		return 0
	}
	copy(rec[arm64V0:], fp[:512])
	put32(big, rec[arm64Fpsr:], get32(big, fp[512:]))
	put32(big, rec[arm64Fpcr:], get32(big, fp[516:]))
	return flagARM64Float
}

// Breakpad's old ARM64 record (MDRawContextARM64_Old), packed, 796 bytes. Decode reads it; nothing in this package writes it:
//
//	  0 u64 context_flags
//	  8 u64 x0-x30 sp pc
//	272 u32 cpsr fpsr fpcr
//	284 [32][16]byte v0-v31
const (
	sizeOldARM64 = 796
	flagOldARM64 = 0x80000000
)

// The kernel's struct ucontext of arm64: flags, link, stack (3 words), sigmask with room for 128 bytes, then struct
// sigcontext at 176: fault_address x0-x30 sp pc pstate, and at 464 a chain of records.
const (
	ucARM64Size    = 176 + 35*8
	ucARM64Records = 464
	fpsimdMagic    = 0x46508001 // FPSIMD_MAGIC: u32 magic, u32 size, u32 fpsr, u32 fpcr, v0-v31
	esrMagic       = 0x45535201 // ESR_MAGIC: u32 magic, u32 size, u64 esr
)

func (f *frame) readARM64() {
	f.trapAddress = get64(f.big, f.uc[176:])
	copy(f.gp[:34*8], f.uc[184:])
	fpsimd := f.record(ucARM64Records, fpsimdMagic)
	if fpsimd == nil && len(f.fpstate) >= 8 && get32(f.big, f.fpstate) == fpsimdMagic {
		fpsimd = f.fpstate
	}
	if len(fpsimd) >= 528 {
		// The register set has the same fields in another order.
		f.fpLen = fpsimdSize
		copy(f.fpBuf[:], fpsimd[16:528])
		copy(f.fpBuf[512:520], fpsimd[8:16])
	}
	if esr := f.record(ucARM64Records, esrMagic); len(esr) >= 16 {
		f.errorCode = get64(f.big, esr[8:])
		f.trapNo = f.errorCode >> 26 & 0x3f
		f.access = accessOfESR(f.errorCode)
	}
}

// accessOfESR derives the kind of access from ESR_EL1 (ARM ARM, D24.2.40): the exception class is an instruction abort (0x20,
// 0x21) or a data abort (0x24, 0x25). In a data abort, bit 6 (WnR) is a write, unless bit 8 (CM) marks cache maintenance.
func accessOfESR(esr uint64) Access {
	switch esr >> 26 & 0x3f {
	case 0x20, 0x21:
		return AccessExecute
	case 0x24, 0x25:
		if esr&(1<<6) != 0 && esr&(1<<8) == 0 {
			return AccessWrite
		}
		return AccessRead
	}
	return AccessUnknown
}
