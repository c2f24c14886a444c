package context

// The ARM record: Breakpad's MDRawContextARM (not the CONTEXT of Windows on ARM). 368 bytes:
//
//	  0 u32 context_flags
//	  4 u32 r0-r15                  MD_CONTEXT_ARM_INTEGER
//	 68 u32 cpsr                    MD_CONTEXT_ARM_INTEGER
//	 72 u64 fpscr                   MD_CONTEXT_ARM_FLOATING_POINT
//	 80 u64 d0-d31                  MD_CONTEXT_ARM_FLOATING_POINT
//	336 u32 extra[8] (0)
const (
	sizeARM  = 368
	armFpscr = 72
	armD0    = 80

	flagARM        = 0x40000000
	flagARMInteger = 0x02
	flagARMFloat   = 0x04
)

// vfpSize is the size of the NT_ARM_VFP set (ARM_VFPREGS_SIZE): 32 registers of 8 bytes, then fpscr.
const vfpSize = 260

// The kernel's struct pt_regs of arm (asm/ptrace.h): 18 words, r0-r15 cpsr orig_r0.
var infoARM = archInfo{
	name:         "arm",
	processor:    5,
	wordSize:     4,
	size:         sizeARM,
	gpSize:       72,
	fpRegset:     NT_ARM_VFP,
	fpSize:       vfpSize,
	cpuFlag:      flagARM,
	gpFlags:      flagARMInteger,
	controlFlags: flagARMInteger,
	flagsSize:    4,
	regs: []reg{
		{"r0", 0, 4, 4, 4, true},
		{"r1", 4, 4, 8, 4, true},
		{"r2", 8, 4, 12, 4, true},
		{"r3", 12, 4, 16, 4, true},
		{"r4", 16, 4, 20, 4, true},
		{"r5", 20, 4, 24, 4, true},
		{"r6", 24, 4, 28, 4, true},
		{"r7", 28, 4, 32, 4, true},
		{"r8", 32, 4, 36, 4, true},
		{"r9", 36, 4, 40, 4, true},
		{"r10", 40, 4, 44, 4, true},
		{"fp", 44, 4, 48, 4, true},
		{"ip", 48, 4, 52, 4, true},
		{"sp", 52, 4, 56, 4, true},
		{"lr", 56, 4, 60, 4, true},
		{"pc", 60, 4, 64, 4, true},
		{"cpsr", 64, 4, 68, 4, false},
	},
	pc: 15, sp: 13, fp: 11, lr: 14, g: 10,
}

// encodeARM fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeARM(rec, fp []byte, big bool) uint32 {
	if len(fp) < vfpSize {
		return 0
	}
	copy(rec[armD0:], fp[:256])
	put64(big, rec[armFpscr:], uint64(get32(big, fp[256:])))
	return flagARMFloat
}

// The kernel's struct ucontext of arm: flags, link, stack (3 words), then struct sigcontext at 20: trap_no error_code
// oldmask r0-r15 cpsr fault_address; sigmask at 104 with room for 128 bytes; at 232 uc_regspace, a chain of records.
const (
	ucARMSize     = 20 + 21*4
	ucARMRegspace = 232
	vfpMagic      = 0x56465001 // VFP_MAGIC: u32 magic, u32 size, d0-d31, u32 fpscr, and more
)

// readARM derives the kind of access from the fault status: bit 11 is a write (ARM ARM, DFSR.WnR), and bit 31 is the kernel's
// mark for an instruction fetch (FSR_LNX_PF).
func (f *frame) readARM() {
	sc := f.uc[20:]
	copy(f.gp[:17*4], sc[12:]) // r0-r15 cpsr; the frame has no orig_r0
	f.trapNo = uint64(get32(f.big, sc))
	f.errorCode = uint64(get32(f.big, sc[4:]))
	f.trapAddress = uint64(get32(f.big, sc[20*4:]))
	switch {
	case f.errorCode&(1<<31) != 0:
		f.access = AccessExecute
	case f.errorCode&(1<<11) != 0:
		f.access = AccessWrite
	default:
		f.access = AccessRead
	}
	if vfp := f.record(ucARMRegspace, vfpMagic); len(vfp) >= 8+vfpSize {
		f.fp = vfp[8 : 8+vfpSize]
	}
}
