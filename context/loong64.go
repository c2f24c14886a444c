package context

// The LOONG64 record. Windows, Breakpad and Crashpad have none; up to fcsr this is the layout of the LoongArch port of Breakpad
// (MDRawContextLOONGARCH64), with a CPU flag that no other record uses (upstream uses the port's flag, 0x00800000, for 32-bit
// RISC-V) and ProcessorArchitecture 0x8008. 552 bytes:
//
//	  0 u32 context_flags
//	  4 u32 version (1)
//	  8 u64 r0-r31                  2 integer
//	264 u64 csr_era (the pc)        2 integer
//	272 u64 f0-f31                  4 floating point
//	528 u64 fcc                     4 floating point
//	536 u32 fcsr, u32 0             4 floating point
//	544 u64 csr_badv                2 integer: the address of the last fault
const (
	sizeLOONG64    = 552
	loong64Version = 4
	loong64F0      = 272

	flagLOONG64        = 0x04000000
	flagLOONG64Integer = 0x02
	flagLOONG64Float   = 0x04
)

// loong64FPSize is the size of the kernel's NT_PRFPREG set of loongarch: f0-f31, fcc, fcsr, and 4 bytes of padding.
const loong64FPSize = 272

var loong64Names = []string{"zero", "ra", "tp", "sp", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3",
	"t4", "t5", "t6", "t7", "t8", "r21", "fp", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"}

// The kernel's struct user_pt_regs of loongarch (asm/ptrace.h): 45 words, r0-r31 orig_a0 csr_era csr_badv, 10 reserved.
var infoLOONG64 = archInfo{
	name:         "loong64",
	processor:    0x8008,
	wordSize:     8,
	size:         sizeLOONG64,
	gpSize:       360,
	fpRegset:     NT_PRFPREG,
	fpSize:       loong64FPSize,
	cpuFlag:      flagLOONG64,
	gpFlags:      flagLOONG64Integer,
	controlFlags: flagLOONG64Integer,
	versionAt:    loong64Version,
	flagsSize:    4,
	table: func() []reg {
		return append(named(loong64Names, 0, 8, 8, 8),
			reg{"pc", 264, 8, 264, 8, true},
			reg{"badv", 272, 8, 544, 8, false})
	},
	pc: 32, sp: 3, fp: 22, lr: 1, g: 22,
}

// encodeLOONG64 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeLOONG64(rec, fp []byte) uint32 {
	rec[loong64Version] = 1 // LoongArch is little-endian.
	if len(fp) < 268 {
		return 0
	}
	copy(rec[loong64F0:], fp[:268])
	return flagLOONG64Float
}

// The kernel's struct ucontext of loongarch: flags, link, stack (3 words), sigmask with room for 128 bytes, then struct
// sigcontext at 176: pc, r0-r31, u32 flags @264; at 448 a chain of records, each with 8 bytes of padding after magic and
// size. FPU_CTX is f0-f31, u64 fcc, u32 fcsr; LSX_CTX and LASX_CTX are the same with registers of 16 and 32 bytes.
const (
	ucLOONG64Size    = 176 + 268
	ucLOONG64Records = 448
	fpuMagic         = 0x46505501
	lsxMagic         = 0x53580001
	lasxMagic        = 0x41535801
)

// readLOONG64 derives the kind of access from sc_flags, where the kernel states it only for address errors (SC_ADDRERR_RD,
// SC_ADDRERR_WR).
func (f *frame) readLOONG64() {
	sc := f.uc[176:]
	copy(f.gp[33*8:34*8], sc)
	copy(f.gp[:256], sc[8:])
	switch flags := get32(f.big, sc[264:]); {
	case flags&(1<<30) != 0:
		f.access = AccessRead
	case flags&(1<<31) != 0:
		f.access = AccessWrite
	}
	for i, magic := range [...]uint32{fpuMagic, lsxMagic, lasxMagic} {
		width := 8 << i
		rec := f.record(ucLOONG64Records, magic)
		if len(rec) < 16+32*width+12 {
			continue
		}
		f.fpLen = loong64FPSize
		for i := range 32 {
			copy(f.fpBuf[8*i:8*i+8], rec[16+width*i:])
		}
		copy(f.fpBuf[256:268], rec[16+32*width:])
	}
}
