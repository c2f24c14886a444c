package minidump

import "minidump/context"

// Register sets beyond NT_PRSTATUS and the floating-point set that a context record holds, by architecture; types from
// include/uapi/linux/elf.h.
var (
	regsetsX86   = [...]uint32{0x202 /* NT_X86_XSTATE */, 0x200 /* NT_386_TLS */, 0x204 /* NT_X86_SHSTK */}
	regsetsARM   = [...]uint32{0x401 /* NT_ARM_TLS */}
	regsetsARM64 = [...]uint32{
		0x401 /* NT_ARM_TLS */, 0x402 /* NT_ARM_HW_BREAK */, 0x403 /* NT_ARM_HW_WATCH */, 0x405, /* NT_ARM_SVE */
		0x406 /* NT_ARM_PAC_MASK */, 0x409 /* NT_ARM_TAGGED_ADDR_CTRL */, 0x40a /* NT_ARM_PAC_ENABLED_KEYS */, 0x40b, /* NT_ARM_SSVE */
		0x40c /* NT_ARM_ZA */, 0x40d /* NT_ARM_ZT */, 0x40e /* NT_ARM_FPMR */, 0x410, /* NT_ARM_GCS */
	}
	regsetsMIPS  = [...]uint32{0x800 /* NT_MIPS_DSP */, 0x801 /* NT_MIPS_FP_MODE */, 0x802 /* NT_MIPS_MSA */}
	regsetsPPC   = [...]uint32{0x100 /* NT_PPC_VMX */, 0x102 /* NT_PPC_VSX */, 0x103 /* NT_PPC_TAR */, 0x104 /* NT_PPC_PPR */, 0x105 /* NT_PPC_DSCR */}
	regsetsRISCV = [...]uint32{0x900 /* NT_RISCV_CSR */, 0x901 /* NT_RISCV_VECTOR */, 0x902 /* NT_RISCV_TAGGED_ADDR_CTRL */}
	regsetsS390  = [...]uint32{
		0x300 /* NT_S390_HIGH_GPRS */, 0x306 /* NT_S390_LAST_BREAK */, 0x307 /* NT_S390_SYSTEM_CALL */, 0x308, /* NT_S390_TDB */
		0x309 /* NT_S390_VXRS_LOW */, 0x30a /* NT_S390_VXRS_HIGH */, 0x30b /* NT_S390_GS_CB */, 0x30d, /* NT_S390_RI_CB */
	}
	regsetsLoong = [...]uint32{0xa00 /* NT_LOONGARCH_CPUCFG */, 0xa02 /* NT_LOONGARCH_LSX */, 0xa03 /* NT_LOONGARCH_LASX */, 0xa04 /* NT_LOONGARCH_LBT */}
)

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
