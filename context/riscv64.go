package context

// The RISCV64 record: Crashpad's MinidumpContextRISCV64, Breakpad's MDRawContextRISCV64. 528 bytes:
//
//	  0 u32 context_flags
//	  4 u32 version (1)
//	  8 u64 pc                      kMinidumpContextRISCV64Integer
//	 16 u64 x1-x31                  kMinidumpContextRISCV64Integer
//	264 u64 f0-f31                  kMinidumpContextRISCV64FloatingPoint
//	520 u32 fcsr                    kMinidumpContextRISCV64FloatingPoint
//	524 u32 0
const (
	sizeRISCV64    = 528
	riscv64Version = 4
	riscv64F0      = 264
	riscv64Fcsr    = 520

	flagRISCV64        = 0x08000000
	flagRISCV64Integer = 0x01
	flagRISCV64Float   = 0x02
)

// riscv64FPSize is the size of the kernel's struct __riscv_d_ext_state: f0-f31, fcsr, and 4 bytes of padding.
const riscv64FPSize = 264

var riscv64Names = []string{"ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
	"a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"}

// The kernel's struct user_regs_struct of riscv (asm/ptrace.h): 32 words, pc x1-x31.
var infoRISCV64 = archInfo{
	name:         "riscv64",
	processor:    0x8006,
	wordSize:     8,
	size:         sizeRISCV64,
	gpSize:       256,
	fpRegset:     NT_PRFPREG,
	fpSize:       riscv64FPSize,
	cpuFlag:      flagRISCV64,
	gpFlags:      flagRISCV64Integer,
	controlFlags: flagRISCV64Integer,
	versionAt:    riscv64Version,
	flagsSize:    4,
	table: func() []reg {
		return append(named(riscv64Names, 8, 8, 16, 8), reg{"pc", 0, 8, 8, 8, true})
	},
	pc: 31, sp: 1, fp: 7, lr: 0, g: 26,
}

// encodeRISCV64 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeRISCV64(rec, fp []byte) uint32 {
	rec[riscv64Version] = 1 // Linux on RISC-V is little-endian only.
	if len(fp) < 260 {
		return 0
	}
	copy(rec[riscv64F0:], fp[:256])
	copy(rec[riscv64Fcsr:riscv64Fcsr+4], fp[256:])
	return flagRISCV64Float
}

// The kernel's struct ucontext of riscv64: flags, link, stack (3 words), sigmask with room for 128 bytes, then struct
// sigcontext at 176: the registers as NT_PRSTATUS, and at 432 f0-f31 and fcsr.
const ucRISCV64Size = 176 + 256

func (f *frame) readRISCV64() {
	copy(f.gp[:256], f.uc[176:])
	f.fp = f.tail(432, 260)
}
