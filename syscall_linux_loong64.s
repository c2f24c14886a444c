#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOVV	nr+0(FP), R11
	MOVV	a1+8(FP), R4
	MOVV	a2+16(FP), R5
	MOVV	a3+24(FP), R6
	MOVV	a4+32(FP), R7
	MOVV	a5+40(FP), R8
	MOVV	a6+48(FP), R9
	SYSCALL
	MOVV	$-4095, R12
	BGEU	R4, R12, fail
	MOVV	R4, r1+56(FP)
	MOVV	R0, errno+64(FP)
	RET
fail:
	SUBVU	R4, R0, R4
	MOVV	$-1, R12
	MOVV	R12, r1+56(FP)
	MOVV	R4, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOVV	$captureRegisters<>(SB), R4
	MOVV	R4, ret+0(FP)
	RET

// Arguments in registers: gp in R4 (length R5, capacity R6), fp in R7 (R8, R9). Results in R4 and R5.
// gp is struct user_pt_regs of arch/loongarch/include/uapi/asm/ptrace.h (32 registers, orig_a0, ERA, BADV and ten
// reserved words), fp struct user_fp_state.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	MOVV	$360, R6
	BLT	R5, R6, nogp
	MOVV	R0, 0(R4)
	MOVV	R1, 8(R4)
	MOVV	R2, 16(R4)
	MOVV	R3, 24(R4)
	MOVV	R4, 32(R4)
	MOVV	R5, 40(R4)
	MOVV	R6, 48(R4)
	MOVV	R7, 56(R4)
	MOVV	R8, 64(R4)
	MOVV	R9, 72(R4)
	MOVV	R10, 80(R4)
	MOVV	R11, 88(R4)
	MOVV	R12, 96(R4)
	MOVV	R13, 104(R4)
	MOVV	R14, 112(R4)
	MOVV	R15, 120(R4)
	MOVV	R16, 128(R4)
	MOVV	R17, 136(R4)
	MOVV	R18, 144(R4)
	MOVV	R19, 152(R4)
	MOVV	R20, 160(R4)
	MOVV	R21, 168(R4)
	MOVV	g, 176(R4)
	MOVV	R23, 184(R4)
	MOVV	R24, 192(R4)
	MOVV	R25, 200(R4)
	MOVV	R26, 208(R4)
	MOVV	R27, 216(R4)
	MOVV	R28, 224(R4)
	MOVV	R29, 232(R4)
	MOVV	R30, 240(R4)
	MOVV	R31, 248(R4)
	MOVV	$-1, R6
	MOVV	R6, 256(R4)	// orig_a0: not in a system call
	MOVV	R1, 264(R4)	// ERA: the program counter
	MOVV	R0, 272(R4)
	MOVV	R0, 280(R4)
	MOVV	R0, 288(R4)
	MOVV	R0, 296(R4)
	MOVV	R0, 304(R4)
	MOVV	R0, 312(R4)
	MOVV	R0, 320(R4)
	MOVV	R0, 328(R4)
	MOVV	R0, 336(R4)
	MOVV	R0, 344(R4)
	MOVV	R0, 352(R4)
	MOVV	$360, R4
	JMP	float
nogp:
	MOVV	R0, R4
float:
	MOVV	R0, R5
	MOVV	$272, R6
	BLT	R8, R6, done
	MOVD	F0, 0(R7)
	MOVD	F1, 8(R7)
	MOVD	F2, 16(R7)
	MOVD	F3, 24(R7)
	MOVD	F4, 32(R7)
	MOVD	F5, 40(R7)
	MOVD	F6, 48(R7)
	MOVD	F7, 56(R7)
	MOVD	F8, 64(R7)
	MOVD	F9, 72(R7)
	MOVD	F10, 80(R7)
	MOVD	F11, 88(R7)
	MOVD	F12, 96(R7)
	MOVD	F13, 104(R7)
	MOVD	F14, 112(R7)
	MOVD	F15, 120(R7)
	MOVD	F16, 128(R7)
	MOVD	F17, 136(R7)
	MOVD	F18, 144(R7)
	MOVD	F19, 152(R7)
	MOVD	F20, 160(R7)
	MOVD	F21, 168(R7)
	MOVD	F22, 176(R7)
	MOVD	F23, 184(R7)
	MOVD	F24, 192(R7)
	MOVD	F25, 200(R7)
	MOVD	F26, 208(R7)
	MOVD	F27, 216(R7)
	MOVD	F28, 224(R7)
	MOVD	F29, 232(R7)
	MOVD	F30, 240(R7)
	MOVD	F31, 248(R7)
	MOVV	FCC0, R5
	MOVB	R5, 256(R7)
	MOVV	FCC1, R5
	MOVB	R5, 257(R7)
	MOVV	FCC2, R5
	MOVB	R5, 258(R7)
	MOVV	FCC3, R5
	MOVB	R5, 259(R7)
	MOVV	FCC4, R5
	MOVB	R5, 260(R7)
	MOVV	FCC5, R5
	MOVB	R5, 261(R7)
	MOVV	FCC6, R5
	MOVB	R5, 262(R7)
	MOVV	FCC7, R5
	MOVB	R5, 263(R7)
	MOVV	FCSR0, R5
	MOVV	R5, 264(R7)
	MOVV	$272, R5
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOVV	nr+0(FP), R11
	MOVV	lo+8(FP), R24
	MOVV	hi+16(FP), R25
	MOVV	R0, R4
	MOVV	R0, R5
	MOVV	R0, R6
	MOVV	R0, R7
	MOVV	R0, R8
	SYSCALL
	BEQ	R4, R0, child
	MOVV	R4, pid+24(FP)
	RET
child:
	MOVV	$runtime·writeBarrier(SB), R5
	MOVW	R0, (R5)
	MOVV	R24, 0(g)	// g.stack.lo
	MOVV	R25, 8(g)	// g.stack.hi
	ADDV	$8192, R24
	MOVV	R24, 16(g)	// g.stackguard0
	ADDV	$-64, R25
	MOVV	R25, R3
	JAL	·enterFork(SB)
	UNDEF
