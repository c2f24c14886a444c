//go:build linux

#include "textflag.h"

// func handler() uintptr
TEXT ·handler(SB),NOSPLIT,$0-8
	LEAQ	onsignal<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorer() uintptr
TEXT ·restorer(SB),NOSPLIT,$0-8
	LEAQ	sigreturn<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// The kernel calls it as a C function, on a stack that is aligned for that. What C functions preserve is preserved.
TEXT onsignal<>(SB),NOSPLIT|NOFRAME,$0
	PUSHQ	BP
	PUSHQ	BX
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	SUBQ	$8, SP
	CALL	·onSignal(SB)
	ADDQ	$8, SP
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	BX
	POPQ	BP
	RET

TEXT sigreturn<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$15, AX	// rt_sigreturn
	SYSCALL
	INT	$3
