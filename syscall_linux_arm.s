#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-36
	MOVW	nr+0(FP), R7
	MOVW	a1+4(FP), R0
	MOVW	a2+8(FP), R1
	MOVW	a3+12(FP), R2
	MOVW	a4+16(FP), R3
	MOVW	a5+20(FP), R4
	MOVW	a6+24(FP), R5
	SWI	$0
	MOVW	$-4095, R1
	CMP	R1, R0
	BHS	fail
	MOVW	$0, R1
	MOVW	R0, r1+28(FP)
	MOVW	R1, errno+32(FP)
	RET
fail:
	RSB	$0, R0, R0
	MOVW	$-1, R1
	MOVW	R1, r1+28(FP)
	MOVW	R0, errno+32(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-4
	MOVW	$captureRegisters<>(SB), R0
	MOVW	R0, ret+0(FP)
	RET

// Arguments and results on the stack: gp (pointer, length, capacity), fp, ngp, nfp.
// gp is struct pt_regs of arch/arm/include/uapi/asm/ptrace.h: r0 to r15, cpsr, orig_r0.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0-32
	MOVW	CPSR, R0
	MOVW	gp_len+4(FP), R1
	CMP	$72, R1
	BLT	nogp
	MOVW	gp+0(FP), R1
	MOVW	R0, 64(R1)	// cpsr, before the comparison
	MOVW	R0, 0(R1)
	MOVW	R1, 4(R1)
	MOVW	R2, 8(R1)
	MOVW	R3, 12(R1)
	MOVW	R4, 16(R1)
	MOVW	R5, 20(R1)
	MOVW	R6, 24(R1)
	MOVW	R7, 28(R1)
	MOVW	R8, 32(R1)
	MOVW	R9, 36(R1)
	MOVW	g, 40(R1)
	MOVW	R11, 44(R1)
	MOVW	R12, 48(R1)
	MOVW	R13, 52(R1)
	MOVW	R14, 56(R1)
	MOVW	R14, 60(R1)	// pc
	MOVW	$-1, R0
	MOVW	R0, 68(R1)	// orig_r0: not in a system call
	MOVW	$72, R1
	B	done
nogp:
	MOVW	$0, R1
done:
	MOVW	$0, R0
	MOVW	R1, ngp+24(FP)
	MOVW	R0, nfp+28(FP)
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-16
	MOVW	nr+0(FP), R7
	MOVW	lo+4(FP), R6
	MOVW	hi+8(FP), R8
	MOVW	$0, R0
	MOVW	$0, R1
	MOVW	$0, R2
	MOVW	$0, R3
	MOVW	$0, R4
	SWI	$0
	CMP	$0, R0
	BEQ	child
	MOVW	R0, pid+12(FP)
	RET
child:
	MOVW	$0, R0
	MOVW	R0, runtime·writeBarrier(SB)
	MOVW	R6, 0(g)	// g.stack.lo
	MOVW	R8, 4(g)	// g.stack.hi
	ADD	$8192, R6
	MOVW	R6, 8(g)	// g.stackguard0
	SUB	$64, R8
	MOVW	R8, R13
	BL	·enterFork(SB)
	MOVW	$0, R0
	MOVW	(R0), R0
