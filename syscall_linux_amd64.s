#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVQ	nr+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	a4+32(FP), R10
	MOVQ	a5+40(FP), R8
	MOVQ	a6+48(FP), R9
	SYSCALL
	CMPQ	AX, $-4095
	JAE	fail
	MOVQ	AX, r1+56(FP)
	MOVQ	$0, errno+64(FP)
	RET
fail:
	NEGQ	AX
	MOVQ	$-1, r1+56(FP)
	MOVQ	AX, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	LEAQ	captureRegisters<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// Arguments in registers: gp in AX (length BX, capacity CX), fp in DI (SI, R8). Results in AX and BX.
// gp is struct user_regs_struct of sys/user.h, fp struct user_fpregs_struct.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	PUSHFQ	// 0(SP) flags, 8(SP) return address, 16(SP) the caller's stack
	CMPQ	BX, $216
	JLT	nogp
	MOVQ	R15, 0(AX)
	MOVQ	R14, 8(AX)
	MOVQ	R13, 16(AX)
	MOVQ	R12, 24(AX)
	MOVQ	BP, 32(AX)
	MOVQ	BX, 40(AX)
	MOVQ	R11, 48(AX)
	MOVQ	R10, 56(AX)
	MOVQ	R9, 64(AX)
	MOVQ	R8, 72(AX)
	MOVQ	AX, 80(AX)
	MOVQ	CX, 88(AX)
	MOVQ	DX, 96(AX)
	MOVQ	SI, 104(AX)
	MOVQ	DI, 112(AX)
	MOVQ	AX, R9
	MOVQ	$-1, 120(R9)	// orig_rax: not in a system call
	MOVQ	8(SP), AX
	MOVQ	AX, 128(R9)	// rip
	XORL	AX, AX
	MOVW	CS, AX
	MOVQ	AX, 136(R9)
	MOVQ	0(SP), AX
	MOVQ	AX, 144(R9)	// eflags
	LEAQ	16(SP), AX
	MOVQ	AX, 152(R9)	// rsp
	XORL	AX, AX
	MOVW	SS, AX
	MOVQ	AX, 160(R9)
	MOVW	DS, AX
	MOVQ	AX, 184(R9)
	MOVW	ES, AX
	MOVQ	AX, 192(R9)
	MOVW	FS, AX
	MOVQ	AX, 200(R9)
	MOVW	GS, AX
	MOVQ	AX, 208(R9)
	// fs_base and gs_base by arch_prctl(2), as not every kernel enables RDFSBASE. The system call clobbers AX, CX and
	// R11.
	MOVQ	DI, R10
	MOVQ	SI, R12
	MOVQ	$0, 168(R9)
	MOVQ	$0, 176(R9)
	MOVQ	$158, AX	// arch_prctl
	MOVQ	$0x1003, DI	// ARCH_GET_FS
	LEAQ	168(R9), SI
	SYSCALL
	MOVQ	$158, AX
	MOVQ	$0x1004, DI	// ARCH_GET_GS
	LEAQ	176(R9), SI
	SYSCALL
	MOVQ	R10, DI
	MOVQ	R12, SI
	MOVQ	$216, AX
	JMP	float
nogp:
	XORL	AX, AX
float:
	XORL	BX, BX
	CMPQ	SI, $512
	JLT	done
	TESTQ	$15, DI
	JNE	done
	FXSAVE64	(DI)
	MOVQ	$512, BX
done:
	POPFQ
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVQ	nr+0(FP), AX
	MOVQ	lo+8(FP), R12
	MOVQ	hi+16(FP), R13
	XORL	DI, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVQ	(TLS), R14
	TESTQ	R14, R14
	JEQ	foreign
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+24(FP)
	RET
foreign:
	MOVQ	$-22, AX	// EINVAL
	MOVQ	AX, pid+24(FP)
	RET
child:
	MOVL	$0, runtime·writeBarrier(SB)
	MOVQ	R12, 0(R14)	// g.stack.lo
	MOVQ	R13, 8(R14)	// g.stack.hi
	ADDQ	$8192, R12
	MOVQ	R12, 16(R14)	// g.stackguard0
	// g.stackguard1: the guard for functions that run on the scheduler's stack (g0); all ones in any other g. A signal
	// handler may have interrupted the scheduler.
	CMPQ	24(R14), $-1
	JEQ	user
	MOVQ	R12, 24(R14)
user:
	LEAQ	-64(R13), SP
	XORL	BP, BP
	CALL	·enterFork(SB)
	INT	$3
