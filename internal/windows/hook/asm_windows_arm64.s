#include "go_asm.h"
#include "textflag.h"

// Windows ARM64: arguments are in R0 to R7, the result is in R0; R18 points to the TEB; SP is a multiple of 16; R19 to R29 must be
// preserved. The assembler may use R27 for addresses, so every function with a frame saves it.

// Offsets in Report.
#define Report_owner 0
#define Report_kind 4
#define Report_pointers 8
#define Report_thread 16
#define Report_calls 20

#define STATUS_STACK_OVERFLOW 0xc00000fd
#define STATUS_HEAP_CORRUPTION 0xc0000374
#define STATUS_FATAL_APP_EXIT 0x40000015
#define STATUS_INVALID_PARAMETER 0xc000000d
#define STATUS_NONCONTINUABLE_EXCEPTION 0xc0000025
#define FAST_FAIL_INVALID_ARG 5
#define SIGABRT 22

// long vectoredEntry(EXCEPTION_POINTERS *R0)
TEXT ·vectoredEntry(SB), NOSPLIT|NOFRAME, $0
	MOVD $const_Vectored, R1
	JMP  report<>(SB)

// long continueEntry(EXCEPTION_POINTERS *R0)
TEXT ·continueEntry(SB), NOSPLIT|NOFRAME, $0
	MOVD $const_Continue, R1
	JMP  report<>(SB)

// long filterEntry(EXCEPTION_POINTERS *R0)
TEXT ·filterEntry(SB), NOSPLIT|NOFRAME, $0
	SUB  $32, RSP
	STP  (R29, R30), 0(RSP)
	STP  (R0, R27), 16(RSP)
	MOVD $const_Filter, R1
	CALL report<>(SB)
	MOVD $·hooks(SB), R8
	MOVD table_filter(R8), R8
	LDP  16(RSP), (R1, R27)
	CBZ  R8, none
	MOVD R1, R0
	CALL (R8)
none:
	LDP  0(RSP), (R29, R30)
	ADD  $32, RSP
	RET

// report receives EXCEPTION_POINTERS in R0 and the kind in R1. It returns EXCEPTION_CONTINUE_SEARCH (0).
TEXT report<>(SB), NOSPLIT|NOFRAME, $0
	SUB   $32, RSP
	STP   (R29, R30), 0(RSP)
	MOVD  R27, 16(RSP)
	MOVD  $·hooks(SB), R9
	MOVD  table_report(R9), R10
	CBZ   R10, pass
	ADD   $Report_calls, R10, R11
count:
	LDAXRW (R11), R12
	ADDW  $1, R12
	STLXRW R12, (R11), R13
	CBNZ  R13, count
	CMPW  $const_Filter, R1
	BHS   fatal                  // Filter, or called by made
	MOVD  (R0), R11              // EXCEPTION_RECORD
	MOVWU (R11), R12             // ExceptionCode
	MOVD  16(R11), R13           // ExceptionAddress
	MOVD  table_textLo(R9), R14
	CMP   R14, R13
	BLO   foreign
	MOVD  table_textHi(R9), R14
	CMP   R14, R13
	BLO   pass                   // in Go code
foreign:
	CMPW  $const_Continue, R1
	BEQ   continued
	MOVD  $STATUS_STACK_OVERFLOW, R14
	CMP   R14, R12
	BEQ   fatal
	MOVD  $STATUS_HEAP_CORRUPTION, R14
	CMP   R14, R12
	BEQ   fatal
	MOVD  table_firstChance(R9), R14
	CBZ   R14, pass
	MOVD  $0xc0000000, R14
	CMP   R14, R12
	BHS   fatal
	B     pass
continued:
	MOVD  table_library(R9), R14
	CBNZ  R14, pass
	MOVD  $0x80000000, R14       // lower codes are messages to a debugger
	CMP   R14, R12
	BLO   pass
fatal:
	MOVWU 0x48(R18_PLATFORM), R11 // TEB: ClientId.UniqueThread
own:
	LDAXRW (R10), R12            // Report_owner
	CBNZ  R12, owned
	STLXRW R11, (R10), R13
	CBNZ  R13, own
	MOVW  R1, Report_kind(R10)
	MOVD  R0, Report_pointers(R10)
	DMB   $0xb                   // ISH: the thread is written last
	MOVW  R11, Report_thread(R10)
	MOVD  table_event(R9), R0
	MOVD  table_setEvent(R9), R8
	CALL  (R8)
	B     hold
owned:
	CMPW  R11, R12
	BEQ   pass                   // this thread has already waited
hold:
	MOVD  $·hooks(SB), R9
	MOVD  $2, R0
	ADD   $table_wait, R9, R1
	MOVD  $0, R2                 // wait for one, not for both
	MOVD  table_timeout(R9), R3
	MOVD  table_waitFor(R9), R8
	CALL  (R8)
pass:
	MOVD  $0, R0
	MOVD  16(RSP), R27
	LDP   0(RSP), (R29, R30)
	ADD   $32, RSP
	RET

// void abortEntry(int signal)
TEXT ·abortEntry(SB), NOSPLIT|NOFRAME, $0
	SUB  $32, RSP
	STP  (R29, R30), 0(RSP)
	MOVD R27, 16(RSP)
	ADD  $32, RSP, R2
	MOVD $STATUS_FATAL_APP_EXIT, R3
	MOVD $const_Abort, R1
	CALL made<>(SB)
	MOVD $·hooks(SB), R8
	MOVD table_abort(R8), R8
	MOVD 16(RSP), R27
	LDP  0(RSP), (R29, R30)
	ADD  $32, RSP
	CBZ  R8, none
	MOVD $SIGABRT, R0
	JMP  (R8)
none:
	RET

// void pureEntry(void)
TEXT ·pureEntry(SB), NOSPLIT|NOFRAME, $0
	SUB  $32, RSP
	STP  (R29, R30), 0(RSP)
	MOVD R27, 16(RSP)
	ADD  $32, RSP, R2
	MOVD $STATUS_NONCONTINUABLE_EXCEPTION, R3
	MOVD $const_PureCall, R1
	CALL made<>(SB)
	MOVD $·hooks(SB), R8
	MOVD table_pure(R8), R8
	MOVD 16(RSP), R27
	LDP  0(RSP), (R29, R30)
	ADD  $32, RSP
	CBZ  R8, none
	JMP  (R8)
none:
	RET                          // the C runtime then aborts

// void invalidEntry(wchar_t *expression, wchar_t *function, wchar_t *file, unsigned line, uintptr_t reserved)
TEXT ·invalidEntry(SB), NOSPLIT|NOFRAME, $0
	SUB  $64, RSP
	STP  (R29, R30), 0(RSP)
	STP  (R0, R1), 16(RSP)
	STP  (R2, R3), 32(RSP)
	STP  (R4, R27), 48(RSP)
	ADD  $64, RSP, R2
	MOVD $STATUS_INVALID_PARAMETER, R3
	MOVD $const_InvalidParameter, R1
	CALL made<>(SB)
	MOVD $·hooks(SB), R8
	MOVD table_invalid(R8), R8
	LDP  16(RSP), (R0, R1)
	LDP  32(RSP), (R2, R3)
	LDP  48(RSP), (R4, R27)
	LDP  0(RSP), (R29, R30)
	ADD  $64, RSP
	CBZ  R8, none
	JMP  (R8)
none:
	MOVD $FAST_FAIL_INVALID_ARG, R0 // what the C runtime does without a handler
	BRK  $0xf003
	RET

// made reports an exception that Windows did not raise. R3 is its code, R1 the kind, R2 the stack pointer of the code in which it
// happened. The caller of made has saved R29 of that code and the return address into it at 0(RSP).
//
//	   0 return address, R27
//	  16 kind, code, stack pointer
//	  48 EXCEPTION_POINTERS
//	  64 EXCEPTION_RECORD, 152 bytes
//	 224 CONTEXT, 912 bytes
#define made_saved 16
#define made_pointers 48
#define made_record 64
#define made_context 224
#define made_size 1136
TEXT made<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $made_size, R8          // in a register: Go's linker would count a constant as goroutine stack
	SUB  R8, RSP
	STP  (R30, R27), 0(RSP)
	STP  (R1, R3), made_saved(RSP)
	MOVD R2, (made_saved+16)(RSP)
	MOVD $·hooks(SB), R8
	MOVD table_capture(R8), R8
	CBZ  R8, none
	ADD  $made_context, RSP, R0
	CALL (R8)
	MOVD made_size(RSP), R4      // R29 of the code in which it happened
	MOVD (made_size+8)(RSP), R5  // the return address into that code
	MOVD (made_saved+16)(RSP), R6
	MOVD R4, (made_context+240)(RSP) // Fp
	MOVD R5, (made_context+248)(RSP) // Lr
	MOVD R6, (made_context+256)(RSP) // Sp
	MOVD R5, (made_context+264)(RSP) // Pc
	ADD  $made_record, RSP, R6
	MOVD $19, R7
clear:
	MOVD.P ZR, 8(R6)
	SUBS $1, R7
	BNE  clear
	LDP  made_saved(RSP), (R1, R3)
	MOVW R3, (made_record+0)(RSP)  // ExceptionCode
	MOVD $1, R4
	MOVW R4, (made_record+4)(RSP)  // EXCEPTION_NONCONTINUABLE
	MOVD R5, (made_record+16)(RSP) // ExceptionAddress
	ADD  $made_record, RSP, R4
	ADD  $made_context, RSP, R5
	STP  (R4, R5), made_pointers(RSP)
	ADD  $made_pointers, RSP, R0
	CALL report<>(SB)
none:
	LDP  0(RSP), (R30, R27)
	MOVD $made_size, R8
	ADD  R8, RSP
	RET

// func vectoredPC() uintptr
TEXT ·vectoredPC(SB), NOSPLIT, $0-8
	MOVD $·vectoredEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func continuePC() uintptr
TEXT ·continuePC(SB), NOSPLIT, $0-8
	MOVD $·continueEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func filterPC() uintptr
TEXT ·filterPC(SB), NOSPLIT, $0-8
	MOVD $·filterEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func abortPC() uintptr
TEXT ·abortPC(SB), NOSPLIT, $0-8
	MOVD $·abortEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func invalidPC() uintptr
TEXT ·invalidPC(SB), NOSPLIT, $0-8
	MOVD $·invalidEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func purePC() uintptr
TEXT ·purePC(SB), NOSPLIT, $0-8
	MOVD $·pureEntry(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func textBounds() (lo, hi uintptr)
TEXT ·textBounds(SB), NOSPLIT, $0-16
	MOVD $runtime·text(SB), R0
	MOVD R0, lo+0(FP)
	MOVD $runtime·etext(SB), R0
	MOVD R0, hi+8(FP)
	RET
