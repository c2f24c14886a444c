// Package context turns raw register sets and signal frames into what a minidump needs: CPU context records and the reason
// of a crash. Package insn below it adds what the faulting instruction tells.
//
// It is pure data transformation: no system call, no dependence on the machine it runs on, which Native names and nothing
// here looks at. Architecture and byte order are values, so a writer on one machine can describe a process of another.
package context

import "sync"

// Arch is an instruction set family with its word size. Byte order is not part of it.
type Arch uint8

// The architectures of which register sets are understood.
const (
	ArchUnknown Arch = iota
	X86
	AMD64
	ARM
	ARM64
	MIPS
	MIPS64
	PPC64
	RISCV64
	S390X
	LOONG64

	archCount
)

// reg is one register: where the kernel's NT_PRSTATUS register set has it and where the CPU context record has it.
type reg struct {
	name    string
	gp      uint16 // offset in the register set, noGP if it is not there
	gpSize  uint8  // 2, 4 or 8 bytes; a size of 2 is the low half of a wider slot of a little-endian machine
	rec     uint16 // offset in the record
	recSize uint8  // 2, 4 or 8 bytes
	general bool   // may hold an address: what Registers gives
}

// noGP marks a register that NT_PRSTATUS does not have.
const noGP = 0xffff

// none stands for a register that an architecture does not have.
const none = -1

// layout is all that differs between architectures as plain facts. Each architecture's file fills in one.
type layout struct {
	name      string
	processor uint16 // ProcessorArchitecture of MINIDUMP_SYSTEM_INFO
	wordSize  int
	size      int // of the CPU context record
	gpSize    int
	fpRegset  uint32
	fpSize    int
	redZone   uint64

	cpuFlag   uint32 // the bit of context_flags that names the CPU
	gpFlags   uint32 // the bits that say that the registers of NT_PRSTATUS are valid
	flagsAt   int    // offset of context_flags in the record
	flagsSize int    // 4 or 8
	regs      []reg
	table     func() []reg // makes regs when they are first asked for: most programs meet one architecture
	once      sync.Once

	// Indices in regs, or none.
	pc, sp, fp, lr, g int
}

// layouts holds one layout for every Arch; that of ArchUnknown is empty.
var layouts = [archCount]*layout{
	ArchUnknown: {},
	X86:         &layoutX86,
	AMD64:       &layoutAMD64,
	ARM:         &layoutARM,
	ARM64:       &layoutARM64,
	MIPS:        &layoutMIPS,
	MIPS64:      &layoutMIPS64,
	PPC64:       &layoutPPC64,
	RISCV64:     &layoutRISCV64,
	S390X:       &layoutS390X,
	LOONG64:     &layoutLOONG64,
}

func (a Arch) layout() *layout {
	if a >= archCount {
		a = ArchUnknown
	}
	l := layouts[a]
	if l.table != nil {
		l.once.Do(func() { l.regs = l.table() })
	}
	return l
}

// String gives the name: "x86", "amd64", "arm", "arm64", "mips", "mips64", "ppc64", "riscv64", "s390x", "loong64", and
// "unknown" for all else.
func (a Arch) String() string {
	if l := a.layout(); l.size != 0 {
		return l.name
	}
	return "unknown"
}

// PROCESSOR_ARCHITECTURE_UNKNOWN is the ProcessorArchitecture of ArchUnknown.
const PROCESSOR_ARCHITECTURE_UNKNOWN = 0xffff

// ProcessorArchitecture is the value for the field of that name in MINIDUMP_SYSTEM_INFO. Microsoft defines x86 0, MIPS 1,
// ARM 5, AMD64 9 and ARM64 12; Breakpad (MDCPUArchitecture) and Crashpad add PPC64 0x8002, MIPS64 0x8004 and RISCV64
// 0x8006. Neither has numbers for s390x and loong64: this package uses 0x8007 and 0x8008, the first that nobody uses.
func (a Arch) ProcessorArchitecture() uint16 {
	if l := a.layout(); l.size != 0 {
		return l.processor
	}
	return PROCESSOR_ARCHITECTURE_UNKNOWN
}

// ArchOfProcessor is the inverse of ProcessorArchitecture. It also knows 10 (an x86 process on 64-bit Windows) and
// 0x8003, the number of Breakpad's old ARM64 context, which Decode tells apart by its length.
func ArchOfProcessor(v uint16) Arch {
	switch v {
	case 10: // PROCESSOR_ARCHITECTURE_IA32_ON_WIN64
		return X86
	case 0x8003: // MD_CPU_ARCHITECTURE_ARM64_OLD
		return ARM64
	}
	for a := X86; a < archCount; a++ {
		if layouts[a].processor == v {
			return a
		}
	}
	return ArchUnknown
}

// ArchOfELF gives the architecture of an ELF file by e_machine. class64 says that the registers are 64 bits wide: true
// for ELFCLASS64, and for a MIPS n32 file too (ELFCLASS32 with EF_MIPS_ABI2 in e_flags), whose kernel register sets are
// those of MIPS64. Of machines with two word sizes, the size that this package does not know gives ArchUnknown (32-bit
// RISC-V and 31-bit s390). An EM_X86_64 file of class 32 is x32, which has AMD64 registers.
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

// WordSize is the size of an address and of a general register in bytes: 4 or 8, and 0 for ArchUnknown.
func (a Arch) WordSize() int { return a.layout().wordSize }

// ContextSize is the size in bytes of the CPU context record that Encode writes, 0 for ArchUnknown.
func (a Arch) ContextSize() int { return a.layout().size }

// RedZone is how many bytes below the stack pointer a function may use without moving it, so that a copy of a stack has
// to start that far below it.
//
//   - amd64: 128 (System V ABI, AMD64 supplement, 3.2.2).
//   - ppc64: 288 (64-bit ELF V2 ABI, "protected zone"; the kernel leaves 512 below SP alone, USER_REDZONE_SIZE, of which
//     the rest is not for user code).
//   - arm64: 0 on Linux and Android (AAPCS64 has none). Apple's ABI gives 128: a reader of Mach threads adds that itself.
//   - All others: 0. On s390x a function stores into the 160-byte register save area of its caller, but that lies above
//     the stack pointer.
func (a Arch) RedZone() uint64 { return a.layout().redZone }

// GPSize is the size in bytes of the general register set (NT_PRSTATUS, elf_gregset_t) that PTRACE_GETREGSET gives and
// that a core file's prstatus holds; 0 for ArchUnknown.
func (a Arch) GPSize() int { return a.layout().gpSize }

// Note types of floating-point register sets (linux/elf.h).
const (
	NT_PRFPREG  = 2
	NT_ARM_VFP  = 0x400
	NT_PRXFPREG = 0x46e62b7f
)

// FPRegset is the register set type to ask PTRACE_GETREGSET for, or to look for in a core file, to have floating-point
// registers: NT_ARM_VFP for ARM (its NT_PRFPREG is the FPA of long ago), NT_PRXFPREG for X86 (the FXSAVE image; where
// that fails, NT_PRFPREG gives the 108-byte one, which Encode takes too), NT_PRFPREG for all others.
func (a Arch) FPRegset() uint32 { return a.layout().fpRegset }

// FPSize is the size in bytes of the set that FPRegset names. A kernel may give less (loong64: 268 of 272, riscv64 260 of
// 264): Encode asks only for the registers themselves.
func (a Arch) FPSize() int { return a.layout().fpSize }

// ArchOfRegset tells the architecture of a thread by the length of the NT_PRSTATUS set that a dumper of architecture
// native was given: a 64-bit kernel gives a 32-bit thread's registers in the 32-bit layout. A length that fits neither is
// ArchUnknown, as are the 32-bit threads of ppc64 (192 bytes), s390x (144) and riscv64 (128), which no record can hold.
func ArchOfRegset(native Arch, gpLen int) Arch {
	if native == ArchUnknown || gpLen <= 0 {
		return ArchUnknown
	}
	if gpLen == native.GPSize() {
		return native
	}
	compat := ArchUnknown
	switch native {
	case AMD64:
		compat = X86
	case ARM64:
		compat = ARM
	case MIPS64:
		compat = MIPS
	}
	if gpLen == compat.GPSize() {
		return compat
	}
	return ArchUnknown
}
