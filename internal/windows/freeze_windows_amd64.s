#include "textflag.h"

// Offsets in CONTEXT (winnt.h).
#define ContextFlags 48
#define MxCsr 52
#define SegCs 56
#define EFlags 68
#define Rax 120
#define Rcx 128
#define Rdx 136
#define Rbx 144
#define Rsp 152
#define Rbp 160
#define Rsi 168
#define Rdi 176
#define R8_ 184
#define Rip 248
#define FltSave 256

// func saveContext(ctx, buf *byte, size uintptr) (start, got, g uintptr)
TEXT ·saveContext(SB), NOSPLIT|NOFRAME, $0-48
	MOVQ 8(SP), AX
	MOVL $0x10000b, ContextFlags(AX) // CONTEXT_CONTROL, _INTEGER and _FLOATING_POINT
	STMXCSR MxCsr(AX)
	MOVW CS, CX
	MOVW CX, SegCs(AX)
	PUSHFQ
	POPQ CX
	MOVL CX, EFlags(AX)
	MOVQ AX, Rax(AX)
	MOVQ CX, Rcx(AX)
	MOVQ DX, Rdx(AX)
	MOVQ BX, Rbx(AX)
	MOVQ BP, Rbp(AX)
	MOVQ SI, Rsi(AX)
	MOVQ DI, Rdi(AX)
	MOVQ R8, (R8_+0)(AX)
	MOVQ R9, (R8_+8)(AX)
	MOVQ R10, (R8_+16)(AX)
	MOVQ R11, (R8_+24)(AX)
	MOVQ R12, (R8_+32)(AX)
	MOVQ R13, (R8_+40)(AX)
	MOVQ R14, (R8_+48)(AX)
	MOVQ R15, (R8_+56)(AX)
	LEAQ 8(SP), CX // its value after the return
	MOVQ CX, Rsp(AX)
	MOVQ 0(SP), CX
	MOVQ CX, Rip(AX)
	FXSAVE64 FltSave(AX)
	LEAQ 8(SP), SI
	SUBQ $128, SI
	ANDQ $~15, SI
	MOVQ SI, 32(SP)
	MOVQ R14, 48(SP)
	MOVQ 8(R14), CX // g.stack.hi
	SUBQ SI, CX
	CMPQ CX, 24(SP)
	JLS fits
	MOVQ 24(SP), CX
fits:
	MOVQ CX, 40(SP)
	MOVQ 16(SP), DI
	CLD
	REP; MOVSB
	RET

// func freezeAddr() uintptr
TEXT ·freezeAddr(SB), NOSPLIT, $0-8
	LEAQ ·freeze(SB), AX
	MOVQ AX, ret+0(FP)
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

// freeze follows the Windows calling convention: CX is a freezeCall. SI is the thread, R12 the number of threads left, DI the
// address being read, R13 the end of the read, R14 its destination.
TEXT ·freeze(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ BX
	PUSHQ BP
	PUSHQ SI
	PUSHQ DI
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	SUBQ $64, SP
	MOVQ CX, BX

	MOVQ c_n(BX), R12
	MOVQ c_threads(BX), SI
suspend:
	TESTQ R12, R12
	JZ suspended
	MOVQ t_handle(SI), CX
	TESTQ CX, CX
	JZ nextSuspend
	MOVQ c_suspend(BX), AX
	CALL AX
	CMPL AX, $-1
	JEQ nextSuspend
	MOVQ $1, t_state(SI)
nextSuspend:
	ADDQ $t_len, SI
	DECQ R12
	JMP suspend

suspended:
	MOVQ c_n(BX), R12
	MOVQ c_threads(BX), SI
read:
	TESTQ R12, R12
	JZ captured
	MOVQ t_handle(SI), CX
	TESTQ CX, CX
	JZ nextRead
	CMPQ t_state(SI), $1
	JNE nextRead
	MOVQ t_ctx(SI), DX
	MOVQ c_context(BX), AX
	CALL AX
	TESTL AX, AX
	JZ nextRead
	MOVQ $2, t_state(SI)
	MOVQ t_ctx(SI), AX
	MOVQ c_sp(BX), CX
	MOVQ (AX)(CX*1), DI
	SUBQ $128, DI
	ANDQ $~15, DI
	MOVQ DI, t_start(SI)
	MOVQ t_buf(SI), R14
	MOVQ DI, R13
	ADDQ t_size(SI), R13
	CMPQ DI, t_low(SI)
	JCS page
	CMPQ DI, t_high(SI)
	JCC page
	CMPQ R13, t_high(SI)
	JCS page
	MOVQ t_high(SI), R13
page:
	CMPQ DI, R13
	JCC nextRead
	MOVQ DI, AX // to the end of the page, but not beyond R13
	ANDQ $4095, AX
	MOVQ $4096, BP
	SUBQ AX, BP
	MOVQ R13, AX
	SUBQ DI, AX
	CMPQ BP, AX
	JLS copy
	MOVQ AX, BP
copy:
	MOVQ $-1, CX
	MOVQ DI, DX
	MOVQ R14, R8
	MOVQ BP, R9
	LEAQ 48(SP), AX
	MOVQ AX, 32(SP)
	MOVQ c_read(BX), AX
	CALL AX
	TESTL AX, AX
	JMI nextRead
	ADDQ BP, DI
	ADDQ BP, R14
	ADDQ BP, t_got(SI)
	JMP page
nextRead:
	ADDQ $t_len, SI
	DECQ R12
	JMP read

captured:
	MOVQ c_n(BX), R12
	MOVQ c_threads(BX), SI
resume:
	TESTQ R12, R12
	JZ resumed
	MOVQ t_handle(SI), CX
	TESTQ CX, CX
	JZ nextResume
	CMPQ t_state(SI), $0
	JEQ nextResume
	MOVQ c_resume(BX), AX
	CALL AX
nextResume:
	ADDQ $t_len, SI
	DECQ R12
	JMP resume

resumed:
	ADDQ $64, SP
	POPQ R14
	POPQ R13
	POPQ R12
	POPQ DI
	POPQ SI
	POPQ BP
	POPQ BX
	RET
