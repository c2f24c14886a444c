#include "textflag.h"

// func trap(n, a1, a2, a3, a4, a5, a6 uintptr) uintptr
//
// A negative number in X16 is that of a Mach trap (osfmk/mach/arm/syscall_sw.h).
TEXT ·trap(SB), NOSPLIT, $0-64
	MOVD	n+0(FP), R16
	NEG	R16, R16
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	a4+32(FP), R3
	MOVD	a5+40(FP), R4
	MOVD	a6+48(FP), R5
	SVC	$0x80
	MOVD	R0, ret+56(FP)
	RET
