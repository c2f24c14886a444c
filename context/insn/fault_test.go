package insn

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"minidump/context"
)

// The names of package context that the tables use by the hundred.
const (
	X86     = context.X86
	AMD64   = context.AMD64
	ARM     = context.ARM
	ARM64   = context.ARM64
	MIPS    = context.MIPS
	MIPS64  = context.MIPS64
	PPC     = context.PPC
	PPC64   = context.PPC64
	RISCV64 = context.RISCV64
	S390X   = context.S390X
	LOONG64 = context.LOONG64

	AccessUnknown = context.AccessUnknown
	AccessRead    = context.AccessRead
	AccessWrite   = context.AccessWrite
	AccessExecute = context.AccessExecute

	SI_KERNEL = context.SI_KERNEL
)

// r returns the value of general register n, which is different for each register. n is the architecture's own number.
func r(n int) uint64 { return 0x100000 * uint64(n+1) }

const testPC = 0x40000000

// gpLayout states where the NT_PRSTATUS set of each architecture (elf_gregset_t of the kernel's asm/elf.h) has the registers, by
// the number that an instruction uses for them, and the program counter: offsets in words.
var gpLayout = map[context.Arch]struct {
	pc   int
	regs []int
}{
	X86:     {12, []int{6, 1, 2, 0, 15, 5, 3, 4}}, // eax ecx edx ebx esp ebp esi edi
	AMD64:   {16, []int{10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0}},
	ARM:     {15, inOrder(0, 15)},
	ARM64:   {32, inOrder(0, 32)}, // number 31 is sp
	MIPS:    {40, inOrder(6, 32)},
	MIPS64:  {34, inOrder(0, 32)},
	PPC:     {32, inOrder(0, 32)},
	PPC64:   {32, inOrder(0, 32)},
	RISCV64: {0, inOrder(0, 32)}, // x0 is not in the set: pc is in its place
	S390X:   {1, inOrder(2, 16)},
	LOONG64: {33, inOrder(0, 32)},
}

// inOrder returns n consecutive numbers from first on.
func inOrder(first, n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = first + i
	}
	return at
}

// testRecord makes a record of a from a register set in which the registers have the values of r, or of set.
func testRecord(a context.Arch, o binary.ByteOrder, pc uint64, set map[int]uint64) []byte {
	gp := make([]byte, a.GPSize())
	put := func(word int, v uint64) {
		switch at := gp[word*a.WordSize():]; {
		case a.WordSize() == 4 && o == binary.BigEndian:
			binary.BigEndian.PutUint32(at, uint32(v))
		case a.WordSize() == 4:
			binary.LittleEndian.PutUint32(at, uint32(v))
		case o == binary.BigEndian:
			binary.BigEndian.PutUint64(at, v)
		default:
			binary.LittleEndian.PutUint64(at, v)
		}
	}
	for n, word := range gpLayout[a].regs {
		v := r(n)
		if s, ok := set[n]; ok {
			v = s
		}
		put(word, v)
	}
	put(gpLayout[a].pc, pc)
	regs := context.Regsets{Arch: a, Order: o, GP: gp}
	rec := make([]byte, a.ContextSize())
	if regs.Encode(rec) == 0 {
		panic("no record")
	}
	return rec
}

// The code is the output of GNU as for the text; that of loong64 is from Go's assembler.
var faultCases = []struct {
	arch   context.Arch
	code   string
	text   string // "-" if there is no disassembler
	addr   uint64
	size   int
	access context.Access
}{
	{AMD64, "488b4608", "mov 0x8(%rsi),%rax", r(6) + 8, 8, AccessRead},
	{AMD64, "488944240a", "mov %rax,0xa(%rsp)", r(4) + 10, 8, AccessWrite},
	{AMD64, "8b44b310", "mov 0x10(%rbx,%rsi,4),%eax", r(3) + 4*r(6) + 16, 4, AccessRead},
	{AMD64, "8b0510000000", "mov 0x10(%rip),%eax", testPC + 22, 4, AccessRead},
	{AMD64, "43880c11", "mov %cl,(%r9,%r10", r(9) + r(10), 1, AccessWrite},
	{AMD64, "48833f05", "cmpq $0x5,(%rdi)", r(7), 8, AccessRead},
	{AMD64, "48830705", "addq $0x5,(%rdi)", r(7), 8, AccessWrite},
	{AMD64, "f0480fb10b", "lock cmpxchg", r(3), 8, AccessWrite},
	{AMD64, "f3a4", "rep movsb", r(7), 1, AccessWrite},
	{AMD64, "48ab", "stos %rax,%es:(%rdi)", r(7), 8, AccessWrite},
	{AMD64, "ac", "lods", r(6), 1, AccessRead},
	{AMD64, "a6", "cmpsb", r(6), 1, AccessRead},
	{AMD64, "50", "push %rax", r(4) - 8, 8, AccessWrite},
	{AMD64, "ff30", "pushq (%rax)", r(0), 8, AccessRead},
	{AMD64, "58", "pop %rax", r(4), 8, AccessRead},
	{AMD64, "c3", "retq", r(4), 8, AccessRead},
	{AMD64, "c9", "leaveq", r(5), 8, AccessRead},
	{AMD64, "ff5008", "callq *0x8(%rax)", r(0) + 8, 8, AccessRead},
	{AMD64, "ffd0", "call *%rax", r(4) - 8, 8, AccessWrite},
	{AMD64, "e800000000", "callq", r(4) - 8, 8, AccessWrite},
	{AMD64, "ffe0", "jmp *%rax", r(0), 0, AccessExecute},
	{AMD64, "c5fe6f06", "vmovdqu (%rsi),%ymm0", r(6), 32, AccessRead},
	{AMD64, "62f17c481107", "vmovups %zmm0,(%rdi)", r(7), 64, AccessWrite},
	{AMD64, "660f2900", "movapd %xmm0,(%rax)", r(0), 16, AccessWrite},
	{AMD64, "dd18", "fstpl (%rax)", r(0), 8, AccessWrite},
	{AMD64, "dd00", "fldl (%rax)", r(0), 8, AccessRead},
	{AMD64, "d7", "xlat", r(3), 1, AccessRead},
	{AMD64, "678b00", "mov (%eax),%eax", r(0), 4, AccessRead},
	{AMD64, "48f73f", "idivq (%rdi)", r(7), 8, AccessRead},
	{AMD64, "0fae18", "stmxcsr (%rax)", r(0), 4, AccessWrite},
	{X86, "8b442408", "mov 0x8(%esp),%eax", r(4) + 8, 4, AccessRead},
	{X86, "668907", "mov %ax,(%edi)", r(7), 2, AccessWrite},
	{X86, "50", "push %eax", r(4) - 4, 4, AccessWrite},
	{X86, "c3", "ret", r(4), 4, AccessRead},
	{X86, "a5", "movs", r(7), 4, AccessWrite},

	{ARM64, "200840f9", "ldr x0, [x1,#16]", r(1) + 16, 8, AccessRead},
	{ARM64, "201000b9", "str w0, [x1,#16]", r(1) + 16, 4, AccessWrite},
	{ARM64, "20686238", "ldrb w0, [x1,x2]", r(1) + r(2), 1, AccessRead},
	{ARM64, "20d862f8", "ldr x0, [x1,w2,sxtw #3]", r(1) + 8*r(2), 8, AccessRead},
	{ARM64, "207822f8", "str x0, [x1,x2,lsl #3]", r(1) + 8*r(2), 8, AccessWrite},
	{ARM64, "208440f8", "ldr x0, [x1],#8", r(1), 8, AccessRead},
	{ARM64, "208c1ff8", "str x0, [x1,#-8]!", r(1) - 8, 8, AccessWrite},
	{ARM64, "20d05ff8", "ldur x0, [x1,#-3]", r(1) - 3, 8, AccessRead},
	{ARM64, "40047fa9", "ldp x0, x1, [x2,#-16]", r(2) - 16, 16, AccessRead},
	{ARM64, "fd7bbea9", "stp x29, x30, [sp,#-32]!", r(31) - 32, 16, AccessWrite},
	{ARM64, "fd7bc2a8", "ldp x29, x30, [sp],#32", r(31), 16, AccessRead},
	{ARM64, "400402ad", "stp q0, q1, [x2,#64]", r(2) + 64, 32, AccessWrite},
	{ARM64, "40044169", "ldpsw x0, x1, [x2,#8]", r(2) + 8, 8, AccessRead},
	{ARM64, "2008c03d", "ldr q0, [x1,#32]", r(1) + 32, 16, AccessRead},
	{ARM64, "200c003d", "str b0, [x1,#3]", r(1) + 3, 1, AccessWrite},
	{ARM64, "200440fd", "ldr d0, [x1,#8]", r(1) + 8, 8, AccessRead},
	{ARM64, "200480b9", "ldrsw x0, [x1,#4]", r(1) + 4, 4, AccessRead},
	{ARM64, "2004c079", "ldrsh w0, [x1,#2]", r(1) + 2, 2, AccessRead},
	{ARM64, "207c5fc8", "ldxr x0, [x1]", r(1), 8, AccessRead},
	{ARM64, "207c02c8", "stxr w2, x0, [x1]", r(1), 8, AccessWrite},
	{ARM64, "20887fc8", "ldaxp x0, x2, [x1]", r(1), 16, AccessRead},
	{ARM64, "227ca0c8", "-", r(1), 8, AccessWrite},  // cas x0, x2, [x1]
	{ARM64, "827c2048", "-", r(4), 16, AccessWrite}, // casp x0, x1, x2, x3, [x4]
	{ARM64, "220020f8", "-", r(1), 8, AccessWrite},  // ldadd x0, x2, [x1]
	{ARM64, "228020b8", "-", r(1), 4, AccessWrite},  // swp w0, w2, [x1]
	{ARM64, "20c0bff8", "-", r(1), 8, AccessRead},   // ldapr x0, [x1]
	{ARM64, "20fc9f88", "stlr w0, [x1]", r(1), 4, AccessWrite},
	{ARM64, "20c05f99", "-", r(1) - 4, 4, AccessRead},  // ldapur w0, [x1, #-4]
	{ARM64, "208000d9", "-", r(1) + 8, 8, AccessWrite}, // stlur x0, [x1, #8]
	{ARM64, "80000058", "ldr x0, .+0x10", testPC + 16, 8, AccessRead},
	{ARM64, "80ffff98", "ldrsw x0, .+0xfffffffffffffff0", testPC - 16, 4, AccessRead},
	{ARM64, "23740bd5", "dc zva, x3", r(3), 0, AccessWrite},
	{ARM64, "40a0404c", "ld1 {v0.16b, v1.16b}, [x2]", r(2), 32, AccessRead},
	{ARM64, "4000000c", "st4 {v0.8b-v3.8b}, [x2]", r(2), 32, AccessWrite},
	{ARM64, "4090000d", "st1 {v0.s}[1], [x2]", r(2), 4, AccessWrite},
	{ARM64, "40cc604d", "ld2r {v0.2d, v1.2d}, [x2]", r(2), 16, AccessRead},
	{ARM64, "60003fd6", "blr x3", r(3), 0, AccessExecute},

	{ARM, "040091e5", "ldr r0, [r1, #4]", r(1) + 4, 4, AccessRead},
	{ARM, "040011e5", "ldr r0, [r1, #-4]", r(1) - 4, 4, AccessRead},
	{ARM, "020191e7", "ldr r0, [r1, r2, lsl #2]", r(1) + 4*r(2), 4, AccessRead},
	{ARM, "020001e7", "str r0, [r1, -r2]", 0xffffffff & (r(1) - r(2)), 4, AccessWrite},
	{ARM, "040091e4", "ldr r0, [r1], #4", r(1), 4, AccessRead},
	{ARM, "0500c1e5", "strb r0, [r1, #5]", r(1) + 5, 1, AccessWrite},
	{ARM, "b200d1e1", "ldrh r0, [r1, #2]", r(1) + 2, 2, AccessRead},
	{ARM, "d300d1e1", "ldrsb r0, [r1, #3]", r(1) + 3, 1, AccessRead},
	{ARM, "f800c2e1", "strd r0, [r2, #8]", r(2) + 8, 8, AccessWrite},
	{ARM, "10402de9", "push {r4, lr}", r(13) - 8, 8, AccessWrite},
	{ARM, "04402de5", "", r(13) - 4, 4, AccessWrite},
	{ARM, "1080bde8", "pop {r4, pc}", r(13), 8, AccessRead},
	{ARM, "04409de4", "", r(13), 4, AccessRead},
	{ARM, "0c0091e8", "r1, {r2, r3}", r(1), 8, AccessRead},
	{ARM, "0c0011e9", "ldmdb r1, {r2, r3}", r(1) - 8, 8, AccessRead},
	{ARM, "0c0081e9", "stmib r1, {r2, r3}", r(1) + 4, 8, AccessWrite},
	{ARM, "0c0011e8", "ldmda r1, {r2, r3}", r(1) - 4, 8, AccessRead},
	{ARM, "9f0f91e1", "ldrex r0, [r1]", r(1), 4, AccessRead},
	{ARM, "020b91ed", "vldr d0, [r1, #8]", r(1) + 8, 8, AccessRead},
	{ARM, "08009fe5", "ldr r0, [pc, #8]", testPC + 16, 4, AccessRead},
	{ARM, "04009105", "ldreq r0, [r1, #4]", r(1) + 4, 4, AccessRead},

	{MIPS64, "8c820008", "-", r(4) + 8, 4, AccessRead},
	{MIPS64, "fc82fff8", "-", r(4) - 8, 8, AccessWrite},
	{MIPS64, "90820003", "-", r(4) + 3, 1, AccessRead},
	{MIPS64, "a8820005", "-", r(4) + 4, 4, AccessWrite},
	{MIPS64, "d4820010", "-", r(4) + 16, 8, AccessRead},
	{MIPS64, "c0820000", "-", r(4), 4, AccessRead},
	{MIPS64, "f0820000", "-", r(4), 8, AccessWrite},
	{MIPS64, "00a00008" + "8c820008", "-", r(4) + 8, 4, AccessRead}, // jr with a load in its delay slot
	{MIPS64, "00a00008" + "00000000", "-", r(5), 0, AccessExecute},
	{MIPS, "8c820008", "-", r(4) + 8, 4, AccessRead},

	{PPC, "80640008", "lwz r3,8(r4)", r(4) + 8, 4, AccessRead},
	{PPC, "9421ffd0", "stwu r1,-48(r1)", r(1) - 48, 4, AccessWrite},
	{PPC, "8060fffc", "lwz r3,-4(0)", 0xfffffffc, 4, AccessRead},
	{PPC, "7c6428ae", "lbzx r3,r4,r5", r(4) + r(5), 1, AccessRead},
	{PPC, "d8240008", "stfd f1,8(r4)", r(4) + 8, 8, AccessWrite},
	{PPC, "bbc1fff8", "lmw r30,-8(r1)", r(1) - 8, 0, AccessRead},

	{PPC64, "080064e8", "ld r3,8(r4)", r(4) + 8, 8, AccessRead},
	{PPC64, "f8ff64f8", "std r3,-8(r4)", r(4) - 8, 8, AccessWrite},
	{PPC64, "04006080", "lwz r3,4(0)", 4, 4, AccessRead},
	{PPC64, "ae28647c", "lbzx r3,r4,r5", r(4) + r(5), 1, AccessRead},
	{PPC64, "2e29607c", "stwx r3,0,r5", r(5), 4, AccessWrite},
	{PPC64, "d1ff21f8", "stdu r1,-48(r1)", r(1) - 48, 8, AccessWrite},
	{PPC64, "060064e8", "lwa r3,4(r4)", r(4) + 4, 4, AccessRead},
	{PPC64, "080024c8", "lfd f1,8(r4)", r(4) + 8, 8, AccessRead},
	{PPC64, "040024d0", "stfs f1,4(r4)", r(4) + 4, 4, AccessWrite},
	{PPC64, "ce28047c", "lvx v0,r4,r5", r(4) + r(5), 16, AccessRead},
	{PPC64, "ce29047c", "stvx v0,r4,r5", r(4) + r(5), 16, AccessWrite},
	{PPC64, "110064f4", "lxv vs3,16(r4)", r(4) + 16, 16, AccessRead},
	{PPC64, "f5ff64f4", "stxv vs3,-16(r4)", r(4) - 16, 16, AccessWrite},
	{PPC64, "982e047c", "lxvd2x vs0,r4,r5", r(4) + r(5), 16, AccessRead},
	{PPC64, "a828647c", "ldarx r3,r4,r5", r(4) + r(5), 8, AccessRead},
	{PPC64, "2d29647c", "stwcx. r3,r4,r5", r(4) + r(5), 4, AccessWrite},
	{PPC64, "ec2f047c", "dcbz r4,r5", r(4) + r(5), 0, AccessWrite},
	{PPC64, "2c2e647c", "lhbrx r3,r4,r5", r(4) + r(5), 2, AccessRead},

	{RISCV64, "03a58500", "lw x10,8(x11)", r(11) + 8, 4, AccessRead},
	{RISCV64, "23bca5fe", "sd x10,-8(x11)", r(11) - 8, 8, AccessWrite},
	{RISCV64, "03c53500", "lbu x10,3(x11)", r(11) + 3, 1, AccessRead},
	{RISCV64, "2391a500", "sh x10,2(x11)", r(11) + 2, 2, AccessWrite},
	{RISCV64, "07b50501", "fld f10,16(x11)", r(11) + 16, 8, AccessRead},
	{RISCV64, "27aea5fe", "fsw f10,-4(x11)", r(11) - 4, 4, AccessWrite},
	{RISCV64, "2fb50510", "lr.d x10,(x11)", r(11), 8, AccessRead},
	{RISCV64, "2fa5c518", "sc.w x10,x12,(x11)", r(11), 4, AccessWrite},
	{RISCV64, "2fb5c500", "amoadd.d x10,x12,(x11)", r(11), 8, AccessWrite},
	{RISCV64, "e7804500", "jalr", r(11) + 4, 0, AccessExecute},
	{RISCV64, "a841", "lw x10,64(x11)", r(11) + 64, 4, AccessRead},
	{RISCV64, "e865", "ld x10,200(x11)", r(11) + 200, 8, AccessRead},
	{RISCV64, "e8c1", "sw x10,68(x11)", r(11) + 68, 4, AccessWrite},
	{RISCV64, "88e5", "sd x10,8(x11)", r(11) + 8, 8, AccessWrite},
	{RISCV64, "8829", "fld f10,16(x11)", r(11) + 16, 8, AccessRead},
	{RISCV64, "e8bd", "fsd f10,248(x11)", r(11) + 248, 8, AccessWrite},
	{RISCV64, "3645", "lw x10,76(x2)", r(2) + 76, 4, AccessRead},
	{RISCV64, "2e65", "ld x10,200(x2)", r(2) + 200, 8, AccessRead},
	{RISCV64, "aaca", "sw x10,84(x2)", r(2) + 84, 4, AccessWrite},
	{RISCV64, "aae7", "sd x10,456(x2)", r(2) + 456, 8, AccessWrite},
	{RISCV64, "8295", "jalr", r(11), 0, AccessExecute},

	{S390X, "e31020080004", "lg %r1,8(%r2)", r(2) + 8, 8, AccessRead},
	{S390X, "e3132ff0ff24", "stg %r1,-16(%r3,%r2)", r(3) + r(2) - 16, 8, AccessWrite},
	{S390X, "58102004", "l %r1,4(%r2)", r(2) + 4, 4, AccessRead},
	{S390X, "d20710002010", "mvc 0(8,%r1),16(%r2)", r(1), 8, AccessWrite},
	{S390X, "d50310002004", "clc 0(4,%r1),4(%r2)", r(1), 4, AccessRead},
	{S390X, "d70f10081008", "xc 8(16,%r1),8(%r1)", r(1) + 8, 16, AccessWrite},
	{S390X, "92011003", "mvi 3(%r1),1", r(1) + 3, 1, AccessWrite},
	{S390X, "ba123004", "cs %r1,%r2,4(%r3)", r(3) + 4, 4, AccessWrite},
	{S390X, "eb1230080030", "csg %r1,%r2,8(%r3)", r(3) + 8, 8, AccessWrite},
	{S390X, "eb6ff0300024", "stmg %r6,%r15,48(%r15)", r(15) + 48, 0, AccessWrite},
	{S390X, "eb6ff0300004", "lmg %r6,%r15,48(%r15)", r(15) + 48, 0, AccessRead},
	{S390X, "e31020050090", "llgc %r1,5(%r2)", r(2) + 5, 1, AccessRead},
	{S390X, "c41800000010", "lgrl %r1,", testPC + 32, 8, AccessRead},
	{S390X, "e71020100006", "vl %v1,16(%r2)", r(2) + 16, 16, AccessRead},
	{S390X, "e7102010000e", "vst %v1,16(%r2)", r(2) + 16, 16, AccessWrite},
	{S390X, "eb12300800e8", "laag %r1,%r2,8(%r3)", r(3) + 8, 8, AccessWrite},
	{S390X, "0de1", "basr %r14,%r1", r(1), 0, AccessExecute},
	{S390X, "e54810080000", "mvghi 8(%r1),0", r(1) + 8, 8, AccessWrite},
	{S390X, "60001008", "std %f0,8(%r1)", r(1) + 8, 8, AccessWrite},

	{LOONG64, "a420c028", "ld.d", r(5) + 8, 8, AccessRead},
	{LOONG64, "a4e0ff29", "st.d", r(5) - 8, 8, AccessWrite},
	{LOONG64, "a40c0028", "ld.b", r(5) + 3, 1, AccessRead},
	{LOONG64, "a408402a", "ld.hu", r(5) + 2, 2, AccessRead},
	{LOONG64, "a4108029", "st.w", r(5) + 4, 4, AccessWrite},
	{LOONG64, "a010002b", "fld.s", r(5) + 4, 4, AccessRead},
	{LOONG64, "a020c02b", "fst.d", r(5) + 8, 8, AccessWrite},
	{LOONG64, "a4180c38", "ldx.d", r(5) + r(6), 8, AccessRead},
	{LOONG64, "a4181838", "stx.w", r(5) + r(6), 4, AccessWrite},
	{LOONG64, "a4000020", "ll.w", r(5), 4, AccessRead},
	{LOONG64, "a4080023", "sc.d", r(5) + 8, 8, AccessWrite},
	{LOONG64, "a6906a38", "amadd_db.d", r(5), 8, AccessWrite},
	{LOONG64, "a6105c38", "amswap.b", r(5), 1, AccessWrite},
	{LOONG64, "a6905b38", "amcas_db.d", r(5), 8, AccessWrite},
	{LOONG64, "a040002c", "-", r(5) + 16, 16, AccessRead},  // vld v0, r5, 16
	{LOONG64, "a080c02c", "-", r(5) + 32, 32, AccessWrite}, // xvst x0, r5, 32
	{LOONG64, "a100004c", "jirl", r(5), 0, AccessExecute},
	{LOONG64, "a4100026", "ldptr.d", r(5) + 16, 8, AccessRead},
	{LOONG64, "a4100025", "stptr.w", r(5) + 16, 4, AccessWrite},
}

func order(big bool) binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// testOrder returns the byte order of the cases of an architecture.
func testOrder(a context.Arch) binary.ByteOrder {
	return order(a == S390X || a == MIPS || a == MIPS64 || a == PPC)
}

func TestDecode(t *testing.T) {
	for _, c := range faultCases {
		code, err := hex.DecodeString(c.code)
		if err != nil {
			t.Fatal(c.code)
		}
		o := testOrder(c.arch)
		op, ok := Decode(c.arch, o, code, testPC, testRecord(c.arch, o, testPC, nil))
		if !ok {
			t.Errorf("%s %s %q: no operand", c.arch, c.code, c.text)
			continue
		}
		if !op.HasAddress || op.Address != c.addr || op.Size != c.size || op.Access != c.access || op.NonCanonical {
			t.Errorf("%s %s %q: %#x size %d %s, want %#x size %d %s", c.arch, c.code, op.Text, op.Address, op.Size, op.Access,
				c.addr, c.size, c.access)
		}
		squeeze := strings.Join(strings.Fields(op.Text), " ")
		if want := strings.Trim(c.text, "-"); !strings.Contains(squeeze, want) {
			t.Errorf("%s %s: text %q, want %q", c.arch, c.code, squeeze, want)
		}
	}
	// As many bytes as the instruction has are enough, and one byte less is not.
	for _, c := range faultCases {
		code, _ := hex.DecodeString(c.code)
		o := testOrder(c.arch)
		if c.arch != MIPS && c.arch != MIPS64 {
			if op, ok := Decode(c.arch, o, code[:len(code)-1], testPC, testRecord(c.arch, o, testPC, nil)); ok {
				t.Errorf("%s %s: %+v of a cut instruction", c.arch, c.code, op)
			}
		}
	}
}

func TestDecodeThumb(t *testing.T) {
	for _, c := range []struct {
		code   string
		addr   uint64
		size   int
		access context.Access
	}{
		{"4868", r(1) + 4, 4, AccessRead},
		{"4879", r(1) + 5, 1, AccessRead},
		{"c880", r(1) + 6, 2, AccessWrite},
		{"8858", r(1) + r(2), 4, AccessRead},
		{"8854", r(1) + r(2), 1, AccessWrite},
		{"885e", r(1) + r(2), 2, AccessRead},
		{"0490", r(13) + 16, 4, AccessWrite},
		{"10b5", r(13) - 8, 8, AccessWrite},
		{"10bd", r(13), 8, AccessRead},
		{"0cc9", r(1), 8, AccessRead},
		{"d1f8c800", r(1) + 200, 4, AccessRead},
		{"51f8040c", r(1) - 4, 4, AccessRead},
		{"41f8040b", r(1), 4, AccessWrite},
		{"01f82200", r(1) + 4*r(2), 1, AccessWrite},
		{"d1e90203", r(1) + 8, 8, AccessRead},
		{"61e90203", r(1) - 8, 8, AccessWrite},
		{"51e8010f", r(1) + 4, 4, AccessRead},
		{"d1e87f03", r(1), 8, AccessRead},
		{"21e90c00", r(1) - 8, 8, AccessWrite},
		{"2de9f04f", r(13) - 36, 36, AccessWrite},
		{"91ed020b", r(1) + 8, 8, AccessRead},
		{"01ed010a", r(1) - 4, 4, AccessWrite},
		{"2ded048b", r(13) - 16, 16, AccessWrite},
		{"21f90f07", r(1), 0, AccessRead},
		{"01f90f07", r(1), 0, AccessWrite},
		{"dff81000", testPC + 4 + 16, 4, AccessRead},
		{"0448", testPC + 4 + 16, 4, AccessRead},
		{"91f800f0", 0, 0, AccessUnknown}, // pld
		{"8818", 0, 0, AccessUnknown},     // adds
	} {
		code, _ := hex.DecodeString(c.code)
		rec := testRecord(ARM, binary.LittleEndian, testPC, nil)
		binary.LittleEndian.PutUint32(rec[68:], psrT)
		op, ok := Decode(ARM, nil, code, testPC, rec)
		if ok != (c.access != AccessUnknown) || op.Address != c.addr || op.Size != c.size || op.Access != c.access {
			t.Errorf("%s: %v %#x size %d %s, want %#x size %d %s", c.code, ok, op.Address, op.Size, op.Access, c.addr, c.size, c.access)
		}
	}
}

func TestNoOperand(t *testing.T) {
	for _, c := range []struct {
		arch context.Arch
		code string
	}{
		{AMD64, "488d4608"}, {AMD64, "0f1f4000"}, {AMD64, "4889c3"}, {AMD64, "f4"}, {AMD64, "0f0d08"}, {AMD64, ""},
		{ARM64, "200080f9"}, {ARM64, "2000028b"}, {ARM64, "2000022b"}, {ARM64, "10000094"}, {ARM64, "0000"},
		{ARM, "020081e0"}, {ARM, "000000eb"}, {MIPS64, "00641021"}, {PPC64, "0c28047c"}, {PPC64, "05006038"},
		{PPC64, "0500603c"}, {PPC64, "142a647c"}, {RISCV64, "3385c500"}, {RISCV64, "0505"}, {S390X, "41102008"},
		{S390X, "eb120004000d"}, {S390X, "1a12"}, {LOONG64, "e06100c0"},
	} {
		code, _ := hex.DecodeString(c.code)
		o := testOrder(c.arch)
		if op, ok := Decode(c.arch, o, code, testPC, testRecord(c.arch, o, testPC, nil)); ok {
			t.Errorf("%s %s: %+v", c.arch, c.code, op)
		}
	}
	if _, ok := Decode(AMD64, nil, []byte{0x50}, testPC, make([]byte, 1232)); ok {
		t.Error("a record of no CPU was used")
	}
}

func TestNonCanonical(t *testing.T) {
	bad := uint64(0x4141414141414141)
	// mov (%rax),%rbx with rax bad
	op, ok := Decode(AMD64, nil, []byte{0x48, 0x8b, 0x18}, testPC, testRecord(AMD64, nil, testPC, map[int]uint64{0: bad}))
	if !ok || !op.NonCanonical || op.Address != bad || op.Access != AccessRead || !op.HasAddress {
		t.Errorf("mov: %+v", op)
	}
	// rep movsb: the second of its two operands is bad
	op, ok = Decode(AMD64, nil, []byte{0xf3, 0xa4}, testPC, testRecord(AMD64, nil, testPC, map[int]uint64{6: bad}))
	if !ok || !op.NonCanonical || op.Address != bad || op.Access != AccessRead {
		t.Errorf("movs: %+v", op)
	}
	// call *%rax
	op, ok = Decode(AMD64, nil, []byte{0xff, 0xd0}, testPC, testRecord(AMD64, nil, testPC, map[int]uint64{0: bad}))
	if !ok || !op.NonCanonical || op.Address != bad || op.Access != AccessExecute {
		t.Errorf("call: %+v", op)
	}
	// mov %fs:0x28,%rax: the base is not known
	op, ok = Decode(AMD64, nil, []byte{0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0}, testPC, testRecord(AMD64, nil, testPC, nil))
	if !ok || op.HasAddress || op.Access != AccessRead {
		t.Errorf("fs: %+v", op)
	}
	// the pc itself
	op, ok = Decode(AMD64, nil, nil, bad, testRecord(AMD64, nil, bad, nil))
	if !ok || !op.NonCanonical || op.Address != bad || op.Access != AccessExecute {
		t.Errorf("pc: %+v", op)
	}
	for _, a := range []uint64{0x7fffffffffff, 0, 0xffff800000000000, ^uint64(0)} {
		if nonCanonical(AMD64, a) {
			t.Errorf("%#x", a)
		}
	}
	for _, a := range []uint64{0x800000000000, 0xffff7fffffffffff, 1 << 63} {
		if !nonCanonical(AMD64, a) || nonCanonical(ARM64, a) {
			t.Errorf("%#x", a)
		}
	}
}

func TestRefine(t *testing.T) {
	bad := uint64(0x4141414141414141)
	crash := func(a context.Arch, code int32, addr uint64, set map[int]uint64) *context.Crash {
		o := testOrder(a)
		c := &context.Crash{Arch: a, BigEndian: o == binary.BigEndian, Signo: context.SIGSEGV, Code: code, Address: addr,
			HasAddress: code != SI_KERNEL, HasContext: true, PC: testPC}
		c.ContextLen = uint32(copy(c.Context[:], testRecord(a, o, testPC, set)))
		return c
	}
	for _, w := range []struct {
		name    string
		arch    context.Arch
		si      int32
		addr    uint64
		set     map[int]uint64
		code    string
		want    uint64
		has     bool
		access  context.Access
		nparams uint32
	}{
		{"load of a bad pointer", AMD64, SI_KERNEL, 0, map[int]uint64{0: bad}, "488b18", bad, true, AccessRead, 2},
		{"store to a bad pointer", AMD64, SI_KERNEL, 0, map[int]uint64{0: bad}, "488918", bad, true, AccessWrite, 2},
		{"call of a bad pointer", AMD64, SI_KERNEL, 0, map[int]uint64{0: bad}, "ffd0", bad, true, AccessExecute, 2},
		{"call through a good pointer", AMD64, SI_KERNEL, 0, nil, "ff10", 0, false, AccessExecute, 2},
		{"return to nowhere", AMD64, SI_KERNEL, 0, nil, "c3", 0, false, AccessExecute, 2},
		{"misaligned movaps", AMD64, SI_KERNEL, 0, map[int]uint64{0: 0x1008}, "0f2900", 0x1008, true, AccessWrite, 2},
		{"hlt", AMD64, SI_KERNEL, 0, nil, "f4", 0, false, AccessUnknown, 2},
		{"mov to itself with a good pointer", AMD64, SI_KERNEL, 0, nil, "488b18", 0, false, AccessUnknown, 2},
		{"mips kernel address", MIPS, SI_KERNEL, 0, map[int]uint64{4: 0xfffffff0}, "8c820008", 0xfffffff8, true, AccessRead, 2},
		{"mips64 beyond the user segment", MIPS64, SI_KERNEL, 0, map[int]uint64{4: bad}, "fc82fff8", bad - 8, true, AccessWrite, 2},
		{"mips64 misaligned", MIPS64, SI_KERNEL, 0, map[int]uint64{4: 0x1002}, "8c820000", 0x1002, true, AccessRead, 2},
		{"mips64 good pointer", MIPS64, SI_KERNEL, 0, nil, "8c820000", 0, false, AccessUnknown, 2},
		{"riscv64 jump to 0", RISCV64, 1, 0, nil, "", 0, true, AccessExecute, 2},
		{"riscv64 store", RISCV64, 1, r(11) - 8, nil, "23bca5fe", r(11) - 8, true, AccessWrite, 2},
		{"riscv64 in the middle of the operand", RISCV64, 1, r(11) - 5, nil, "23bca5fe", r(11) - 5, true, AccessWrite, 2},
		{"riscv64 other address", RISCV64, 1, r(11), nil, "23bca5fe", r(11), true, AccessUnknown, 0},
		{"riscv64 jump", RISCV64, 1, testPC, nil, "", testPC, true, AccessExecute, 2},
		{"s390x page", S390X, 1, (r(2) + 0x1008) &^ 0xfff, map[int]uint64{2: r(2) + 0x1000}, "e31020080004", r(2) + 0x1008, true,
			AccessRead, 2},
		{"s390x other page", S390X, 1, 0x7000, nil, "e31020080004", 0x7000, true, AccessUnknown, 0},
		{"s390x mvc, second operand", S390X, 1, (r(2) + 16) &^ 0xfff, nil, "d20710002010", r(2) + 16, true, AccessRead, 2},
		{"arm64 tag", ARM64, 1, r(1) + 16, map[int]uint64{1: r(1) | 0xb4<<56}, "200840f9", r(1) + 16, true, AccessRead, 2},
	} {
		c := crash(w.arch, w.si, w.addr, w.set)
		if w.name == "riscv64 jump to 0" {
			c.PC = 0
		}
		code, _ := hex.DecodeString(w.code)
		c.Refine(code)
		if c.Address != w.want || c.HasAddress != w.has || c.Access != w.access || c.NumParams != w.nparams {
			t.Errorf("%s: %#x %v %s, %d parameters; want %#x %v %s, %d", w.name, c.Address, c.HasAddress, c.Access, c.NumParams,
				w.want, w.has, w.access, w.nparams)
		}
		if w.has && w.nparams == 2 && c.Params[1] != w.want {
			t.Errorf("%s: parameters %x", w.name, c.Params[:2])
		}
	}
	// A signal that was sent has nothing to do with the instruction.
	c := crash(AMD64, context.SI_USER, 0, map[int]uint64{0: bad})
	c.HasAddress = false
	c.Refine([]byte{0x48, 0x8b, 0x18})
	if c.HasAddress || c.Access != AccessUnknown {
		t.Errorf("sent: %#x %s", c.Address, c.Access)
	}
	// An access reported by the hardware is kept.
	c = crash(AMD64, 1, r(0), nil)
	c.Access = AccessWrite
	c.Refine([]byte{0x48, 0x8b, 0x18})
	if c.Access != AccessWrite {
		t.Error("access of the hardware replaced")
	}
}

func TestIsCall(t *testing.T) {
	for _, c := range []struct {
		arch context.Arch
		code string
		want bool
	}{
		{AMD64, "90e83b000000", true}, {AMD64, "90ffd0", true}, {AMD64, "ff5008", true}, {AMD64, "41ffd3", true},
		{AMD64, "ff1578563412", true}, {AMD64, "4889c3", false}, {AMD64, "9090ffe0", false}, {AMD64, "", false},
		{AMD64, "d0", false}, {X86, "90e83b000000", true}, {X86, "ffd2", true}, {X86, "89c3", false},
		{ARM64, "10000094", true}, {ARM64, "60003fd6", true}, {ARM64, "64083fd7", true}, {ARM64, "7f083fd6", true},
		{ARM64, "64081fd7", false}, {ARM64, "60001fd6", false}, {ARM64, "c0035fd6", false}, {ARM64, "000094", false},
		{ARM, "000000eb", true}, {ARM, "31ff2fe1", true}, {ARM, "0000001b", true}, {ARM, "11ff2fe1", false},
		{ARM, "9847", true}, {ARM, "1847", false}, {ARM, "00f01ef8", true}, {ARM, "00f01ee8", true}, {ARM, "4018", false},
		{MIPS64, "0c00040000000000", true}, {MIPS64, "0320f80900000000", true}, {MIPS64, "0411000f00000000", true},
		{MIPS64, "03e0000800000000", false}, {MIPS64, "0c000400", false},
		{PPC64, "41000048", true}, {PPC64, "2104804e", true}, {PPC64, "2000804e", false}, {PPC64, "2004804e", false},
		{PPC64, "2100804e", true}, {PPC64, "05009f42", false},
		{PPC, "48000041", true}, {PPC, "4e800421", true}, {PPC, "4e800020", false}, {PPC, "429f0005", false},
		{RISCV64, "ef000004", true}, {RISCV64, "e7804500", true}, {RISCV64, "6f000004", false}, {RISCV64, "67800000", false},
		{RISCV64, "8295", true}, {RISCV64, "8285", false}, {RISCV64, "0290", false},
		{S390X, "c0e500000020", true}, {S390X, "a7e50020", true}, {S390X, "0de1", true}, {S390X, "07fe", false}, {S390X, "0de0", false},
		{LOONG64, "00100054", true}, {LOONG64, "a100004c", true}, {LOONG64, "2000004c", false}, {context.ArchUnknown, "e83b000000", false},
	} {
		code, err := hex.DecodeString(c.code)
		if err != nil {
			t.Fatal(c.code)
		}
		if got := IsCall(c.arch, testOrder(c.arch), code); got != c.want {
			t.Errorf("%s %s: %v", c.arch, c.code, got)
		}
	}
	if !IsCall(MIPS, binary.LittleEndian, []byte{0, 4, 0, 0x0c, 0, 0, 0, 0}) || !IsCall(PPC64, binary.BigEndian, []byte{0x48, 0, 0, 0x41}) {
		t.Error("the other byte order")
	}
}

// TestDecodeAnyBytes checks that Decode returns for any bytes.
func TestDecodeAnyBytes(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	code := make([]byte, 16)
	for a := X86; a <= LOONG64; a++ {
		o := testOrder(a)
		rec := testRecord(a, o, testPC, nil)
		for range 3000 {
			rnd.Read(code)
			c := code[:rnd.Intn(17)]
			Decode(a, o, c, testPC, rec)
			IsCall(a, o, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range faultCases {
		code, _ := hex.DecodeString(c.code)
		f.Add(byte(c.arch), code, uint64(testPC), testOrder(c.arch) == binary.BigEndian)
	}
	f.Fuzz(func(t *testing.T, a byte, code []byte, pc uint64, big bool) {
		arch := context.Arch(a % byte(LOONG64+1))
		if arch == context.ArchUnknown {
			return
		}
		rec := testRecord(arch, order(big), pc, nil)
		op, ok := Decode(arch, order(big), code, pc, rec)
		if ok && op.Access == AccessUnknown {
			t.Fatalf("%s % x: operand without access: %+v", arch, code, op)
		}
		if op.NonCanonical && (!op.HasAddress || arch != AMD64) {
			t.Fatalf("%s % x: %+v", arch, code, op)
		}
		IsCall(arch, order(big), code)
		c := &context.Crash{Arch: arch, BigEndian: big, Signo: context.SIGSEGV, Code: SI_KERNEL, HasContext: true, PC: pc}
		c.ContextLen = uint32(copy(c.Context[:], rec))
		c.Refine(code)
		if fmt.Sprint(c.Access) == "" || c.NumParams > context.MaxParams {
			t.Fatal("nonsense")
		}
	})
}
