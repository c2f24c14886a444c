package context

// Types of the notes in a core file and of the register sets that PTRACE_GETREGSET reads, as far as this module uses them:
// include/uapi/linux/elf.h of the kernel. The kernel names the owner of the notes in the first block "CORE", and in the other
// blocks "LINUX". NT_GNU_BUILD_ID and NT_GO_BUILD_ID are notes of program files with other owners: they are in package elf.
const (
	NT_PRSTATUS = 1          // struct elf_prstatus; for PTRACE_GETREGSET its pr_reg, the general registers
	NT_PRFPREG  = 2          // the floating-point registers
	NT_PRPSINFO = 3          // struct elf_prpsinfo
	NT_AUXV     = 6          // the auxiliary vector
	NT_SIGINFO  = 0x53494749 // siginfo_t
	NT_FILE     = 0x46494c45 // the mapped files
	NT_PRXFPREG = 0x46e62b7f // x86: the FXSAVE image; its owner is "LINUX"

	NT_PPC_VMX      = 0x100
	NT_PPC_VSX      = 0x102
	NT_PPC_TAR      = 0x103
	NT_PPC_PPR      = 0x104
	NT_PPC_DSCR     = 0x105
	NT_PPC_EBB      = 0x106
	NT_PPC_PMU      = 0x107
	NT_PPC_TM_CGPR  = 0x108
	NT_PPC_TM_CFPR  = 0x109
	NT_PPC_TM_CVMX  = 0x10a
	NT_PPC_TM_CVSX  = 0x10b
	NT_PPC_TM_SPR   = 0x10c
	NT_PPC_TM_CTAR  = 0x10d
	NT_PPC_TM_CPPR  = 0x10e
	NT_PPC_TM_CDSCR = 0x10f
	NT_PPC_PKEY     = 0x110
	NT_PPC_DEXCR    = 0x111 // Linux 6.7

	NT_386_TLS          = 0x200
	NT_X86_XSTATE       = 0x202 // the XSAVE area
	NT_X86_SHSTK        = 0x204 // Linux 6.6
	NT_X86_XSAVE_LAYOUT = 0x205 // Linux 6.12; of the process, not of a thread

	NT_S390_LAST_BREAK  = 0x306
	NT_S390_SYSTEM_CALL = 0x307
	NT_S390_TDB         = 0x308
	NT_S390_VXRS_LOW    = 0x309
	NT_S390_VXRS_HIGH   = 0x30a
	NT_S390_GS_CB       = 0x30b
	NT_S390_GS_BC       = 0x30c
	NT_S390_RI_CB       = 0x30d

	NT_ARM_VFP              = 0x400
	NT_ARM_TLS              = 0x401
	NT_ARM_HW_BREAK         = 0x402
	NT_ARM_HW_WATCH         = 0x403
	NT_ARM_SYSTEM_CALL      = 0x404
	NT_ARM_SVE              = 0x405
	NT_ARM_PAC_MASK         = 0x406
	NT_ARM_PACA_KEYS        = 0x407 // secret: never in a dump
	NT_ARM_PACG_KEYS        = 0x408 // secret: never in a dump
	NT_ARM_TAGGED_ADDR_CTRL = 0x409
	NT_ARM_PAC_ENABLED_KEYS = 0x40a
	NT_ARM_SSVE             = 0x40b
	NT_ARM_ZA               = 0x40c
	NT_ARM_ZT               = 0x40d
	NT_ARM_FPMR             = 0x40e
	NT_ARM_POE              = 0x40f
	NT_ARM_GCS              = 0x410

	NT_MIPS_DSP     = 0x800
	NT_MIPS_FP_MODE = 0x801
	NT_MIPS_MSA     = 0x802

	NT_RISCV_CSR              = 0x900
	NT_RISCV_VECTOR           = 0x901
	NT_RISCV_TAGGED_ADDR_CTRL = 0x902

	NT_LOONGARCH_CPUCFG   = 0xa00
	NT_LOONGARCH_LSX      = 0xa02
	NT_LOONGARCH_LASX     = 0xa03
	NT_LOONGARCH_LBT      = 0xa04
	NT_LOONGARCH_HW_BREAK = 0xa05
	NT_LOONGARCH_HW_WATCH = 0xa06
)
