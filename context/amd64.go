package context

// The AMD64 record: CONTEXT of WinNT.h for x64, Breakpad's MDRawContextAMD64, Crashpad's MinidumpContextAMD64. 1232 bytes:
//
//	   0 u64 p1_home-p6_home (0)
//	  48 u32 context_flags
//	  52 u32 mx_csr                                     CONTEXT_FLOATING_POINT
//	  56 u16 cs                                         CONTEXT_CONTROL
//	  58 u16 ds es fs gs                                CONTEXT_SEGMENTS
//	  66 u16 ss                                         CONTEXT_CONTROL
//	  68 u32 eflags                                     CONTEXT_CONTROL
//	  72 u64 dr0 dr1 dr2 dr3 dr6 dr7                    CONTEXT_DEBUG_REGISTERS
//	 120 u64 rax rcx rdx rbx                            CONTEXT_INTEGER
//	 152 u64 rsp                                        CONTEXT_CONTROL
//	 160 u64 rbp rsi rdi r8-r15                         CONTEXT_INTEGER
//	 248 u64 rip                                        CONTEXT_CONTROL
//	 256 [512]byte FXSAVE image                         CONTEXT_FLOATING_POINT
//	 768 [26][16]byte vector_register (0)
//	1184 u64 vector_control debug_control last_branch_to_rip last_branch_from_rip last_exception_to_rip
//	         last_exception_from_rip (0)
const (
	sizeAMD64   = 1232
	amd64Mxcsr  = 52
	amd64Debug  = 72
	amd64Fxsave = 256

	flagAMD64         = 0x00100000
	flagAMD64Control  = 0x01
	flagAMD64Integer  = 0x02
	flagAMD64Segments = 0x04
	flagAMD64Float    = 0x08
	flagAMD64Debug    = 0x10
)

// gpAMD64FsBase is the offset of fs_base in struct user_regs_struct. The record has no field for fs_base.
const gpAMD64FsBase = 168

// The kernel's struct user_regs_struct of x86-64 (arch/x86/include/asm/user_64.h): 27 words, r15 r14 r13 r12 rbp rbx r11
// r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs.
var infoAMD64 = archInfo{
	name:         "amd64",
	processor:    9,
	wordSize:     8,
	size:         sizeAMD64,
	gpSize:       216,
	fpRegset:     NT_PRFPREG,
	fpSize:       fxsaveSize,
	redZone:      128,
	cpuFlag:      flagAMD64,
	gpFlags:      flagAMD64Control | flagAMD64Integer | flagAMD64Segments,
	controlFlags: flagAMD64Control,
	flagsAt:      48,
	flagsSize:    4,
	regs: []reg{
		{"rax", 80, 8, 120, 8, true},
		{"rcx", 88, 8, 128, 8, true},
		{"rdx", 96, 8, 136, 8, true},
		{"rbx", 40, 8, 144, 8, true},
		{"rsp", 152, 8, 152, 8, true},
		{"rbp", 32, 8, 160, 8, true},
		{"rsi", 104, 8, 168, 8, true},
		{"rdi", 112, 8, 176, 8, true},
		{"r8", 72, 8, 184, 8, true},
		{"r9", 64, 8, 192, 8, true},
		{"r10", 56, 8, 200, 8, true},
		{"r11", 48, 8, 208, 8, true},
		{"r12", 24, 8, 216, 8, true},
		{"r13", 16, 8, 224, 8, true},
		{"r14", 8, 8, 232, 8, true},
		{"r15", 0, 8, 240, 8, true},
		{"rip", 128, 8, 248, 8, true},
		{"eflags", 144, 4, 68, 4, false},
		{"cs", 136, 2, 56, 2, false},
		{"ss", 160, 2, 66, 2, false},
		{"ds", 184, 2, 58, 2, false},
		{"es", 192, 2, 60, 2, false},
		{"fs", 200, 2, 62, 2, false},
		{"gs", 208, 2, 64, 2, false},
	},
	pc: 16, sp: 4, fp: 5, lr: none, g: none,
}

// encodeAMD64 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeAMD64(rec, fp []byte, debug *[8]uint64, big bool) uint32 {
	var flags uint32
	if debug != nil {
		for i, n := range [6]int{0, 1, 2, 3, 6, 7} {
			put64(big, rec[amd64Debug+8*i:], debug[n])
		}
		flags |= flagAMD64Debug
	}
	if len(fp) >= fxsaveSize {
		copy(rec[amd64Fxsave:], fp[:fxsaveSize])
		copy(rec[amd64Mxcsr:amd64Mxcsr+4], fp[24:28])
		flags |= flagAMD64Float
	}
	return flags
}

// The kernel's struct ucontext of x86-64: flags, link, stack (3 words), then struct sigcontext_64 at 40: r8-r15 di si bp bx dx ax
// cx sp ip flags, u16 cs gs fs ss, err trapno oldmask cr2 fpstate, 8 reserved. Kernels that do not save ss leave it 0.
const ucAMD64Size = 40 + 24*8

func (f *frame) readAMD64() {
	sc := f.uc[40:]
	for i, gp := range [...]int{72, 64, 56, 48, 24, 16, 8, 0, 112, 104, 32, 40, 96, 80, 88, 152, 128, 144} {
		copy(f.gp[gp:gp+8], sc[8*i:])
	}
	for i, gp := range [...]int{136, 208, 200, 160} { // cs gs fs ss
		copy(f.gp[gp:gp+2], sc[144+2*i:])
	}
	f.errorCode = get64(f.big, sc[19*8:])
	f.trapNo = get64(f.big, sc[20*8:])
	f.trapAddress = get64(f.big, sc[22*8:])
	f.access = accessOfX86(f.trapNo, f.errorCode)
	if len(f.fpstate) >= fxsaveSize {
		f.fp = f.fpstate[:fxsaveSize]
	}
}
