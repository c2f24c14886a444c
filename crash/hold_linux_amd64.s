#include "textflag.h"

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	LEAQ	signalHandler<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// Duration of one wait, as struct timespec: 5 s.
DATA patience<>+0(SB)/8, $5
DATA patience<>+8(SB)/8, $0
GLOBL patience<>(SB), RODATA|NOPTR, $16

// The kernel calls signalHandler with the signal in DI, siginfo_t in SI, ucontext_t in DX. It may use every register, because the
// return from the signal restores them, and jumps to the previous handler with the same arguments and stack. A system call preserves
// all registers except AX, CX and R11.
TEXT signalHandler<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	DI, R12
	MOVQ	SI, R13
	MOVQ	DX, R14
	MOVQ	·held(SB), BX
	MOVL	$39, AX		// getpid: a forked child has this memory too
	SYSCALL
	CMPL	AX, 4(BX)
	JNE	chain
	MOVL	8(R13), CX	// si_code
	CMPL	CX, $0
	JGT	fault
	CMPL	AX, 16(R13)	// si_pid: another process sent the signal
	JNE	chain
fault:
	MOVQ	TLS, CX
	MOVQ	0(CX)(TLS*1), AX	// g
	TESTQ	AX, AX
	JZ	foreign
	MOVQ	48(AX), AX	// g.m
	TESTQ	AX, AX
	JZ	chain
	MOVL	8(BX), CX	// offset of m.isExtraInC
	TESTL	CX, CX
	JZ	chain
	CMPB	(AX)(CX*1), $0
	JEQ	chain
foreign:
	MOVL	$0, AX
	MOVL	$1, CX
	LOCK
	CMPXCHGL	CX, 0(BX)
	JNE	waits		// another thread was faster
	MOVL	R12, 12(BX)
	MOVQ	R13, 24(BX)
	MOVQ	R14, 32(BX)
	MOVL	$186, AX	// gettid
	SYSCALL
	MOVL	AX, 16(BX)
	MOVL	$2, CX
	XCHGL	CX, 0(BX)
	MOVQ	BX, DI		// futex(FUTEX_WAKE, 1)
	MOVL	$1, SI
	MOVL	$1, DX
	MOVL	$202, AX
	SYSCALL
waits:
	MOVL	$0, R8		// number of waits that timed out
again:
	MOVL	0(BX), DX
	CMPL	DX, $4		// stateDone
	JEQ	chain
	MOVQ	BX, DI		// futex(FUTEX_WAIT, state, patience)
	MOVL	$0, SI
	LEAQ	patience<>(SB), R10
	MOVL	$202, AX
	SYSCALL
	CMPQ	AX, $-110	// ETIMEDOUT
	JNE	again
	CMPL	0(BX), $3	// stateDumping
	JNE	giveup		// the monitor has not begun to dump
	INCL	R8
	CMPL	R8, $60
	JLT	again
giveup:
	MOVL	$4, CX
	XCHGL	CX, 0(BX)
chain:
	MOVQ	R12, DI
	MOVQ	R13, SI
	MOVQ	R14, DX
	LEAQ	·previous(SB), AX
	MOVQ	(AX)(DI*8), AX
	JMP	AX
