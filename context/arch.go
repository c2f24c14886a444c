package context

import "runtime"

// Arch is an instruction set family with its word size. Byte order is not part of it.
type Arch uint8

// The architectures whose register sets this package supports.
const (
	ArchUnknown Arch = iota
	X86
	AMD64
	ARM
	ARM64
	MIPS
	MIPS64
	PPC
	PPC64
	RISCV64
	S390X
	LOONG64

	archCount
)

// String returns the name: "x86", "amd64", "arm", "arm64", "mips", "mips64", "ppc", "ppc64", "riscv64", "s390x" or "loong64",
// otherwise "unknown".
func (a Arch) String() string {
	if l := a.info(); l.size != 0 {
		return l.name
	}
	return "unknown"
}

// PROCESSOR_ARCHITECTURE_UNKNOWN is the ProcessorArchitecture of ArchUnknown.
const PROCESSOR_ARCHITECTURE_UNKNOWN = 0xffff

// ProcessorArchitecture returns the value of the field of that name in MINIDUMP_SYSTEM_INFO. Microsoft defines x86 0, MIPS 1,
// PowerPC 3, ARM 5, AMD64 9 and ARM64 12; Breakpad (MDCPUArchitecture) and Crashpad add PPC64 0x8002, MIPS64 0x8004 and RISCV64
// 0x8006. Neither has numbers for s390x and loong64: this package uses 0x8007 and 0x8008, the first unused ones.
func (a Arch) ProcessorArchitecture() uint16 {
	if l := a.info(); l.size != 0 {
		return l.processor
	}
	return PROCESSOR_ARCHITECTURE_UNKNOWN
}

// ArchOfProcessor is the inverse of ProcessorArchitecture. It also accepts 10 (an x86 process on 64-bit Windows) and 0x8003, the
// number of Breakpad's old ARM64 context, which Decode recognizes by its length.
func ArchOfProcessor(v uint16) Arch {
	switch v {
	case 10: // PROCESSOR_ARCHITECTURE_IA32_ON_WIN64
		return X86
	case 0x8003: // MD_CPU_ARCHITECTURE_ARM64_OLD
		return ARM64
	}
	for a := X86; a < archCount; a++ {
		if infos[a].processor == v {
			return a
		}
	}
	return ArchUnknown
}

// ArchOfELF returns the architecture of an ELF file by e_machine. class64 states that the registers are 64 bits wide: true for
// ELFCLASS64, and also for a MIPS n32 file (ELFCLASS32 with EF_MIPS_ABI2 in e_flags), because its kernel register sets are those
// of MIPS64. For word sizes that this package does not support (32-bit RISC-V and 31-bit s390) it returns ArchUnknown. An
// EM_X86_64 file of class 32 is x32, which has AMD64 registers.
func ArchOfELF(machine uint16, class64 bool) Arch {
	switch machine {
	case 3: // EM_386
		return X86
	case 62: // EM_X86_64
		return AMD64
	case 40: // EM_ARM
		return ARM
	case 183: // EM_AARCH64
		return ARM64
	case 8: // EM_MIPS
		if class64 {
			return MIPS64
		}
		return MIPS
	case 20: // EM_PPC
		return PPC
	case 21: // EM_PPC64
		return PPC64
	case 243: // EM_RISCV
		if class64 {
			return RISCV64
		}
	case 22: // EM_S390
		if class64 {
			return S390X
		}
	case 258: // EM_LOONGARCH
		if class64 {
			return LOONG64
		}
	}
	return ArchUnknown
}

// WordSize returns the size of an address and of a general register in bytes: 4 or 8, and 0 for ArchUnknown.
func (a Arch) WordSize() int { return a.info().wordSize }

// ContextSize returns the size in bytes of the CPU context record that Encode writes, 0 for ArchUnknown.
func (a Arch) ContextSize() int { return a.info().size }

// RedZone returns how many bytes below the stack pointer a function may use without moving it. A copy of a stack must start that
// far below the stack pointer.
//
//   - amd64: 128 (System V ABI, AMD64 supplement, 3.2.2).
//   - ppc64: 288 (64-bit ELF V2 ABI, "protected zone"; the kernel leaves 512 below SP alone, USER_REDZONE_SIZE; the
//     rest is not for user code).
//   - arm64: 0 on Linux and Android (AAPCS64 has none). Apple's ABI has 128: a reader of Mach threads adds that itself.
//   - All others: 0. On s390x a function stores into the 160-byte register save area of its caller, but that lies above
//     the stack pointer.
func (a Arch) RedZone() uint64 { return a.info().redZone }

// GPSize returns the size in bytes of the general register set (NT_PRSTATUS, elf_gregset_t) that PTRACE_GETREGSET reads and that
// a core file's prstatus contains; 0 for ArchUnknown.
func (a Arch) GPSize() int { return a.info().gpSize }

// FPRegset returns the type of the register set with the floating-point registers, for PTRACE_GETREGSET and core files:
// NT_ARM_VFP for ARM (whose NT_PRFPREG is the obsolete FPA), NT_PRXFPREG for X86 (the FXSAVE image; if it is not available, use
// NT_PRFPREG, whose 108 bytes Encode accepts too), NT_PRFPREG for all others.
func (a Arch) FPRegset() uint32 { return a.info().fpRegset }

// FPSize returns the size in bytes of the set that FPRegset names. A kernel may return less (loong64: 268 of 272, riscv64: 260 of
// 264): Encode requires only the registers themselves.
func (a Arch) FPSize() int { return a.info().fpSize }

// ArchOfRegset returns the architecture of a thread, given the length of the NT_PRSTATUS set that a dumper of architecture native
// has read: a 64-bit kernel returns a 32-bit thread's registers in the 32-bit layout. It returns ArchUnknown for any other
// length, and for the 32-bit threads of s390x (144 bytes) and riscv64 (128), which no record can represent.
func ArchOfRegset(native Arch, gpLen int) Arch {
	if native == ArchUnknown || gpLen <= 0 {
		return ArchUnknown
	}
	if gpLen == native.GPSize() {
		return native
	}
	if c := native.Compat(); gpLen == c.GPSize() {
		return c
	}
	return ArchUnknown
}

// Compat returns the 32-bit architecture whose programs a 64-bit kernel of architecture a also runs: X86 for AMD64, ARM for
// ARM64, MIPS for MIPS64, PPC for PPC64. For every other architecture it returns ArchUnknown: either its kernel runs no other
// programs, or this package has no record for their registers (32-bit programs of s390x and riscv64).
func (a Arch) Compat() Arch {
	switch a {
	case AMD64:
		return X86
	case ARM64:
		return ARM
	case MIPS64:
		return MIPS
	case PPC64:
		return PPC
	}
	return ArchUnknown
}

// Native is the architecture of the running program itself, ArchUnknown if this package does not support it. It must not be
// changed.
var Native = archOfGo(runtime.GOARCH)

func archOfGo(goarch string) Arch {
	switch goarch {
	case "386":
		return X86
	case "amd64":
		return AMD64
	case "arm":
		return ARM
	case "arm64":
		return ARM64
	case "mips", "mipsle":
		return MIPS
	case "mips64", "mips64le":
		return MIPS64
	case "ppc64", "ppc64le":
		return PPC64
	case "riscv64":
		return RISCV64
	case "s390x":
		return S390X
	case "loong64":
		return LOONG64
	}
	return ArchUnknown
}
