package context

// The S390X record. Windows, Breakpad and Crashpad have none; this one follows their style, with ProcessorArchitecture 0x8007 and
// the CPU flag 0x02000000, which no other record uses. Big-endian in practice. 744 bytes:
//
//	  0 u32 context_flags
//	  4 u32 version (1)
//	  8 u64 psw_mask psw_addr       1 control, with r15
//	 24 u64 r0-r15                  2 integer
//	152 u32 a0-a15 (access registers; a0 and a1 together are the thread pointer)  2 integer
//	216 u64 orig_gpr2               2 integer
//	224 u32 fpc, u32 0              4 floating point
//	232 u64 f0-f15                  4 floating point
//	360 u64 low halves of v0-v15 (the high halves are f0-f15)  8 vector
//	488 [16][16]byte v16-v31        8 vector
const (
	sizeS390X  = 744
	s390xFpc   = 224
	s390xVxrs  = 360
	s390xVxrsN = 16*8 + 16*16

	flagS390X        = 0x02000000
	flagS390XControl = 0x01
	flagS390XInteger = 0x02
	flagS390XFloat   = 0x04
	flagS390XVector  = 0x08
)

// s390xFPSize is the size of the kernel's s390_fp_regs: fpc, 4 bytes of padding, f0-f15.
const s390xFPSize = 136

// The kernel's s390_regs (asm/ptrace.h): psw mask, psw addr, 16 general registers, 16 access registers of 4 bytes,
// orig_gpr2.
var infoS390X = archInfo{
	name:         "s390x",
	processor:    0x8007,
	wordSize:     8,
	size:         sizeS390X,
	gpSize:       216,
	fpRegset:     NT_PRFPREG,
	fpSize:       s390xFPSize,
	cpuFlag:      flagS390X,
	gpFlags:      flagS390XControl | flagS390XInteger,
	controlFlags: flagS390XControl,
	versionAt:    4,
	flagsSize:    4,
	table:        s390xRegs,
	pc:           16, sp: 15, fp: 11, lr: 14, g: 13,
}

func s390xRegs() []reg {
	regs := append(numbered("r", 0, 16, 16, 8, 24, 8),
		reg{"pc", 8, 8, 16, 8, true},
		reg{"psw_mask", 0, 8, 8, 8, false},
		reg{"orig_gpr2", 208, 8, 216, 8, false})
	for _, e := range numbered("a", 0, 16, 144, 4, 152, 4) {
		e.general = false
		regs = append(regs, e)
	}
	return regs
}

// encodeS390X fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeS390X(rec, fp, vxrs []byte) uint32 {
	rec[7] = 1 // version, big-endian like everything on s390x
	var flags uint32
	if len(fp) >= s390xFPSize {
		copy(rec[s390xFpc:], fp[:s390xFPSize])
		clear(rec[s390xFpc+4 : s390xFpc+8])
		flags |= flagS390XFloat
	}
	if len(vxrs) >= s390xVxrsN {
		copy(rec[s390xVxrs:], vxrs[:s390xVxrsN])
		flags |= flagS390XVector
	}
	return flags
}

// The kernel's struct ucontext_extended of s390x: flags, link, stack (3 words), then _sigregs at 40: psw, r0-r15, a0-a15 as
// NT_PRSTATUS (which has orig_gpr2 after them), at 248 the floating-point registers as NT_PRFPREG; sigmask at 384 with room
// for 128 bytes; at 512 vxrs_low and vxrs_high, if UC_VXRS (2) is in flags.
const ucS390XSize = 40 + 208

func (f *frame) readS390X() {
	copy(f.gp[:208], f.uc[40:])
	f.fp = f.tail(248, s390xFPSize)
	if get64(f.big, f.uc)&2 != 0 {
		f.extra = f.tail(512, s390xVxrsN)
	}
}
