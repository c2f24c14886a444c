#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-36
	MOVL	nr+0(FP), AX
	MOVL	a1+4(FP), BX
	MOVL	a2+8(FP), CX
	MOVL	a3+12(FP), DX
	MOVL	a4+16(FP), SI
	MOVL	a5+20(FP), DI
	MOVL	a6+24(FP), BP
	INT	$0x80
	CMPL	AX, $-4095
	JAE	fail
	MOVL	AX, r1+28(FP)
	MOVL	$0, errno+32(FP)
	RET
fail:
	NEGL	AX
	MOVL	$-1, r1+28(FP)
	MOVL	AX, errno+32(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-4
	LEAL	captureRegisters<>(SB), AX
	MOVL	AX, ret+0(FP)
	RET

// Arguments and results on the stack: gp (pointer, length, capacity), fp, ngp, nfp.
// gp is struct user_regs_struct of sys/user.h, fp struct user_fpregs_struct (the FSAVE image).
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	PUSHFL	// 0(SP) flags, 4(SP) return address, 8(SP) the caller's stack, which begins with the arguments
	MOVL	$0, 32(SP)	// ngp
	MOVL	$0, 36(SP)	// nfp
	CMPL	12(SP), $68
	JLT	nogp
	MOVL	8(SP), AX
	MOVL	BX, 0(AX)
	MOVL	CX, 4(AX)
	MOVL	DX, 8(AX)
	MOVL	SI, 12(AX)
	MOVL	DI, 16(AX)
	MOVL	BP, 20(AX)
	MOVL	AX, 24(AX)
	MOVL	AX, CX
	XORL	AX, AX
	MOVW	DS, AX
	MOVL	AX, 28(CX)
	MOVW	ES, AX
	MOVL	AX, 32(CX)
	MOVW	FS, AX
	MOVL	AX, 36(CX)
	MOVW	GS, AX
	MOVL	AX, 40(CX)
	MOVL	$-1, 44(CX)	// orig_eax: not in a system call
	MOVL	4(SP), AX
	MOVL	AX, 48(CX)	// eip
	XORL	AX, AX
	MOVW	CS, AX
	MOVL	AX, 52(CX)
	MOVL	0(SP), AX
	MOVL	AX, 56(CX)	// eflags
	LEAL	8(SP), AX
	MOVL	AX, 60(CX)	// esp
	XORL	AX, AX
	MOVW	SS, AX
	MOVL	AX, 64(CX)
	MOVL	$68, 32(SP)
nogp:
	CMPL	24(SP), $108
	JLT	done
	MOVL	20(SP), AX
	FSAVE	(AX)	// FSAVE also resets the FPU
	FRSTOR	(AX)
	MOVL	$108, 36(SP)
done:
	POPFL
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-16
	MOVL	nr+0(FP), AX
	XORL	BX, BX
	XORL	CX, CX
	XORL	DX, DX
	XORL	SI, SI
	XORL	DI, DI
	INT	$0x80
	TESTL	AX, AX
	JEQ	child
	MOVL	AX, pid+12(FP)
	RET
child:
	MOVL	TLS, BX
	MOVL	0(BX)(TLS*1), AX
	MOVL	lo+4(FP), CX
	MOVL	hi+8(FP), DX
	MOVL	$0, runtime·writeBarrier(SB)
	MOVL	CX, 0(AX)	// g.stack.lo
	MOVL	DX, 4(AX)	// g.stack.hi
	ADDL	$8192, CX
	MOVL	CX, 8(AX)	// g.stackguard0
	LEAL	-64(DX), SP
	CALL	·enterFork(SB)
	INT	$3
