package context

// The MIPS and MIPS64 record: Breakpad's MDRawContextMIPS, one layout for both (Crashpad's for MIPS64 differs, and no public
// reader of minidumps supports it). Registers of a 32-bit process are zero-extended. 600 bytes:
//
//	  0 u32 context_flags, u32 0
//	  8 u64 r0-r31                  MD_CONTEXT_MIPS_INTEGER
//	264 u64 mdhi mdlo               MD_CONTEXT_MIPS_INTEGER
//	280 u32 hi1 hi2 hi3             MD_CONTEXT_MIPS_DSP
//	292 u32 lo1 lo2 lo3             MD_CONTEXT_MIPS_DSP
//	304 u32 dsp_control, u32 0      MD_CONTEXT_MIPS_DSP
//	312 u64 epc badvaddr            MD_CONTEXT_MIPS_INTEGER
//	328 u32 status cause            MD_CONTEXT_MIPS_INTEGER
//	336 u64 f0-f31                  MD_CONTEXT_MIPS_FLOATING_POINT
//	592 u32 fpcsr fir               MD_CONTEXT_MIPS_FLOATING_POINT
const (
	sizeMIPS  = 600
	mipsHi    = 280
	mipsLo    = 292
	mipsDspc  = 304
	mipsF0    = 336
	mipsFpcsr = 592

	flagMIPS        = 0x00040000
	flagMIPS64      = 0x00080000
	flagMIPSInteger = 0x02
	flagMIPSFloat   = 0x04
	flagMIPSDSP     = 0x08
)

// mipsFPSize is the size of the kernel's elf_fpregset_t of mips, o32 included: 32 registers of 8 bytes, fcr31 and, since
// Linux 4.15, fir.
const mipsFPSize = 264

// mipsNames are the names of the o32 calling convention, which readers of minidumps use for the 64-bit conventions too.
var mipsNames = []string{"zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7",
	"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "fp", "ra"}

// mipsRegs returns the table for words of w bytes. The kernel's elf_gregset_t of mips (asm/reg.h) has 45 words: r0-r31, lo, hi,
// cp0_epc, cp0_badvaddr, cp0_status, cp0_cause, and in the 32-bit form 6 unused words before them.
func mipsRegs(w int) []reg {
	r0 := 0
	if w == 4 {
		r0 = 24
	}
	at := func(n int) uint16 { return uint16(r0 + n*w) }
	size := uint8(w)
	return append(named(mipsNames, r0, w, 8, 8),
		reg{"pc", at(34), size, 312, 8, true},
		reg{"hi", at(33), size, 264, 8, false},
		reg{"lo", at(32), size, 272, 8, false},
		reg{"badvaddr", at(35), size, 320, 8, false},
		reg{"status", at(36), size, 328, 4, false},
		reg{"cause", at(37), size, 332, 4, false})
}

var infoMIPS = archInfo{
	name:         "mips",
	processor:    1,
	wordSize:     4,
	size:         sizeMIPS,
	gpSize:       180,
	fpRegset:     NT_PRFPREG,
	fpSize:       mipsFPSize,
	cpuFlag:      flagMIPS,
	gpFlags:      flagMIPSInteger,
	controlFlags: flagMIPSInteger,
	flagsSize:    4,
	table:        func() []reg { return mipsRegs(4) },
	pc:           32, sp: 29, fp: 30, lr: 31, g: 30,
}

var infoMIPS64 = archInfo{
	name:         "mips64",
	processor:    0x8004,
	wordSize:     8,
	size:         sizeMIPS,
	gpSize:       360,
	fpRegset:     NT_PRFPREG,
	fpSize:       mipsFPSize,
	cpuFlag:      flagMIPS64,
	gpFlags:      flagMIPSInteger,
	controlFlags: flagMIPSInteger,
	flagsSize:    4,
	table:        func() []reg { return mipsRegs(8) },
	pc:           32, sp: 29, fp: 30, lr: 31, g: 30,
}

// encodeMIPS fills in the registers that NT_PRSTATUS lacks, and returns the flags for them. Words of NT_MIPS_DSP have w bytes;
// the record has the low 4, which is the width of the accumulators of the DSP ASE.
func encodeMIPS(rec, fp, dsp []byte, w int, big bool) uint32 {
	var flags uint32
	if len(fp) >= 260 {
		copy(rec[mipsF0:], fp[:256])
		copy(rec[mipsFpcsr:mipsFpcsr+8], fp[256:])
		flags |= flagMIPSFloat
	}
	if len(dsp) >= 7*w {
		for i := range 3 {
			put32(big, rec[mipsHi+4*i:], uint32(getN(big, dsp, (2*i)*w, w)))
			put32(big, rec[mipsLo+4*i:], uint32(getN(big, dsp, (2*i+1)*w, w)))
		}
		put32(big, rec[mipsDspc:], uint32(getN(big, dsp, 6*w, w)))
		flags |= flagMIPSDSP
	}
	return flags
}

// The kernel's struct ucontext of MIPS o32: flags, link, stack (3 words), then struct sigcontext at 24: u32 regmask, status, u64
// pc @8, r0-r31 @16, f0-f31 @272, u32 acx @528, fpc_csr, fpc_eir, used_math @540, dsp @544, u64 mdhi @552, mdlo @560, the DSP
// accumulators. Of the n64 ABI: the same in 8-byte words, struct sigcontext at 40: r0-r31, f0-f31 @256, mdhi @512, three DSP
// accumulators, mdlo @544, three more, pc @576, u32 fpc_csr @584, used_math @588, dsp @592. The ucontext of n32 is not supported.
//
// The DSP registers are ignored: nothing in the frame states whether the kernel has written them.
const (
	ucMIPSSize   = 24 + 592
	ucMIPS64Size = 40 + 600
	usedFP       = 1 // USED_FP in used_math
)

func (f *frame) readMIPS() {
	sc := f.uc[24:]
	word := func(gp, at int) {
		put32(f.big, f.gp[4*gp:], uint32(get64(f.big, sc[at:])))
	}
	for i := range 32 {
		word(6+i, 16+8*i)
	}
	word(38, 560)
	word(39, 552)
	word(40, 8)
	copy(f.gp[42*4:43*4], sc[4:])
	if get32(f.big, sc[540:])&usedFP != 0 {
		copy(f.fpBuf[:256], sc[272:])
		copy(f.fpBuf[256:264], sc[532:])
		f.fpLen = mipsFPSize
	}
}

func (f *frame) readMIPS64() {
	sc := f.uc[40:]
	copy(f.gp[:256], sc)
	copy(f.gp[32*8:33*8], sc[544:])
	copy(f.gp[33*8:34*8], sc[512:])
	copy(f.gp[34*8:35*8], sc[576:])
	if get32(f.big, sc[588:])&usedFP != 0 {
		copy(f.fpBuf[:256], sc[256:])
		copy(f.fpBuf[256:260], sc[584:])
		f.fpLen = mipsFPSize
	}
}
