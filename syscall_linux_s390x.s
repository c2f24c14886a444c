#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVD	nr+0(FP), R1
	MOVD	a1+8(FP), R2
	MOVD	a2+16(FP), R3
	MOVD	a3+24(FP), R4
	MOVD	a4+32(FP), R5
	MOVD	a5+40(FP), R6
	MOVD	a6+48(FP), R7
	SYSCALL
	MOVD	$-4095, R8
	CMPUBGE	R2, R8, fail
	MOVD	R2, r1+56(FP)
	MOVD	$0, errno+64(FP)
	RET
fail:
	NEG	R2, R2
	MOVD	$-1, r1+56(FP)
	MOVD	R2, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOVD	$captureRegisters<>(SB), R2
	MOVD	R2, ret+0(FP)
	RET

// Arguments in registers: gp in R2 (length R3, capacity R4), fp in R5 (R6, R7). Results in R2 and R3.
// gp is s390_regs of arch/s390/include/uapi/asm/ptrace.h (PSW mask and address, 16 registers, 16 access registers of 4
// bytes, orig_gpr2), fp is s390_fp_regs.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	IPM	R7
	MOVD	$216, R4
	CMPBLT	R3, R4, nogp
	STMG	R0, R15, 16(R2)
	// The condition code goes from bits 34 and 35 (from the left) to 18 and 19. The other bits are those of every Linux
	// program.
	SRD	$28, R7
	AND	$3, R7
	SLD	$44, R7
	MOVD	$0x0705000180000000, R4
	OR	R4, R7
	MOVD	R7, 0(R2)
	MOVD	R14, 8(R2)
	BYTE	$0x9b; BYTE $0x0f; BYTE $0x20; BYTE $0x90	// STAM 0, 15, 144(R2)
	MOVD	$-1, R4
	MOVD	R4, 208(R2)	// orig_gpr2: not in a system call
	MOVD	$216, R2
	BR	float
nogp:
	MOVD	$0, R2
float:
	MOVD	$0, R3
	MOVD	$136, R4
	CMPBLT	R6, R4, done
	BYTE	$0xb2; BYTE $0x9c; BYTE $0x50; BYTE $0x00	// STFPC 0(R5)
	MOVW	R3, 4(R5)
	FMOVD	F0, 8(R5)
	FMOVD	F1, 16(R5)
	FMOVD	F2, 24(R5)
	FMOVD	F3, 32(R5)
	FMOVD	F4, 40(R5)
	FMOVD	F5, 48(R5)
	FMOVD	F6, 56(R5)
	FMOVD	F7, 64(R5)
	FMOVD	F8, 72(R5)
	FMOVD	F9, 80(R5)
	FMOVD	F10, 88(R5)
	FMOVD	F11, 96(R5)
	FMOVD	F12, 104(R5)
	FMOVD	F13, 112(R5)
	FMOVD	F14, 120(R5)
	FMOVD	F15, 128(R5)
	MOVD	$136, R3
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVD	nr+0(FP), R1
	MOVD	lo+8(FP), R8
	MOVD	hi+16(FP), R9
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$0, R5
	MOVD	$0, R6
	SYSCALL
	CMPBEQ	R2, $0, child
	MOVD	R2, pid+24(FP)
	RET
child:
	MOVD	$runtime·writeBarrier(SB), R4
	MOVW	R2, (R4)
	MOVD	R8, 0(g)	// g.stack.lo
	MOVD	R9, 8(g)	// g.stack.hi
	MOVD	$8192, R4
	ADD	R4, R8
	MOVD	R8, 16(g)	// g.stackguard0
	MOVD	$64, R4
	SUB	R4, R9
	MOVD	R9, R15
	BL	·enterFork(SB)
	UNDEF
