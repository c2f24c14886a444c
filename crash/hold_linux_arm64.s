#include "textflag.h"

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	MOVD	$signalHandler<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// Duration of one wait, as struct timespec: 5 s.
DATA patience<>+0(SB)/8, $5
DATA patience<>+8(SB)/8, $0
GLOBL patience<>(SB), RODATA|NOPTR, $16

// The kernel calls signalHandler with the signal in R0, siginfo_t in R1, ucontext_t in R2. It may use every register except SP and
// R30, the return address, because the return from the signal restores them. It jumps to the previous handler with the same
// arguments. A system call preserves all registers except R0.
TEXT signalHandler<>(SB),NOSPLIT|NOFRAME,$0
	MOVD	R0, R19
	MOVD	R1, R20
	MOVD	R2, R21
	MOVD	·held(SB), R22
	MOVD	$172, R8	// getpid: a forked child has this memory too
	SVC
	MOVWU	4(R22), R3
	CMPW	R0, R3
	BNE	chain
	MOVW	8(R20), R3	// si_code
	CMPW	$0, R3
	BGT	fault
	MOVWU	16(R20), R3	// si_pid: another process sent the signal
	CMPW	R0, R3
	BNE	chain
fault:
	MOVD	R30, R24
	BL	runtime·load_g(SB)	// changes R0, R27 and g
	MOVD	R24, R30
	CBZ	g, foreign
	MOVD	48(g), R3	// g.m
	CBZ	R3, chain
	MOVWU	8(R22), R4	// offset of m.isExtraInC
	CBZ	R4, chain
	MOVBU	(R3)(R4), R3
	CBZ	R3, chain
foreign:
	MOVD	$1, R4
	LDAXRW	(R22), R3
	CBNZW	R3, waits	// another thread was faster
	STLXRW	R4, (R22), R5
	CBNZW	R5, foreign
	MOVW	R19, 12(R22)
	MOVD	R20, 24(R22)
	MOVD	R21, 32(R22)
	MOVD	$178, R8	// gettid
	SVC
	MOVW	R0, 16(R22)
	MOVD	$2, R3
	STLRW	R3, (R22)
	MOVD	R22, R0		// futex(FUTEX_WAKE, 1)
	MOVD	$1, R1
	MOVD	$1, R2
	MOVD	$98, R8
	SVC
waits:
	MOVD	$0, R23		// number of waits that timed out
again:
	LDARW	(R22), R2
	CMPW	$4, R2		// stateDone
	BEQ	chain
	MOVD	R22, R0		// futex(FUTEX_WAIT, state, patience)
	MOVD	$0, R1
	MOVD	$patience<>(SB), R3
	MOVD	$98, R8
	SVC
	CMN	$110, R0	// ETIMEDOUT
	BNE	again
	LDARW	(R22), R2
	CMPW	$3, R2		// stateDumping
	BNE	giveup		// the monitor has not begun to dump
	ADD	$1, R23
	CMP	$60, R23
	BLT	again
giveup:
	MOVD	$4, R3
	STLRW	R3, (R22)
chain:
	MOVD	R19, R0
	MOVD	R20, R1
	MOVD	R21, R2
	MOVD	$·previous(SB), R3
	MOVD	(R3)(R0<<3), R3
	JMP	(R3)
