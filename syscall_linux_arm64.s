#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVD	nr+0(FP), R8
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	a4+32(FP), R3
	MOVD	a5+40(FP), R4
	MOVD	a6+48(FP), R5
	SVC
	CMN	$4095, R0
	BCS	fail
	MOVD	R0, r1+56(FP)
	MOVD	ZR, errno+64(FP)
	RET
fail:
	NEG	R0, R0
	MOVD	$-1, R1
	MOVD	R1, r1+56(FP)
	MOVD	R0, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOVD	$captureRegisters<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// Arguments in registers: gp in R0 (length R1, capacity R2), fp in R3 (R4, R5). Results in R0 and R1.
// gp is struct user_pt_regs of arch/arm64/include/uapi/asm/ptrace.h, fp struct user_fpsimd_state.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	MRS	NZCV, R5
	CMP	$272, R1
	BLT	nogp
	MOVD	R0, 0(R0)
	MOVD	R1, 8(R0)
	MOVD	R2, 16(R0)
	MOVD	R3, 24(R0)
	MOVD	R4, 32(R0)
	MOVD	R5, 40(R0)
	MOVD	R6, 48(R0)
	MOVD	R7, 56(R0)
	MOVD	R8, 64(R0)
	MOVD	R9, 72(R0)
	MOVD	R10, 80(R0)
	MOVD	R11, 88(R0)
	MOVD	R12, 96(R0)
	MOVD	R13, 104(R0)
	MOVD	R14, 112(R0)
	MOVD	R15, 120(R0)
	MOVD	R16, 128(R0)
	MOVD	R17, 136(R0)
	MOVD	R18_PLATFORM, 144(R0)
	MOVD	R19, 152(R0)
	MOVD	R20, 160(R0)
	MOVD	R21, 168(R0)
	MOVD	R22, 176(R0)
	MOVD	R23, 184(R0)
	MOVD	R24, 192(R0)
	MOVD	R25, 200(R0)
	MOVD	R26, 208(R0)
	MOVD	R27, 216(R0)
	MOVD	g, 224(R0)
	MOVD	R29, 232(R0)
	MOVD	R30, 240(R0)
	MOVD	RSP, R1
	MOVD	R1, 248(R0)
	MOVD	R30, 256(R0)	// pc
	MOVD	R5, 264(R0)	// pstate
	MOVD	$272, R0
	B	float
nogp:
	MOVD	$0, R0
float:
	MOVD	$0, R1
	CMP	$528, R4
	BLT	done
	FSTPQ	(F0, F1), 0(R3)
	FSTPQ	(F2, F3), 32(R3)
	FSTPQ	(F4, F5), 64(R3)
	FSTPQ	(F6, F7), 96(R3)
	FSTPQ	(F8, F9), 128(R3)
	FSTPQ	(F10, F11), 160(R3)
	FSTPQ	(F12, F13), 192(R3)
	FSTPQ	(F14, F15), 224(R3)
	FSTPQ	(F16, F17), 256(R3)
	FSTPQ	(F18, F19), 288(R3)
	FSTPQ	(F20, F21), 320(R3)
	FSTPQ	(F22, F23), 352(R3)
	FSTPQ	(F24, F25), 384(R3)
	FSTPQ	(F26, F27), 416(R3)
	FSTPQ	(F28, F29), 448(R3)
	FSTPQ	(F30, F31), 480(R3)
	MRS	FPSR, R1
	MOVW	R1, 512(R3)
	MRS	FPCR, R1
	MOVW	R1, 516(R3)
	MOVD	ZR, 520(R3)
	MOVD	$528, R1
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVD	nr+0(FP), R8
	MOVD	lo+8(FP), R9
	MOVD	hi+16(FP), R10
	MOVD	ZR, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	SVC
	CBZ	R0, child
	MOVD	R0, pid+24(FP)
	RET
child:
	MOVD	$runtime·writeBarrier(SB), R1
	MOVW	ZR, (R1)
	MOVD	R9, 0(g)	// g.stack.lo
	MOVD	R10, 8(g)	// g.stack.hi
	ADD	$8192, R9
	MOVD	R9, 16(g)	// g.stackguard0
	SUB	$64, R10
	MOVD	R10, RSP
	MOVD	ZR, R29
	CALL	·enterFork(SB)
	BRK
