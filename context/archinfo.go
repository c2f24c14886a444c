package context

import (
	"strconv"
	"sync"
)

// reg is one register: its place in the kernel's NT_PRSTATUS register set and in the CPU context record.
type reg struct {
	name    string
	gp      uint16 // offset in the register set, noGP if it is not there
	gpSize  uint8  // 2, 4 or 8 bytes; a size of 2 is the low half of a wider slot of a little-endian machine
	rec     uint16 // offset in the record
	recSize uint8  // 2, 4 or 8 bytes
	general bool   // may contain an address: Registers returns it
}

// noGP marks a register that is not in NT_PRSTATUS.
const noGP = 0xffff

// none stands for a register that an architecture does not have.
const none = -1

// archInfo is everything that differs between architectures as plain facts. The file of each architecture fills in one.
type archInfo struct {
	name      string
	processor uint16 // ProcessorArchitecture of MINIDUMP_SYSTEM_INFO
	wordSize  int
	size      int // of the CPU context record
	gpSize    int
	fpRegset  uint32
	fpSize    int
	redZone   uint64

	cpuFlag      uint32 // the bit of context_flags that identifies the CPU
	gpFlags      uint32 // the bits that state that the registers of NT_PRSTATUS are valid
	controlFlags uint32 // the bits that state that PC and SP are valid, and as little else as possible
	versionAt    int    // offset of the version, a u32 that is 1; 0 if the record has none
	flagsAt      int    // offset of context_flags in the record
	flagsSize    int    // 4 or 8
	regs         []reg
	table        func() []reg // makes regs on first use: most programs use one architecture
	once         sync.Once

	// Indices in regs, or none.
	pc, sp, fp, lr, g int
}

// infos has one archInfo for every Arch; that of ArchUnknown is empty.
var infos = [archCount]*archInfo{
	ArchUnknown: {},
	X86:         &infoX86,
	AMD64:       &infoAMD64,
	ARM:         &infoARM,
	ARM64:       &infoARM64,
	MIPS:        &infoMIPS,
	MIPS64:      &infoMIPS64,
	PPC:         &infoPPC,
	PPC64:       &infoPPC64,
	RISCV64:     &infoRISCV64,
	S390X:       &infoS390X,
	LOONG64:     &infoLOONG64,
}

func (a Arch) info() *archInfo {
	if a >= archCount {
		a = ArchUnknown
	}
	l := infos[a]
	if l.table != nil {
		l.once.Do(func() { l.regs = l.table() })
	}
	return l
}

// numbered returns the table entries of count registers that are contiguous in both the register set and the record: prefix+first
// and so on, the first at offset gp in the set and rec in the record.
func numbered(prefix string, first, count, gp, gpSize, rec, recSize int) []reg {
	regs := make([]reg, 0, count+8)
	for i := range count {
		regs = append(regs, reg{prefix + strconv.Itoa(first+i), uint16(gp + gpSize*i), uint8(gpSize),
			uint16(rec + recSize*i), uint8(recSize), true})
	}
	return regs
}

// named is numbered for registers with names of their own.
func named(names []string, gp, gpSize, rec, recSize int) []reg {
	regs := numbered("", 0, len(names), gp, gpSize, rec, recSize)
	for i, n := range names {
		regs[i].name = n
	}
	return regs
}
