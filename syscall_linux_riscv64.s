#include "textflag.h"

// func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)
TEXT ·rawSyscall6(SB),NOSPLIT,$0-72
	MOV	nr+0(FP), A7
	MOV	a1+8(FP), A0
	MOV	a2+16(FP), A1
	MOV	a3+24(FP), A2
	MOV	a4+32(FP), A3
	MOV	a5+40(FP), A4
	MOV	a6+48(FP), A5
	ECALL
	MOV	$-4096, T0
	BLTU	T0, A0, fail
	MOV	A0, r1+56(FP)
	MOV	ZERO, errno+64(FP)
	RET
fail:
	SUB	A0, ZERO, A0
	MOV	$-1, T0
	MOV	T0, r1+56(FP)
	MOV	A0, errno+64(FP)
	RET

// func captureAddress() uintptr
TEXT ·captureAddress(SB),NOSPLIT,$0-8
	MOV	$captureRegisters<>(SB), A0
	MOV	A0, ret+0(FP)
	RET

// Arguments in registers: gp in X10 (length X11, capacity X12), fp in X13 (X14, X15). Results in X10 and X11.
// gp is struct user_regs_struct of arch/riscv/include/uapi/asm/ptrace.h, fp struct __riscv_d_ext_state.
TEXT captureRegisters<>(SB),NOSPLIT|NOFRAME,$0
	MOV	$256, X12
	BLT	X11, X12, nogp
	MOV	X1, 0(X10)	// pc
	MOV	X1, 8(X10)
	MOV	X2, 16(X10)
	MOV	GP, 24(X10)
	MOV	TP, 32(X10)
	MOV	X5, 40(X10)
	MOV	X6, 48(X10)
	MOV	X7, 56(X10)
	MOV	X8, 64(X10)
	MOV	X9, 72(X10)
	MOV	X10, 80(X10)
	MOV	X11, 88(X10)
	MOV	X12, 96(X10)
	MOV	X13, 104(X10)
	MOV	X14, 112(X10)
	MOV	X15, 120(X10)
	MOV	X16, 128(X10)
	MOV	X17, 136(X10)
	MOV	X18, 144(X10)
	MOV	X19, 152(X10)
	MOV	X20, 160(X10)
	MOV	X21, 168(X10)
	MOV	X22, 176(X10)
	MOV	X23, 184(X10)
	MOV	X24, 192(X10)
	MOV	X25, 200(X10)
	MOV	X26, 208(X10)
	MOV	g, 216(X10)
	MOV	X28, 224(X10)
	MOV	X29, 232(X10)
	MOV	X30, 240(X10)
	MOV	X31, 248(X10)
	MOV	$256, X10
	JMP	float
nogp:
	MOV	$0, X10
float:
	MOV	$0, X11
	MOV	$264, X12
	BLT	X14, X12, done
	MOVD	F0, 0(X13)
	MOVD	F1, 8(X13)
	MOVD	F2, 16(X13)
	MOVD	F3, 24(X13)
	MOVD	F4, 32(X13)
	MOVD	F5, 40(X13)
	MOVD	F6, 48(X13)
	MOVD	F7, 56(X13)
	MOVD	F8, 64(X13)
	MOVD	F9, 72(X13)
	MOVD	F10, 80(X13)
	MOVD	F11, 88(X13)
	MOVD	F12, 96(X13)
	MOVD	F13, 104(X13)
	MOVD	F14, 112(X13)
	MOVD	F15, 120(X13)
	MOVD	F16, 128(X13)
	MOVD	F17, 136(X13)
	MOVD	F18, 144(X13)
	MOVD	F19, 152(X13)
	MOVD	F20, 160(X13)
	MOVD	F21, 168(X13)
	MOVD	F22, 176(X13)
	MOVD	F23, 184(X13)
	MOVD	F24, 192(X13)
	MOVD	F25, 200(X13)
	MOVD	F26, 208(X13)
	MOVD	F27, 216(X13)
	MOVD	F28, 224(X13)
	MOVD	F29, 232(X13)
	MOVD	F30, 240(X13)
	MOVD	F31, 248(X13)
	CSRRS	X0, FCSR, X15
	MOV	X15, 256(X13)
	MOV	$264, X11
done:
	RET

// func forkChild(nr, lo, hi uintptr) (pid uintptr)
TEXT ·forkChild(SB),NOSPLIT,$0-32
	MOV	nr+0(FP), A7
	MOV	lo+8(FP), S2
	MOV	hi+16(FP), S3
	MOV	ZERO, A0
	MOV	ZERO, A1
	MOV	ZERO, A2
	MOV	ZERO, A3
	MOV	ZERO, A4
	ECALL
	BEQ	A0, ZERO, child
	MOV	A0, pid+24(FP)
	RET
child:
	MOV	$runtime·writeBarrier(SB), T0
	MOVW	ZERO, (T0)
	MOV	S2, 0(g)	// g.stack.lo
	MOV	S3, 8(g)	// g.stack.hi
	MOV	$8192, T0
	ADD	T0, S2
	MOV	S2, 16(g)	// g.stackguard0
	ADD	$-64, S3
	MOV	S3, X2
	CALL	·enterFork(SB)
	EBREAK
