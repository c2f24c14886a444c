package context

// The PPC64 record: Breakpad's MDRawContextPPC64. 1160 bytes:
//
//	   0 u64 context_flags
//	   8 u64 srr0 (the pc) srr1 (the msr)    MD_CONTEXT_PPC64_BASE, as all up to vrsave
//	  24 u64 r0-r31
//	 280 u64 cr xer lr ctr
//	 312 u64 vrsave                          MD_CONTEXT_PPC64_VECTOR
//	 320 u64 f0-f31                          MD_CONTEXT_PPC64_FLOATING_POINT
//	 576 u32 0, u32 fpscr                    MD_CONTEXT_PPC64_FLOATING_POINT
//	 584 [32][16]byte vr0-vr31               MD_CONTEXT_PPC64_VECTOR
//	1096 [16]byte vscr                       MD_CONTEXT_PPC64_VECTOR
//	1112 u32 0[4]
//	1128 u32 vrvalid (all ones with the vector registers), u32 0[7]
const (
	sizePPC64    = 1160
	ppc64Vrsave  = 312
	ppc64F0      = 320
	ppc64Fpscr   = 580
	ppc64Vr0     = 584
	ppc64Vrvalid = 1128

	flagPPC64       = 0x01000000
	flagPPC64Base   = 0x01
	flagPPC64Float  = 0x08
	flagPPC64Vector = 0x20
)

// ppc64FPSize is the size of elf_fpregset_t: 33 words of 8 bytes, f0-f31 and fpscr.
const ppc64FPSize = 264

// vmxSize is the size of NT_PPC_VMX: vr0-vr31, vscr and vrsave in 16 bytes each; vrsave uses the first 4.
const vmxSize = 34 * 16

// The kernel's elf_gregset_t of powerpc (asm/ptrace.h, PT_R0 and so on): 48 words, r0-r31 nip msr orig_gpr3 ctr link xer
// ccr softe trap dar dsisr result dscr, the rest unused.
var infoPPC64 = archInfo{
	name:         "ppc64",
	processor:    0x8002,
	wordSize:     8,
	size:         sizePPC64,
	gpSize:       384,
	fpRegset:     NT_PRFPREG,
	fpSize:       ppc64FPSize,
	redZone:      288,
	cpuFlag:      flagPPC64,
	gpFlags:      flagPPC64Base,
	controlFlags: flagPPC64Base,
	flagsSize:    8,
	table: func() []reg {
		return append(numbered("r", 0, 32, 0, 8, 24, 8),
			reg{"pc", 256, 8, 8, 8, true},
			reg{"lr", 288, 8, 296, 8, true},
			reg{"ctr", 280, 8, 304, 8, true},
			reg{"msr", 264, 8, 16, 8, false},
			reg{"cr", 304, 8, 280, 8, false},
			reg{"xer", 296, 8, 288, 8, false})
	},
	// The ABI has no frame pointer; compilers that need one use r31.
	pc: 32, sp: 1, fp: none, lr: 33, g: 30,
}

// Offsets in elf_gregset_t of the values that the trap left there; the record has no fields for them.
const (
	gpPPC64Trap  = 40 * 8
	gpPPC64Dar   = 41 * 8
	gpPPC64Dsisr = 42 * 8
)

// encodePPC64 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodePPC64(rec, fp, vmx []byte, big bool) uint32 {
	var flags uint32
	if len(fp) >= ppc64FPSize {
		copy(rec[ppc64F0:], fp[:256])
		put32(big, rec[ppc64Fpscr:], uint32(get64(big, fp[256:])))
		flags |= flagPPC64Float
	}
	if len(vmx) >= 33*16+4 {
		copy(rec[ppc64Vr0:], vmx[:33*16])
		put64(big, rec[ppc64Vrsave:], uint64(get32(big, vmx[33*16:])))
		put32(big, rec[ppc64Vrvalid:], 0xffffffff)
		flags |= flagPPC64Vector
	}
	return flags
}

// The kernel's struct ucontext of powerpc64: flags, link, stack (3 words), sigmask with room for 128 bytes, then struct
// sigcontext at 168: 4 words, u32 signal, pad, handler, oldmask, regs (the address of gp_regs) @224, gp_regs @232 (as
// NT_PRSTATUS), fp_regs @616 (as NT_PRFPREG), v_regs @880 (the address of the vector registers, which follow).
const (
	ucPPC64Size    = 232 + 384
	ucPPC64Regs    = 224
	ucPPC64GPRegs  = 232
	ucPPC64FPRegs  = 616
	ucPPC64VRegs   = 880
	ucPPC64Reserve = 888
	msrVec         = 1 << 25 // MSR_VEC: the frame has vector registers
)

func (f *frame) readPPC64() {
	copy(f.gp[:], f.uc[ucPPC64GPRegs:])
	f.fp = f.tail(ucPPC64FPRegs, ppc64FPSize)
	f.trapNo = get64(f.big, f.gp[gpPPC64Trap:])
	f.trapAddress = get64(f.big, f.gp[gpPPC64Dar:])
	f.errorCode = get64(f.big, f.gp[gpPPC64Dsisr:])
	f.access = accessOfPPC(f.trapNo, f.errorCode)
	if v := f.tail(ucPPC64VRegs, 8); v != nil && get64(f.big, f.gp[264:])&msrVec != 0 {
		// Both are addresses in the thread's memory; their distance is the offset of the registers in the ucontext.
		off := get64(f.big, v) - get64(f.big, f.uc[ucPPC64Regs:]) + ucPPC64GPRegs
		if off >= ucPPC64Reserve && off < uint64(len(f.uc)) {
			f.extra = f.tail(int(off), vmxSize)
		}
	}
}

// accessOfPPC derives the kind of access from trap and DSISR (Power ISA book III, 6.5): 0x300 is a data storage interrupt; bit 38
// of DSISR (DSISR_ISSTORE) is a store; 0x400 and 0x480 are the interrupts of an instruction fetch. A data segment interrupt
// (0x380) does not change DSISR.
func accessOfPPC(trap, dsisr uint64) Access {
	switch trap &^ 0xf {
	case 0x300:
		if dsisr&0x02000000 != 0 {
			return AccessWrite
		}
		return AccessRead
	case 0x400, 0x480:
		return AccessExecute
	}
	return AccessUnknown
}
