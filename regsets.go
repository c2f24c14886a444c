package minidump

import "minidump/context"

// Register sets beyond NT_PRSTATUS and the floating-point set that a context record holds, by architecture; types from
// include/uapi/linux/elf.h.
var (
	regsetsX86   = [...]uint32{0x202 /* NT_X86_XSTATE */, 0x200 /* NT_386_TLS */, 0x204 /* NT_X86_SHSTK */}
	regsetsARM   = [...]uint32{0x401 /* NT_ARM_TLS */, 0x402 /* NT_ARM_HW_BREAK */, 0x403 /* NT_ARM_HW_WATCH */}
	regsetsARM64 = [...]uint32{ // not NT_ARM_PACA_KEYS and NT_ARM_PACG_KEYS (0x407, 0x408), which are secrets
		0x401 /* NT_ARM_TLS */, 0x402 /* NT_ARM_HW_BREAK */, 0x403 /* NT_ARM_HW_WATCH */, 0x404, /* NT_ARM_SYSTEM_CALL */
		0x405 /* NT_ARM_SVE */, 0x406 /* NT_ARM_PAC_MASK */, 0x409 /* NT_ARM_TAGGED_ADDR_CTRL */, 0x40a, /* NT_ARM_PAC_ENABLED_KEYS */
		0x40b /* NT_ARM_SSVE */, 0x40c /* NT_ARM_ZA */, 0x40d /* NT_ARM_ZT */, 0x40e /* NT_ARM_FPMR */, 0x40f, /* NT_ARM_POE */
		0x410, /* NT_ARM_GCS */
	}
	regsetsMIPS = [...]uint32{ntMIPSDSP, 0x801 /* NT_MIPS_FP_MODE */, 0x802 /* NT_MIPS_MSA */}
	regsetsPPC  = [...]uint32{
		ntPPCVMX, 0x102 /* NT_PPC_VSX */, 0x103 /* NT_PPC_TAR */, 0x104 /* NT_PPC_PPR */, 0x105, /* NT_PPC_DSCR */
		0x106 /* NT_PPC_EBB */, 0x107 /* NT_PPC_PMU */, 0x108 /* NT_PPC_TM_CGPR */, 0x109 /* NT_PPC_TM_CFPR */, 0x10a, /* NT_PPC_TM_CVMX */
		0x10b /* NT_PPC_TM_CVSX */, 0x10c /* NT_PPC_TM_SPR */, 0x10d /* NT_PPC_TM_CTAR */, 0x10e /* NT_PPC_TM_CPPR */, 0x10f, /* NT_PPC_TM_CDSCR */
		0x110 /* NT_PPC_PKEY */, 0x111, /* NT_PPC_DEXCR */
	}
	regsetsRISCV = [...]uint32{0x900 /* NT_RISCV_CSR */, 0x901 /* NT_RISCV_VECTOR */, 0x902 /* NT_RISCV_TAGGED_ADDR_CTRL */}
	regsetsS390  = [...]uint32{
		0x306 /* NT_S390_LAST_BREAK */, 0x307 /* NT_S390_SYSTEM_CALL */, 0x308 /* NT_S390_TDB */, ntS390VXRSLow, ntS390VXRSHigh,
		0x30b /* NT_S390_GS_CB */, 0x30c /* NT_S390_GS_BC */, 0x30d, /* NT_S390_RI_CB */
	}
	regsetsLoong = [...]uint32{
		0xa00 /* NT_LOONGARCH_CPUCFG */, 0xa02 /* NT_LOONGARCH_LSX */, 0xa03 /* NT_LOONGARCH_LASX */, 0xa04, /* NT_LOONGARCH_LBT */
		0xa05 /* NT_LOONGARCH_HW_BREAK */, 0xa06, /* NT_LOONGARCH_HW_WATCH */
	}
)

// Register sets besides those two that a context record takes in, where the CPU has them.
const (
	ntPPCVMX       = 0x100 // NT_PPC_VMX
	ntS390VXRSLow  = 0x309 // NT_S390_VXRS_LOW
	ntS390VXRSHigh = 0x30a // NT_S390_VXRS_HIGH
	ntMIPSDSP      = 0x800 // NT_MIPS_DSP
)

// vectorSets tells which of them an architecture has, and the size of each at most. They stand one after the other in
// context.Regsets.Extra.
func vectorSets(a context.Arch) (notes [2]uint32, sizes [2]int) {
	switch a {
	case context.MIPS, context.MIPS64:
		return [2]uint32{ntMIPSDSP}, [2]int{7 * a.WordSize()}
	case context.PPC64:
		return [2]uint32{ntPPCVMX}, [2]int{34 * 16}
	case context.S390X:
		return [2]uint32{ntS390VXRSLow, ntS390VXRSHigh}, [2]int{16 * 8, 16 * 16}
	}
	return notes, sizes
}

// regsetNotes tells which further register sets threads of an architecture can have.
func regsetNotes(a context.Arch) []uint32 {
	switch a {
	case context.X86, context.AMD64:
		return regsetsX86[:]
	case context.ARM:
		return regsetsARM[:]
	case context.ARM64:
		return regsetsARM64[:]
	case context.MIPS, context.MIPS64:
		return regsetsMIPS[:]
	case context.PPC64:
		return regsetsPPC[:]
	case context.RISCV64:
		return regsetsRISCV[:]
	case context.S390X:
		return regsetsS390[:]
	case context.LOONG64:
		return regsetsLoong[:]
	}
	return nil
}
