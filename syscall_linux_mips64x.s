//go:build mips64 || mips64le

#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVV	nr+0(FP), R2
	MOVV	a1+8(FP), R4
	MOVV	a2+16(FP), R5
	MOVV	a3+24(FP), R6
	MOVV	a4+32(FP), R7
	MOVV	a5+40(FP), R8
	MOVV	a6+48(FP), R9
	SYSCALL
	BNE	R7, fail
	MOVV	R2, r1+56(FP)
	MOVV	R0, errno+64(FP)
	RET
fail:
	MOVV	$-1, R1
	MOVV	R1, r1+56(FP)
	MOVV	R2, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOVV	$captureRegisters<>(SB), R1
	MOVV	R1, ret+0(FP)
	RET

// Arguments and results on the stack: gp (pointer, length, capacity), fp, ngp, nfp.
// gp is elf_gregset_t of arch/mips/include/asm/elf.h for n64 (32 registers, LO, HI, EPC, BADVADDR, STATUS, CAUSE and
// seven unused words), fp 32 registers of 8 bytes, FCSR and FIR.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0-64
	MOVV	R0, ngp+48(FP)
	MOVV	R0, nfp+56(FP)
	MOVV	gp_len+8(FP), R1
	SGT	$360, R1, R1
	BNE	R1, nogp
	MOVV	gp+0(FP), R1
	MOVV	R0, 0(R1)
	MOVV	R1, 8(R1)
	MOVV	R2, 16(R1)
	MOVV	R3, 24(R1)
	MOVV	R4, 32(R1)
	MOVV	R5, 40(R1)
	MOVV	R6, 48(R1)
	MOVV	R7, 56(R1)
	MOVV	R8, 64(R1)
	MOVV	R9, 72(R1)
	MOVV	R10, 80(R1)
	MOVV	R11, 88(R1)
	MOVV	R12, 96(R1)
	MOVV	R13, 104(R1)
	MOVV	R14, 112(R1)
	MOVV	R15, 120(R1)
	MOVV	R16, 128(R1)
	MOVV	R17, 136(R1)
	MOVV	R18, 144(R1)
	MOVV	R19, 152(R1)
	MOVV	R20, 160(R1)
	MOVV	R21, 168(R1)
	MOVV	R22, 176(R1)
	MOVV	R23, 184(R1)
	MOVV	R24, 192(R1)
	MOVV	R25, 200(R1)
	MOVV	R26, 208(R1)
	MOVV	R27, 216(R1)
	MOVV	RSB, 224(R1)
	MOVV	R29, 232(R1)
	MOVV	g, 240(R1)
	MOVV	R31, 248(R1)
	MOVV	LO, R2
	MOVV	R2, 256(R1)
	MOVV	HI, R2
	MOVV	R2, 264(R1)
	MOVV	R31, 272(R1)	// EPC
	MOVV	R0, 280(R1)
	MOVV	R0, 288(R1)
	MOVV	R0, 296(R1)
	MOVV	R0, 304(R1)
	MOVV	R0, 312(R1)
	MOVV	R0, 320(R1)
	MOVV	R0, 328(R1)
	MOVV	R0, 336(R1)
	MOVV	R0, 344(R1)
	MOVV	R0, 352(R1)
	MOVV	$360, R2
	MOVV	R2, ngp+48(FP)
nogp:
#ifndef GOMIPS64_softfloat
	MOVV	fp_len+32(FP), R1
	SGT	$264, R1, R1
	BNE	R1, done
	MOVV	fp+24(FP), R1
	MOVD	F0, 0(R1)
	MOVD	F1, 8(R1)
	MOVD	F2, 16(R1)
	MOVD	F3, 24(R1)
	MOVD	F4, 32(R1)
	MOVD	F5, 40(R1)
	MOVD	F6, 48(R1)
	MOVD	F7, 56(R1)
	MOVD	F8, 64(R1)
	MOVD	F9, 72(R1)
	MOVD	F10, 80(R1)
	MOVD	F11, 88(R1)
	MOVD	F12, 96(R1)
	MOVD	F13, 104(R1)
	MOVD	F14, 112(R1)
	MOVD	F15, 120(R1)
	MOVD	F16, 128(R1)
	MOVD	F17, 136(R1)
	MOVD	F18, 144(R1)
	MOVD	F19, 152(R1)
	MOVD	F20, 160(R1)
	MOVD	F21, 168(R1)
	MOVD	F22, 176(R1)
	MOVD	F23, 184(R1)
	MOVD	F24, 192(R1)
	MOVD	F25, 200(R1)
	MOVD	F26, 208(R1)
	MOVD	F27, 216(R1)
	MOVD	F28, 224(R1)
	MOVD	F29, 232(R1)
	MOVD	F30, 240(R1)
	MOVD	F31, 248(R1)
	MOVW	FCR31, R2
	MOVW	R2, 256(R1)
	MOVW	FCR0, R2
	MOVW	R2, 260(R1)
	MOVV	$264, R2
	MOVV	R2, nfp+56(FP)
#endif
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVV	nr+0(FP), R2
	MOVV	lo+8(FP), R16
	MOVV	hi+16(FP), R17
	MOVV	R0, R4
	MOVV	R0, R5
	MOVV	R0, R6
	MOVV	R0, R7
	MOVV	R0, R8
	SYSCALL
	BEQ	R7, good
	SUBVU	R2, R0, R2
	MOVV	R2, pid+24(FP)
	RET
good:
	BEQ	R2, child
	MOVV	R2, pid+24(FP)
	RET
child:
	MOVV	$runtime·writeBarrier(SB), R4
	MOVW	R0, (R4)
	MOVV	R16, 0(g)	// g.stack.lo
	MOVV	R17, 8(g)	// g.stack.hi
	ADDV	$8192, R16
	MOVV	R16, 16(g)	// g.stackguard0
	ADDV	$-64, R17
	MOVV	R17, R29
	JAL	·enterFork(SB)
	UNDEF
