package snapshot

import "minidump/context"

// Register sets other than NT_PRSTATUS and the floating-point set, which a context record holds, by architecture;
// types from include/uapi/linux/elf.h.
var (
	regsetsX86   = [...]uint32{context.NT_X86_XSTATE, context.NT_386_TLS, context.NT_X86_SHSTK}
	regsetsARM   = [...]uint32{context.NT_ARM_TLS, context.NT_ARM_HW_BREAK, context.NT_ARM_HW_WATCH}
	regsetsARM64 = [...]uint32{ // without NT_ARM_PACA_KEYS and NT_ARM_PACG_KEYS, which are secrets
		context.NT_ARM_TLS, context.NT_ARM_HW_BREAK, context.NT_ARM_HW_WATCH, context.NT_ARM_SYSTEM_CALL,
		context.NT_ARM_SVE, context.NT_ARM_PAC_MASK, context.NT_ARM_TAGGED_ADDR_CTRL, context.NT_ARM_PAC_ENABLED_KEYS,
		context.NT_ARM_SSVE, context.NT_ARM_ZA, context.NT_ARM_ZT, context.NT_ARM_FPMR, context.NT_ARM_POE,
		context.NT_ARM_GCS,
	}
	regsetsMIPS = [...]uint32{context.NT_MIPS_DSP, context.NT_MIPS_FP_MODE, context.NT_MIPS_MSA}
	regsetsPPC  = [...]uint32{
		context.NT_PPC_VMX, context.NT_PPC_VSX, context.NT_PPC_TAR, context.NT_PPC_PPR, context.NT_PPC_DSCR,
		context.NT_PPC_EBB, context.NT_PPC_PMU, context.NT_PPC_TM_CGPR, context.NT_PPC_TM_CFPR, context.NT_PPC_TM_CVMX,
		context.NT_PPC_TM_CVSX, context.NT_PPC_TM_SPR, context.NT_PPC_TM_CTAR, context.NT_PPC_TM_CPPR, context.NT_PPC_TM_CDSCR,
		context.NT_PPC_PKEY, context.NT_PPC_DEXCR,
	}
	regsetsRISCV = [...]uint32{context.NT_RISCV_CSR, context.NT_RISCV_VECTOR, context.NT_RISCV_TAGGED_ADDR_CTRL}
	regsetsS390  = [...]uint32{
		context.NT_S390_LAST_BREAK, context.NT_S390_SYSTEM_CALL, context.NT_S390_TDB, context.NT_S390_VXRS_LOW, context.NT_S390_VXRS_HIGH,
		context.NT_S390_GS_CB, context.NT_S390_GS_BC, context.NT_S390_RI_CB,
	}
	regsetsLoong = [...]uint32{
		context.NT_LOONGARCH_CPUCFG, context.NT_LOONGARCH_LSX, context.NT_LOONGARCH_LASX, context.NT_LOONGARCH_LBT,
		context.NT_LOONGARCH_HW_BREAK, context.NT_LOONGARCH_HW_WATCH,
	}
)

// VectorSets returns the notes of the register sets that context.Regsets.Extra contains, one after another, for
// an architecture, and the maximum size of each in bytes. A size of 0 means that there is none.
func VectorSets(a context.Arch) (notes [2]uint32, sizes [2]int) {
	switch a {
	case context.MIPS, context.MIPS64:
		return [2]uint32{context.NT_MIPS_DSP}, [2]int{7 * a.WordSize()}
	case context.PPC, context.PPC64:
		return [2]uint32{context.NT_PPC_VMX}, [2]int{34 * 16}
	case context.S390X:
		return [2]uint32{context.NT_S390_VXRS_LOW, context.NT_S390_VXRS_HIGH}, [2]int{16 * 8, 16 * 16}
	}
	return notes, sizes
}

// RegsetNotes returns the notes of the register sets that Thread.Extra may contain for an architecture.
func RegsetNotes(a context.Arch) []uint32 {
	switch a {
	case context.X86, context.AMD64:
		return regsetsX86[:]
	case context.ARM:
		return regsetsARM[:]
	case context.ARM64:
		return regsetsARM64[:]
	case context.MIPS, context.MIPS64:
		return regsetsMIPS[:]
	case context.PPC, context.PPC64:
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
