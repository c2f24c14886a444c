//go:build ppc64 || ppc64le

#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVD	nr+0(FP), R9
	MOVD	a1+8(FP), R3
	MOVD	a2+16(FP), R4
	MOVD	a3+24(FP), R5
	MOVD	a4+32(FP), R6
	MOVD	a5+40(FP), R7
	MOVD	a6+48(FP), R8
	SYSCALL	R9
	BVS	fail	// the summary overflow bit of CR0 means that R3 is an error number
	MOVD	R3, r1+56(FP)
	MOVD	R0, errno+64(FP)
	RET
fail:
	MOVD	$-1, R4
	MOVD	R4, r1+56(FP)
	MOVD	R3, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOVD	$captureRegisters<>(SB), R3
	MOVD	R3, ret+0(FP)
	RET

// Arguments in registers: gp in R3 (length R4, capacity R5), fp in R6 (R7, R8). Results in R3 and R4.
// gp is struct pt_regs of arch/powerpc/include/uapi/asm/ptrace.h and four unused words, fp 32 registers and FPSCR.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	MOVW	CR, R8
	CMP	R4, $384
	BLT	nogp
	MOVD	R0, 0(R3)
	MOVD	R1, 8(R3)
	MOVD	R2, 16(R3)
	MOVD	R3, 24(R3)
	MOVD	R4, 32(R3)
	MOVD	R5, 40(R3)
	MOVD	R6, 48(R3)
	MOVD	R7, 56(R3)
	MOVD	R8, 64(R3)
	MOVD	R9, 72(R3)
	MOVD	R10, 80(R3)
	MOVD	R11, 88(R3)
	MOVD	R12, 96(R3)
	MOVD	R13, 104(R3)
	MOVD	R14, 112(R3)
	MOVD	R15, 120(R3)
	MOVD	R16, 128(R3)
	MOVD	R17, 136(R3)
	MOVD	R18, 144(R3)
	MOVD	R19, 152(R3)
	MOVD	R20, 160(R3)
	MOVD	R21, 168(R3)
	MOVD	R22, 176(R3)
	MOVD	R23, 184(R3)
	MOVD	R24, 192(R3)
	MOVD	R25, 200(R3)
	MOVD	R26, 208(R3)
	MOVD	R27, 216(R3)
	MOVD	R28, 224(R3)
	MOVD	R29, 232(R3)
	MOVD	g, 240(R3)
	MOVD	R31, 248(R3)
	MOVD	LR, R4
	MOVD	R4, 256(R3)	// nip
	MOVD	R0, 264(R3)	// msr: a program cannot read it
	MOVD	$-1, R5
	MOVD	R5, 272(R3)	// orig_gpr3: not in a system call
	MOVD	CTR, R5
	MOVD	R5, 280(R3)
	MOVD	R4, 288(R3)	// link
	MOVD	XER, R5
	MOVD	R5, 296(R3)
	MOVWZ	R8, R8
	MOVD	R8, 304(R3)	// ccr
	MOVD	R0, 312(R3)
	MOVD	R0, 320(R3)
	MOVD	R0, 328(R3)
	MOVD	R0, 336(R3)
	MOVD	R0, 344(R3)
	MOVD	R0, 352(R3)
	MOVD	R0, 360(R3)
	MOVD	R0, 368(R3)
	MOVD	R0, 376(R3)
	MOVD	$384, R3
	BR	float
nogp:
	MOVD	$0, R3
float:
	MOVD	$0, R4
	CMP	R7, $264
	BLT	done
	FMOVD	F0, 0(R6)
	FMOVD	F1, 8(R6)
	FMOVD	F2, 16(R6)
	FMOVD	F3, 24(R6)
	FMOVD	F4, 32(R6)
	FMOVD	F5, 40(R6)
	FMOVD	F6, 48(R6)
	FMOVD	F7, 56(R6)
	FMOVD	F8, 64(R6)
	FMOVD	F9, 72(R6)
	FMOVD	F10, 80(R6)
	FMOVD	F11, 88(R6)
	FMOVD	F12, 96(R6)
	FMOVD	F13, 104(R6)
	FMOVD	F14, 112(R6)
	FMOVD	F15, 120(R6)
	FMOVD	F16, 128(R6)
	FMOVD	F17, 136(R6)
	FMOVD	F18, 144(R6)
	FMOVD	F19, 152(R6)
	FMOVD	F20, 160(R6)
	FMOVD	F21, 168(R6)
	FMOVD	F22, 176(R6)
	FMOVD	F23, 184(R6)
	FMOVD	F24, 192(R6)
	FMOVD	F25, 200(R6)
	FMOVD	F26, 208(R6)
	FMOVD	F27, 216(R6)
	FMOVD	F28, 224(R6)
	FMOVD	F29, 232(R6)
	FMOVD	F30, 240(R6)
	FMOVD	F31, 248(R6)
	MOVFL	FPSCR, F0
	FMOVD	F0, 256(R6)
	MOVD	$264, R4
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVD	nr+0(FP), R9
	MOVD	lo+8(FP), R14
	MOVD	hi+16(FP), R15
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$0, R5
	MOVD	$0, R6
	MOVD	$0, R7
	SYSCALL	R9
	BVC	good
	NEG	R3, R3
	MOVD	R3, pid+24(FP)
	RET
good:
	CMP	R3, $0
	BEQ	child
	MOVD	R3, pid+24(FP)
	RET
child:
	MOVD	$0, R0	// Go code relies on R0 being 0
	MOVD	$runtime·writeBarrier(SB), R4
	MOVW	R0, (R4)
	MOVD	R14, 0(g)	// g.stack.lo
	MOVD	R15, 8(g)	// g.stack.hi
	ADD	$8192, R14
	MOVD	R14, 16(g)	// g.stackguard0
	ADD	$-64, R15
	MOVD	R15, R1
	MOVD	R0, 0(R1)	// ends the chain of frames
	BL	·enterFork(SB)
	UNDEF
