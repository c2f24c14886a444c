#include "go_asm.h"
#include "textflag.h"

// Windows x64: arguments are in CX, DX, R8 and R9, the caller reserves 32 bytes for them above the return address, and SP is a
// multiple of 16 at a call. RBX, RBP, RDI, RSI, R12 to R15 and XMM6 to XMM15 must be preserved; none is used here.

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

// long vectoredEntry(EXCEPTION_POINTERS *CX)
TEXT ·vectoredEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_Vectored, DX
	JMP  report<>(SB)

// long continueEntry(EXCEPTION_POINTERS *CX)
TEXT ·continueEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_Continue, DX
	JMP  report<>(SB)

// long filterEntry(EXCEPTION_POINTERS *CX)
TEXT ·filterEntry(SB), NOSPLIT|NOFRAME, $0
	SUBQ  $40, SP
	MOVQ  CX, 32(SP)
	MOVL  $const_Filter, DX
	CALL  report<>(SB)
	MOVQ  ·hooks+table_filter(SB), R8
	TESTQ R8, R8
	JZ    none
	MOVQ  32(SP), CX
	CALL  R8
none:
	ADDQ  $40, SP
	RET

// report receives EXCEPTION_POINTERS in CX and the kind in DX. It returns EXCEPTION_CONTINUE_SEARCH (0).
TEXT report<>(SB), NOSPLIT|NOFRAME, $0
	SUBQ  $40, SP
	LEAQ  ·hooks(SB), R11
	MOVQ  table_report(R11), R10
	TESTQ R10, R10
	JZ    pass
	LOCK
	INCL  Report_calls(R10)
	CMPL  DX, $const_Filter
	JCC   fatal                   // Filter, or called by made
	MOVQ  (CX), R8                // EXCEPTION_RECORD
	MOVL  (R8), R9                // ExceptionCode
	MOVQ  16(R8), R8              // ExceptionAddress
	CMPQ  R8, table_textLo(R11)
	JCS   foreign
	CMPQ  R8, table_textHi(R11)
	JCS   pass                    // in Go code
foreign:
	CMPL  DX, $const_Continue
	JEQ   continued
	CMPL  R9, $STATUS_STACK_OVERFLOW
	JEQ   fatal
	CMPL  R9, $STATUS_HEAP_CORRUPTION
	JEQ   fatal
	CMPQ  table_firstChance(R11), $0
	JEQ   pass
	CMPL  R9, $0xc0000000
	JCC   fatal
	JMP   pass
continued:
	CMPQ  table_library(R11), $0
	JNE   pass
	CMPL  R9, $0x80000000         // lower codes are messages to a debugger
	JCS   pass
fatal:
	MOVQ  0x30(GS), R8            // TEB
	MOVL  0x48(R8), R8            // ClientId.UniqueThread
	XORL  AX, AX
	LOCK
	CMPXCHGL R8, Report_owner(R10)
	JNE   owned
	MOVL  DX, Report_kind(R10)
	MOVQ  CX, Report_pointers(R10)
	MOVL  R8, Report_thread(R10)
	MOVQ  table_event(R11), CX
	CALL  table_setEvent(R11)
	JMP   hold
owned:
	CMPL  AX, R8
	JEQ   pass                    // this thread has already waited
hold:
	LEAQ  ·hooks(SB), R11
	MOVL  $2, CX
	LEAQ  table_wait(R11), DX
	XORL  R8, R8                  // wait for one, not for both
	MOVQ  table_timeout(R11), R9
	CALL  table_waitFor(R11)
pass:
	XORL  AX, AX
	ADDQ  $40, SP
	RET

// void abortEntry(int signal)
TEXT ·abortEntry(SB), NOSPLIT|NOFRAME, $0
	SUBQ $40, SP
	LEAQ 40(SP), R8
	MOVL $STATUS_FATAL_APP_EXIT, R9
	MOVL $const_Abort, DX
	CALL made<>(SB)
	ADDQ $40, SP
	MOVQ ·hooks+table_abort(SB), AX
	TESTQ AX, AX
	JZ   none
	MOVL $SIGABRT, CX
	JMP  AX
none:
	RET

// void pureEntry(void)
TEXT ·pureEntry(SB), NOSPLIT|NOFRAME, $0
	SUBQ $40, SP
	LEAQ 40(SP), R8
	MOVL $STATUS_NONCONTINUABLE_EXCEPTION, R9
	MOVL $const_PureCall, DX
	CALL made<>(SB)
	ADDQ $40, SP
	MOVQ ·hooks+table_pure(SB), AX
	TESTQ AX, AX
	JZ   none
	JMP  AX
none:
	RET                           // the C runtime then aborts

// void invalidEntry(wchar_t *expression, wchar_t *function, wchar_t *file, unsigned line, uintptr_t reserved)
TEXT ·invalidEntry(SB), NOSPLIT|NOFRAME, $0
	SUBQ $40, SP
	MOVQ CX, 0(SP)
	MOVQ DX, 8(SP)
	MOVQ R8, 16(SP)
	MOVQ R9, 24(SP)
	LEAQ 40(SP), R8
	MOVL $STATUS_INVALID_PARAMETER, R9
	MOVL $const_InvalidParameter, DX
	CALL made<>(SB)
	MOVQ 0(SP), CX
	MOVQ 8(SP), DX
	MOVQ 16(SP), R8
	MOVQ 24(SP), R9
	ADDQ $40, SP
	MOVQ ·hooks+table_invalid(SB), AX
	TESTQ AX, AX
	JZ   none
	JMP  AX
none:
	MOVL $FAST_FAIL_INVALID_ARG, CX // what the C runtime does without a handler
	INT  $0x29
	RET

// made reports an exception that Windows did not raise. R9 is its code, DX the kind, R8 the address of the return address into
// the code in which it happened.
//
//	   0 reserved for callees
//	  32 EXCEPTION_POINTERS
//	  48 EXCEPTION_RECORD, 152 bytes
//	 208 CONTEXT, 1232 bytes
//	1440 kind, code, address of the return address
#define made_pointers 32
#define made_record 48
#define made_context 208
#define made_saved 1440
TEXT made<>(SB), NOSPLIT|NOFRAME, $0
	SUBQ $1464, SP
	MOVL DX, (made_saved+0)(SP)
	MOVL R9, (made_saved+4)(SP)
	MOVQ R8, (made_saved+8)(SP)
	LEAQ made_context(SP), CX
	MOVQ ·hooks+table_capture(SB), AX
	TESTQ AX, AX
	JZ   none
	CALL AX
	MOVQ (made_saved+8)(SP), R8
	MOVQ (R8), AX
	MOVQ AX, (made_context+248)(SP) // Rip
	ADDQ $8, R8
	MOVQ R8, (made_context+152)(SP) // Rsp
	XORL R8, R8
	MOVL $19, CX
clear:
	MOVQ R8, (made_record-8)(SP)(CX*8)
	DECL CX
	JNE  clear
	MOVL (made_saved+4)(SP), R9
	MOVL R9, (made_record+0)(SP)    // ExceptionCode
	MOVL $1, (made_record+4)(SP)    // EXCEPTION_NONCONTINUABLE
	MOVQ AX, (made_record+16)(SP)   // ExceptionAddress
	LEAQ made_record(SP), AX
	MOVQ AX, (made_pointers+0)(SP)
	LEAQ made_context(SP), AX
	MOVQ AX, (made_pointers+8)(SP)
	LEAQ made_pointers(SP), CX
	MOVL (made_saved+0)(SP), DX
	CALL report<>(SB)
none:
	ADDQ $1464, SP
	RET

// func vectoredPC() uintptr
TEXT ·vectoredPC(SB), NOSPLIT, $0-8
	LEAQ ·vectoredEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func continuePC() uintptr
TEXT ·continuePC(SB), NOSPLIT, $0-8
	LEAQ ·continueEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func filterPC() uintptr
TEXT ·filterPC(SB), NOSPLIT, $0-8
	LEAQ ·filterEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func abortPC() uintptr
TEXT ·abortPC(SB), NOSPLIT, $0-8
	LEAQ ·abortEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func invalidPC() uintptr
TEXT ·invalidPC(SB), NOSPLIT, $0-8
	LEAQ ·invalidEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func purePC() uintptr
TEXT ·purePC(SB), NOSPLIT, $0-8
	LEAQ ·pureEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func textBounds() (lo, hi uintptr)
TEXT ·textBounds(SB), NOSPLIT, $0-16
	LEAQ runtime·text(SB), AX
	MOVQ AX, lo+0(FP)
	LEAQ runtime·etext(SB), AX
	MOVQ AX, hi+8(FP)
	RET
