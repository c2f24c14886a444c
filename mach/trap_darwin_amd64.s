#include "textflag.h"

// func trap(n, a1, a2, a3, a4, a5, a6 uintptr) uintptr
//
// The class of Mach traps, 1, is in the upper byte of the number (osfmk/mach/i386/syscall_sw.h). The fourth argument is in R10,
// because SYSCALL overwrites RCX.
TEXT ·trap(SB), NOSPLIT, $0-64
	MOVQ	n+0(FP), AX
	ADDQ	$0x1000000, AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	a4+32(FP), R10
	MOVQ	a5+40(FP), R8
	MOVQ	a6+48(FP), R9
	SYSCALL
	MOVQ	AX, ret+56(FP)
	RET
