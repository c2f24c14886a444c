#include "textflag.h"

// Offsets in CONTEXT (winnt.h).
#define ContextFlags 0
#define Cpsr 4
#define X0 8
#define Sp 256
#define Pc 264
#define Vectors 272
#define Fpcr 784
#define Fpsr 788

// func saveContext(ctx, buf *byte, size uintptr) (start, got, g uintptr)
TEXT ·saveContext(SB), NOSPLIT|NOFRAME, $0-48
	MOVD 8(RSP), R0
	MOVD $0x400007, R1 // CONTEXT_CONTROL, _INTEGER and _FLOATING_POINT
	MOVW R1, ContextFlags(R0)
	MOVD NZCV, R1
	MOVW R1, Cpsr(R0)
	STP (R2, R3), (X0+16)(R0)
	STP (R4, R5), (X0+32)(R0)
	STP (R6, R7), (X0+48)(R0)
	STP (R8, R9), (X0+64)(R0)
	STP (R10, R11), (X0+80)(R0)
	STP (R12, R13), (X0+96)(R0)
	STP (R14, R15), (X0+112)(R0)
	STP (R16, R17), (X0+128)(R0)
	MOVD R19, (X0+152)(R0)
	STP (R20, R21), (X0+160)(R0)
	STP (R22, R23), (X0+176)(R0)
	STP (R24, R25), (X0+192)(R0)
	STP (R26, R27), (X0+208)(R0)
	STP (g, R29), (X0+224)(R0)
	MOVD R30, (X0+240)(R0)
	MOVD RSP, R1
	MOVD R1, Sp(R0)
	MOVD R30, Pc(R0)
	ADD $Vectors, R0, R1
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1)
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1)
	VST1.P [V8.B16, V9.B16, V10.B16, V11.B16], 64(R1)
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(R1)
	VST1.P [V16.B16, V17.B16, V18.B16, V19.B16], 64(R1)
	VST1.P [V20.B16, V21.B16, V22.B16, V23.B16], 64(R1)
	VST1.P [V24.B16, V25.B16, V26.B16, V27.B16], 64(R1)
	VST1.P [V28.B16, V29.B16, V30.B16, V31.B16], 64(R1)
	MOVD FPCR, R1
	MOVW R1, Fpcr(R0)
	MOVD FPSR, R1
	MOVW R1, Fpsr(R0)
	MOVD RSP, R1
	SUB $128, R1
	AND $~15, R1
	MOVD R1, 32(RSP)
	MOVD g, 48(RSP)
	MOVD 8(g), R2 // g.stack.hi
	SUB R1, R2
	MOVD 24(RSP), R3
	CMP R3, R2
	BLS fits
	MOVD R3, R2
fits:
	MOVD R2, 40(RSP)
	MOVD 16(RSP), R3
copy:
	CBZ R2, copied
	MOVBU.P 1(R1), R4
	MOVBU.P R4, 1(R3)
	SUB $1, R2
	B copy
copied:
	RET

// func freezeAddr() uintptr
TEXT ·freezeAddr(SB), NOSPLIT, $0-8
	MOVD $·freeze(SB), R0
	MOVD R0, ret+0(FP)
	RET

// Offsets in frozenThread and freezeCall.
#define t_handle 0
#define t_ctx 8
#define t_low 16
#define t_high 24
#define t_buf 32
#define t_size 40
#define t_start 48
#define t_got 56
#define t_state 64
#define t_len 72
#define c_n 0
#define c_threads 8
#define c_suspend 16
#define c_context 24
#define c_resume 32
#define c_read 40
#define c_sp 48

// freeze follows the Windows calling convention: R0 is a freezeCall, which is kept in R19. R20 is the thread, R21 the number of
// threads left, R22 the address being read, R23 the end of the read, R24 its destination, R25 the length of a step.
TEXT ·freeze(SB), NOSPLIT|NOFRAME, $0-0
	SUB $96, RSP
	STP (R29, R30), 0(RSP)
	STP (R19, R20), 16(RSP)
	STP (R21, R22), 32(RSP)
	STP (R23, R24), 48(RSP)
	STP (R25, R26), 64(RSP)
	MOVD R27, 80(RSP)
	MOVD R0, R19

	MOVD c_n(R19), R21
	MOVD c_threads(R19), R20
suspend:
	CBZ R21, suspended
	MOVD t_handle(R20), R0
	CBZ R0, nextSuspend
	MOVD c_suspend(R19), R8
	CALL (R8)
	MOVW $-1, R1
	CMPW R1, R0
	BEQ nextSuspend
	MOVD $1, R1
	MOVD R1, t_state(R20)
nextSuspend:
	ADD $t_len, R20
	SUB $1, R21
	B suspend

suspended:
	MOVD c_n(R19), R21
	MOVD c_threads(R19), R20
read:
	CBZ R21, captured
	MOVD t_handle(R20), R0
	CBZ R0, nextRead
	MOVD t_state(R20), R1
	CMP $1, R1
	BNE nextRead
	MOVD t_ctx(R20), R1
	MOVD c_context(R19), R8
	CALL (R8)
	CBZW R0, nextRead
	MOVD $2, R1
	MOVD R1, t_state(R20)
	MOVD t_ctx(R20), R0
	MOVD c_sp(R19), R1
	MOVD (R0)(R1), R22
	SUB $128, R22
	AND $~15, R22
	MOVD R22, t_start(R20)
	MOVD t_buf(R20), R24
	MOVD t_size(R20), R0
	ADD R0, R22, R23
	MOVD t_low(R20), R0
	CMP R0, R22
	BLO page
	MOVD t_high(R20), R0
	CMP R0, R22
	BHS page
	CMP R0, R23
	BLO page
	MOVD R0, R23
page:
	CMP R23, R22
	BHS nextRead
	AND $4095, R22, R0 // to the end of the page, but not beyond R23
	MOVD $4096, R25
	SUB R0, R25
	SUB R22, R23, R0
	CMP R0, R25
	BLS copy
	MOVD R0, R25
copy:
	MOVD $-1, R0
	MOVD R22, R1
	MOVD R24, R2
	MOVD R25, R3
	ADD $88, RSP, R4
	MOVD c_read(R19), R8
	CALL (R8)
	TBNZ $31, R0, nextRead
	ADD R25, R22
	ADD R25, R24
	MOVD t_got(R20), R0
	ADD R25, R0
	MOVD R0, t_got(R20)
	B page
nextRead:
	ADD $t_len, R20
	SUB $1, R21
	B read

captured:
	MOVD c_n(R19), R21
	MOVD c_threads(R19), R20
resume:
	CBZ R21, resumed
	MOVD t_handle(R20), R0
	CBZ R0, nextResume
	MOVD t_state(R20), R1
	CBZ R1, nextResume
	MOVD c_resume(R19), R8
	CALL (R8)
nextResume:
	ADD $t_len, R20
	SUB $1, R21
	B resume

resumed:
	MOVD 80(RSP), R27
	LDP 64(RSP), (R25, R26)
	LDP 48(RSP), (R23, R24)
	LDP 32(RSP), (R21, R22)
	LDP 16(RSP), (R19, R20)
	LDP 0(RSP), (R29, R30)
	ADD $96, RSP
	RET
