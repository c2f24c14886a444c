//go:build mips || mipsle

#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$20-36
	MOVW	nr+0(FP), R2
	MOVW	a1+4(FP), R4
	MOVW	a2+8(FP), R5
	MOVW	a3+12(FP), R6
	MOVW	a4+16(FP), R7
	MOVW	a5+20(FP), R8
	MOVW	a6+24(FP), R9
	MOVW	R8, 16(R29)	// the o32 convention passes the fifth and sixth on the stack
	MOVW	R9, 20(R29)
	SYSCALL
	BNE	R7, fail
	MOVW	R2, r1+28(FP)
	MOVW	R0, errno+32(FP)
	RET
fail:
	MOVW	$-1, R1
	MOVW	R1, r1+28(FP)
	MOVW	R2, errno+32(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-4
	MOVW	$captureRegisters<>(SB), R1
	MOVW	R1, ret+0(FP)
	RET

// Arguments and results on the stack: gp (pointer, length, capacity), fp, ngp, nfp.
// gp is elf_gregset_t of arch/mips/include/asm/elf.h for o32 (6 words unused, 32 registers, LO, HI, EPC, BADVADDR,
// STATUS, CAUSE, one unused), fp 32 registers of 8 bytes, FCSR and FIR.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0-32
	MOVW	R0, ngp+24(FP)
	MOVW	R0, nfp+28(FP)
	MOVW	gp_len+4(FP), R1
	SGT	$180, R1, R1
	BNE	R1, nogp
	MOVW	gp+0(FP), R1
	MOVW	R0, 0(R1)
	MOVW	R0, 4(R1)
	MOVW	R0, 8(R1)
	MOVW	R0, 12(R1)
	MOVW	R0, 16(R1)
	MOVW	R0, 20(R1)
	MOVW	R0, 24(R1)
	MOVW	R1, 28(R1)
	MOVW	R2, 32(R1)
	MOVW	R3, 36(R1)
	MOVW	R4, 40(R1)
	MOVW	R5, 44(R1)
	MOVW	R6, 48(R1)
	MOVW	R7, 52(R1)
	MOVW	R8, 56(R1)
	MOVW	R9, 60(R1)
	MOVW	R10, 64(R1)
	MOVW	R11, 68(R1)
	MOVW	R12, 72(R1)
	MOVW	R13, 76(R1)
	MOVW	R14, 80(R1)
	MOVW	R15, 84(R1)
	MOVW	R16, 88(R1)
	MOVW	R17, 92(R1)
	MOVW	R18, 96(R1)
	MOVW	R19, 100(R1)
	MOVW	R20, 104(R1)
	MOVW	R21, 108(R1)
	MOVW	R22, 112(R1)
	MOVW	R23, 116(R1)
	MOVW	R24, 120(R1)
	MOVW	R25, 124(R1)
	MOVW	R26, 128(R1)
	MOVW	R27, 132(R1)
	MOVW	R28, 136(R1)
	MOVW	R29, 140(R1)
	MOVW	g, 144(R1)
	MOVW	R31, 148(R1)
	MOVW	LO, R2
	MOVW	R2, 152(R1)
	MOVW	HI, R2
	MOVW	R2, 156(R1)
	MOVW	R31, 160(R1)	// EPC
	MOVW	R0, 164(R1)
	MOVW	R0, 168(R1)
	MOVW	R0, 172(R1)
	MOVW	R0, 176(R1)
	MOVW	$180, R2
	MOVW	R2, ngp+24(FP)
nogp:
#ifndef GOMIPS_softfloat
	MOVW	fp_len+16(FP), R1
	SGT	$264, R1, R1
	BNE	R1, done
	MOVW	fp+12(FP), R1
	MOVD	F0, 0(R1)
	MOVW	R0, 8(R1)
	MOVW	R0, 12(R1)
	MOVD	F2, 16(R1)
	MOVW	R0, 24(R1)
	MOVW	R0, 28(R1)
	MOVD	F4, 32(R1)
	MOVW	R0, 40(R1)
	MOVW	R0, 44(R1)
	MOVD	F6, 48(R1)
	MOVW	R0, 56(R1)
	MOVW	R0, 60(R1)
	MOVD	F8, 64(R1)
	MOVW	R0, 72(R1)
	MOVW	R0, 76(R1)
	MOVD	F10, 80(R1)
	MOVW	R0, 88(R1)
	MOVW	R0, 92(R1)
	MOVD	F12, 96(R1)
	MOVW	R0, 104(R1)
	MOVW	R0, 108(R1)
	MOVD	F14, 112(R1)
	MOVW	R0, 120(R1)
	MOVW	R0, 124(R1)
	MOVD	F16, 128(R1)
	MOVW	R0, 136(R1)
	MOVW	R0, 140(R1)
	MOVD	F18, 144(R1)
	MOVW	R0, 152(R1)
	MOVW	R0, 156(R1)
	MOVD	F20, 160(R1)
	MOVW	R0, 168(R1)
	MOVW	R0, 172(R1)
	MOVD	F22, 176(R1)
	MOVW	R0, 184(R1)
	MOVW	R0, 188(R1)
	MOVD	F24, 192(R1)
	MOVW	R0, 200(R1)
	MOVW	R0, 204(R1)
	MOVD	F26, 208(R1)
	MOVW	R0, 216(R1)
	MOVW	R0, 220(R1)
	MOVD	F28, 224(R1)
	MOVW	R0, 232(R1)
	MOVW	R0, 236(R1)
	MOVD	F30, 240(R1)
	MOVW	R0, 248(R1)
	MOVW	R0, 252(R1)
	MOVW	FCR31, R2
	MOVW	R2, 256(R1)
	MOVW	FCR0, R2
	MOVW	R2, 260(R1)
	MOVW	$264, R2
	MOVW	R2, nfp+28(FP)
#endif
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$24-16
	MOVW	nr+0(FP), R2
	MOVW	lo+4(FP), R16
	MOVW	hi+8(FP), R17
	MOVW	R0, R4
	MOVW	R0, R5
	MOVW	R0, R6
	MOVW	R0, R7
	MOVW	R0, 16(R29)	// the o32 convention passes the fifth on the stack
	MOVW	R0, 20(R29)
	SYSCALL
	BEQ	R7, good
	SUBU	R2, R0, R2
	MOVW	R2, pid+12(FP)
	RET
good:
	BEQ	R2, child
	MOVW	R2, pid+12(FP)
	RET
child:
	MOVW	$runtime·writeBarrier(SB), R4
	MOVW	R0, (R4)
	MOVW	R16, 0(g)	// g.stack.lo
	MOVW	R17, 4(g)	// g.stack.hi
	ADD	$8192, R16
	MOVW	R16, 8(g)	// g.stackguard0
	ADD	$-64, R17
	MOVW	R17, R29
	JAL	·enterFork(SB)
	UNDEF
