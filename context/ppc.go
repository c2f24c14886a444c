package context

// The PPC record: Breakpad's MDRawContextPPC, whose fields are aligned to 4 bytes. 1004 bytes:
//
//	  0 u32 context_flags
//	  4 u32 srr0 (the pc) srr1 (the msr)    MD_CONTEXT_PPC_BASE, as all up to mq
//	 12 u32 r0-r31
//	140 u32 cr xer lr ctr
//	156 u32 mq                              of the PowerPC 601 alone: 0
//	160 u32 vrsave                          MD_CONTEXT_PPC_VECTOR
//	164 u64 f0-f31                          MD_CONTEXT_PPC_FLOATING_POINT
//	420 u32 0, u32 fpscr                    MD_CONTEXT_PPC_FLOATING_POINT
//	428 [32][16]byte vr0-vr31               MD_CONTEXT_PPC_VECTOR
//	940 [16]byte vscr                       MD_CONTEXT_PPC_VECTOR
//	956 u32 0[4]
//	972 u32 vrvalid (all ones with the vector registers), u32 0[7]
const (
	sizePPC    = 1004
	ppcVrsave  = 160
	ppcF0      = 164
	ppcFpscr   = 424
	ppcVr0     = 428
	ppcVrvalid = 972

	flagPPC       = 0x20000000
	flagPPCBase   = 0x01
	flagPPCFloat  = 0x08
	flagPPCVector = 0x20
)

// The kernel's elf_gregset_t of 32-bit powerpc (asm/ptrace.h, PT_R0 and so on) has the 48 words of powerpc64 in 4 bytes each.
// Word 39 is mq on a 32-bit kernel and softe on a 64-bit one, so it is not used.
var infoPPC = archInfo{
	name:         "ppc",
	processor:    3,
	wordSize:     4,
	size:         sizePPC,
	gpSize:       192,
	fpRegset:     NT_PRFPREG,
	fpSize:       ppc64FPSize,
	cpuFlag:      flagPPC,
	gpFlags:      flagPPCBase,
	controlFlags: flagPPCBase,
	flagsSize:    4,
	table: func() []reg {
		return append(numbered("r", 0, 32, 0, 4, 12, 4),
			reg{"pc", 128, 4, 4, 4, true},
			reg{"lr", 144, 4, 148, 4, true},
			reg{"ctr", 140, 4, 152, 4, true},
			reg{"msr", 132, 4, 8, 4, false},
			reg{"cr", 152, 4, 140, 4, false},
			reg{"xer", 148, 4, 144, 4, false})
	},
	// The ABI has no frame pointer; compilers that need one use r31. Go has no port to it, so no register is g.
	pc: 32, sp: 1, fp: none, lr: 33, g: none,
}

// encodePPC fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodePPC(rec, fp, vmx []byte, big bool) uint32 {
	var flags uint32
	if len(fp) >= ppc64FPSize {
		copy(rec[ppcF0:], fp[:256])
		put32(big, rec[ppcFpscr:], uint32(get64(big, fp[256:])))
		flags |= flagPPCFloat
	}
	if len(vmx) >= 33*16+4 {
		copy(rec[ppcVr0:], vmx[:33*16])
		put32(big, rec[ppcVrsave:], get32(big, vmx[33*16:]))
		put32(big, rec[ppcVrvalid:], 0xffffffff)
		flags |= flagPPCVector
	}
	return flags
}

// The kernel's struct ucontext of 32-bit powerpc (asm/ucontext.h), of 32-bit and 64-bit kernels alike: flags, link, stack (3
// words), 7 words, uc_regs (the address of the struct mcontext) @48, sigmask with room for 128 bytes @52, 3 words, then struct
// mcontext at 192: gregs (as NT_PRSTATUS), fregs @384 (as NT_PRFPREG), 2 words, vregs @656. vregs are vr0-vr31 and another 16
// bytes with vrsave in the first word and vscr in the last (unsafe_save_user_regs in signal_32.c).
const (
	ucPPCRegs   = 48
	ucPPCGPRegs = 192
	ucPPCSize   = ucPPCGPRegs + 192
	ucPPCFPRegs = 384
	ucPPCVRegs  = 656
)

func (f *frame) readPPC() {
	copy(f.gp[:192], f.uc[ucPPCGPRegs:])
	f.fp = f.tail(ucPPCFPRegs, ppc64FPSize)
	word := func(n int) uint64 { return uint64(get32(f.big, f.gp[4*n:])) }
	f.trapNo, f.trapAddress, f.errorCode = word(40), word(41), word(42)
	f.access = accessOfPPC(f.trapNo, f.errorCode)
	if v := f.tail(ucPPCVRegs, 33*16); v != nil && word(33)&msrVec != 0 {
		copy(f.vmxBuf[:], v)
		copy(f.vmxBuf[33*16:], v[32*16:32*16+4])
		put32(f.big, f.vmxBuf[32*16:], 0)
		f.vmxLen = vmxSize
	}
}
