#define get_tls(r) MOVL TLS, r
#define g(r) 0(r)(TLS*1)

#include "textflag.h"

// Offsets in CONTEXT (winnt.h).
#define ContextFlags 0
#define FloatSave 28
#define SegGs 140
#define SegFs 144
#define SegEs 148
#define SegDs 152
#define Edi 156
#define Esi 160
#define Ebx 164
#define Edx 168
#define Ecx 172
#define Eax 176
#define Ebp 180
#define Eip 184
#define SegCs 188
#define EFlags 192
#define Esp 196
#define SegSs 200

// func saveContext(ctx, buf *byte, size uintptr) (start, got, g uintptr)
TEXT ·saveContext(SB), NOSPLIT|NOFRAME, $0-24
	MOVL 4(SP), AX
	MOVL $0x10007, ContextFlags(AX) // CONTEXT_CONTROL, _INTEGER and _SEGMENTS
	MOVL DI, Edi(AX)
	MOVL SI, Esi(AX)
	MOVL BX, Ebx(AX)
	MOVL DX, Edx(AX)
	MOVL CX, Ecx(AX)
	MOVL AX, Eax(AX)
	MOVL BP, Ebp(AX)
	MOVW CS, CX
	MOVW CX, SegCs(AX)
	MOVW DS, CX
	MOVW CX, SegDs(AX)
	MOVW ES, CX
	MOVW CX, SegEs(AX)
	MOVW FS, CX
	MOVW CX, SegFs(AX)
	MOVW GS, CX
	MOVW CX, SegGs(AX)
	MOVW SS, CX
	MOVW CX, SegSs(AX)
	PUSHFL
	POPL CX
	MOVL CX, EFlags(AX)
	LEAL 4(SP), CX // its value after the return
	MOVL CX, Esp(AX)
	MOVL 0(SP), CX
	MOVL CX, Eip(AX)
	LEAL 4(SP), SI
	SUBL $128, SI
	ANDL $~15, SI
	MOVL SI, 16(SP)
	get_tls(CX)
	MOVL g(CX), DX
	MOVL DX, 24(SP)
	MOVL 4(DX), CX // g.stack.hi
	SUBL SI, CX
	CMPL CX, 12(SP)
	JLS fits
	MOVL 12(SP), CX
fits:
	MOVL CX, 20(SP)
	MOVL 8(SP), DI
	CLD
	REP; MOVSB
	RET

// func freezeAddr() uintptr
TEXT ·freezeAddr(SB), NOSPLIT, $0-4
	LEAL ·freeze(SB), AX
	MOVL AX, ret+0(FP)
	RET

// Offsets in frozenThread and freezeCall.
#define t_handle 0
#define t_ctx 4
#define t_low 8
#define t_high 12
#define t_buf 16
#define t_size 20
#define t_start 24
#define t_got 28
#define t_state 32
#define t_len 36
#define c_n 0
#define c_threads 4
#define c_suspend 8
#define c_context 12
#define c_resume 16
#define c_read 20
#define c_sp 24

// Variables of freeze, on its stack above the arguments of the functions that it calls: the number of threads left, the end of
// a read, its destination, the length of one step, and the count that the system returns.
#define left 20
#define end 24
#define to 28
#define step 32
#define done 36

// freeze is called with a freezeCall on the stack, and keeps its address in BX. SI is the thread, DI the address being read.
// The functions of Windows pop their arguments, so SP is restored from BP after each call.
TEXT ·freeze(SB), NOSPLIT|NOFRAME, $0-0
	PUSHL BP
	PUSHL BX
	PUSHL SI
	PUSHL DI
	MOVL 20(SP), BX
	SUBL $48, SP
	MOVL SP, BP

	MOVL c_n(BX), AX
	MOVL AX, left(BP)
	MOVL c_threads(BX), SI
suspend:
	CMPL left(BP), $0
	JEQ suspended
	MOVL t_handle(SI), CX
	TESTL CX, CX
	JZ nextSuspend
	MOVL CX, 0(SP)
	MOVL c_suspend(BX), AX
	CALL AX
	MOVL BP, SP
	CMPL AX, $-1
	JEQ nextSuspend
	MOVL $1, t_state(SI)
nextSuspend:
	ADDL $t_len, SI
	DECL left(BP)
	JMP suspend

suspended:
	MOVL c_n(BX), AX
	MOVL AX, left(BP)
	MOVL c_threads(BX), SI
read:
	CMPL left(BP), $0
	JEQ captured
	MOVL t_handle(SI), CX
	TESTL CX, CX
	JZ nextRead
	CMPL t_state(SI), $1
	JNE nextRead
	MOVL CX, 0(SP)
	MOVL t_ctx(SI), DX
	MOVL DX, 4(SP)
	MOVL c_context(BX), AX
	CALL AX
	MOVL BP, SP
	TESTL AX, AX
	JZ nextRead
	MOVL $2, t_state(SI)
	MOVL t_ctx(SI), AX
	ADDL c_sp(BX), AX
	MOVL (AX), DI
	SUBL $128, DI
	ANDL $~15, DI
	MOVL DI, t_start(SI)
	MOVL t_buf(SI), AX
	MOVL AX, to(BP)
	MOVL DI, DX
	ADDL t_size(SI), DX
	MOVL DX, end(BP)
	CMPL DI, t_low(SI)
	JCS page
	CMPL DI, t_high(SI)
	JCC page
	CMPL DX, t_high(SI)
	JCS page
	MOVL t_high(SI), DX
	MOVL DX, end(BP)
page:
	CMPL DI, end(BP)
	JCC nextRead
	MOVL DI, AX // to the end of the page, but not beyond end
	ANDL $4095, AX
	MOVL $4096, CX
	SUBL AX, CX
	MOVL end(BP), AX
	SUBL DI, AX
	CMPL CX, AX
	JLS copy
	MOVL AX, CX
copy:
	MOVL CX, step(BP)
	MOVL $-1, 0(SP)
	MOVL DI, 4(SP)
	MOVL to(BP), AX
	MOVL AX, 8(SP)
	MOVL CX, 12(SP)
	LEAL done(BP), AX
	MOVL AX, 16(SP)
	MOVL c_read(BX), AX
	CALL AX
	MOVL BP, SP
	TESTL AX, AX
	JMI nextRead
	MOVL step(BP), AX
	ADDL AX, DI
	ADDL AX, to(BP)
	ADDL AX, t_got(SI)
	JMP page
nextRead:
	ADDL $t_len, SI
	DECL left(BP)
	JMP read

captured:
	MOVL c_n(BX), AX
	MOVL AX, left(BP)
	MOVL c_threads(BX), SI
resume:
	CMPL left(BP), $0
	JEQ resumed
	MOVL t_handle(SI), CX
	TESTL CX, CX
	JZ nextResume
	CMPL t_state(SI), $0
	JEQ nextResume
	MOVL CX, 0(SP)
	MOVL c_resume(BX), AX
	CALL AX
	MOVL BP, SP
nextResume:
	ADDL $t_len, SI
	DECL left(BP)
	JMP resume

resumed:
	ADDL $48, SP
	POPL DI
	POPL SI
	POPL BX
	POPL BP
	RET
