#include "go_asm.h"
#include "textflag.h"

// Windows x86: exception handlers are stdcall functions, which pop their argument; handlers of C runtimes are cdecl functions,
// which do not. EBX, ESI, EDI and EBP must be preserved.

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

// long vectoredEntry(EXCEPTION_POINTERS *)
TEXT ·vectoredEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL 4(SP), AX
	MOVL $const_Vectored, DX
	CALL report<>(SB)
	XORL AX, AX
	BYTE $0xc2; WORD $4             // RET 4

// long continueEntry(EXCEPTION_POINTERS *)
TEXT ·continueEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL 4(SP), AX
	MOVL $const_Continue, DX
	CALL report<>(SB)
	XORL AX, AX
	BYTE $0xc2; WORD $4

// long filterEntry(EXCEPTION_POINTERS *)
TEXT ·filterEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL  4(SP), AX
	MOVL  $const_Filter, DX
	CALL  report<>(SB)
	XORL  AX, AX
	MOVL  ·hooks+table_filter(SB), CX
	TESTL CX, CX
	JZ    none
	MOVL  4(SP), AX
	SUBL  $4, SP
	MOVL  AX, 0(SP)
	CALL  CX
none:
	BYTE $0xc2; WORD $4

// report receives EXCEPTION_POINTERS in AX and the kind in DX.
TEXT report<>(SB), NOSPLIT|NOFRAME, $0
	PUSHL BX
	PUSHL SI
	PUSHL DI
	MOVL  AX, SI
	MOVL  DX, DI
	MOVL  ·hooks+table_report(SB), BX
	TESTL BX, BX
	JZ    pass
	LOCK
	INCL  Report_calls(BX)
	CMPL  DI, $const_Filter
	JCC   fatal                     // Filter, or called by made
	MOVL  (SI), CX                  // EXCEPTION_RECORD
	MOVL  (CX), AX                  // ExceptionCode
	MOVL  12(CX), DX                // ExceptionAddress
	CMPL  DX, ·hooks+table_textLo(SB)
	JCS   foreign
	CMPL  DX, ·hooks+table_textHi(SB)
	JCS   pass                      // in Go code
foreign:
	CMPL  DI, $const_Continue
	JEQ   continued
	CMPL  AX, $STATUS_STACK_OVERFLOW
	JEQ   fatal
	CMPL  AX, $STATUS_HEAP_CORRUPTION
	JEQ   fatal
	CMPL  ·hooks+table_firstChance(SB), $0
	JEQ   pass
	CMPL  AX, $0xc0000000
	JCC   fatal
	JMP   pass
continued:
	CMPL  ·hooks+table_library(SB), $0
	JNE   pass
	CMPL  AX, $0x80000000           // lower codes are messages to a debugger
	JCS   pass
fatal:
	MOVL  0x18(FS), CX              // TEB
	MOVL  0x24(CX), CX              // ClientId.UniqueThread
	XORL  AX, AX
	LOCK
	CMPXCHGL CX, Report_owner(BX)
	JNE   owned
	MOVL  DI, Report_kind(BX)
	MOVL  SI, Report_pointers(BX)
	MOVL  $0, (Report_pointers+4)(BX)
	MOVL  CX, Report_thread(BX)
	MOVL  ·hooks+table_event(SB), CX
	MOVL  ·hooks+table_setEvent(SB), AX
	SUBL  $4, SP                    // popped by the called function
	MOVL  CX, 0(SP)
	CALL  AX
	JMP   hold
owned:
	CMPL  AX, CX
	JEQ   pass                      // this thread has already waited
hold:
	SUBL  $16, SP
	MOVL  $2, 0(SP)
	LEAL  ·hooks+table_wait(SB), AX
	MOVL  AX, 4(SP)
	MOVL  $0, 8(SP)                 // wait for one, not for both
	MOVL  ·hooks+table_timeout(SB), AX
	MOVL  AX, 12(SP)
	MOVL  ·hooks+table_waitFor(SB), AX
	CALL  AX
pass:
	POPL  DI
	POPL  SI
	POPL  BX
	RET

// void abortEntry(int signal)
TEXT ·abortEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL  SP, AX
	MOVL  $STATUS_FATAL_APP_EXIT, CX
	MOVL  $const_Abort, DX
	CALL  made<>(SB)
	MOVL  ·hooks+table_abort(SB), AX
	TESTL AX, AX
	JZ    none
	JMP   AX
none:
	RET

// void pureEntry(void)
TEXT ·pureEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL  SP, AX
	MOVL  $STATUS_NONCONTINUABLE_EXCEPTION, CX
	MOVL  $const_PureCall, DX
	CALL  made<>(SB)
	MOVL  ·hooks+table_pure(SB), AX
	TESTL AX, AX
	JZ    none
	JMP   AX
none:
	RET                             // the C runtime then aborts

// void invalidEntry(wchar_t *expression, wchar_t *function, wchar_t *file, unsigned line, uintptr_t reserved)
TEXT ·invalidEntry(SB), NOSPLIT|NOFRAME, $0
	MOVL  SP, AX
	MOVL  $STATUS_INVALID_PARAMETER, CX
	MOVL  $const_InvalidParameter, DX
	CALL  made<>(SB)
	MOVL  ·hooks+table_invalid(SB), AX
	TESTL AX, AX
	JZ    none
	JMP   AX
none:
	MOVL  $FAST_FAIL_INVALID_ARG, CX // what the C runtime does without a handler
	INT   $0x29
	RET

// made reports an exception that Windows did not raise. CX is its code, DX the kind, AX the address of the return address into
// the code in which it happened.
//
//	  0 EXCEPTION_POINTERS
//	  8 EXCEPTION_RECORD, 80 bytes
//	 96 CONTEXT, 716 bytes
//	812 kind, code, address of the return address
#define made_pointers 0
#define made_record 8
#define made_context 96
#define made_saved 812
TEXT made<>(SB), NOSPLIT|NOFRAME, $0
	SUBL  $824, SP
	MOVL  DX, (made_saved+0)(SP)
	MOVL  CX, (made_saved+4)(SP)
	MOVL  AX, (made_saved+8)(SP)
	MOVL  ·hooks+table_capture(SB), CX
	TESTL CX, CX
	JZ    none
	LEAL  made_context(SP), AX
	SUBL  $4, SP
	MOVL  AX, 0(SP)
	CALL  CX
	MOVL  (made_saved+8)(SP), DX
	MOVL  (DX), AX
	MOVL  AX, (made_context+184)(SP) // Eip
	ADDL  $4, DX
	MOVL  DX, (made_context+196)(SP) // Esp
	MOVL  BP, (made_context+180)(SP) // Ebp: RtlCaptureContext assumes that its caller has a frame of its own
	MOVL  $0x10007, (made_context+0)(SP) // CONTEXT_FULL
	XORL  DX, DX
	MOVL  $20, CX
clear:
	MOVL  DX, (made_record-4)(SP)(CX*4)
	DECL  CX
	JNE   clear
	MOVL  (made_saved+4)(SP), CX
	MOVL  CX, (made_record+0)(SP)   // ExceptionCode
	MOVL  $1, (made_record+4)(SP)   // EXCEPTION_NONCONTINUABLE
	MOVL  AX, (made_record+12)(SP)  // ExceptionAddress
	LEAL  made_record(SP), AX
	MOVL  AX, (made_pointers+0)(SP)
	LEAL  made_context(SP), AX
	MOVL  AX, (made_pointers+4)(SP)
	LEAL  made_pointers(SP), AX
	MOVL  (made_saved+0)(SP), DX
	CALL  report<>(SB)
none:
	ADDL  $824, SP
	RET

// func vectoredPC() uintptr
TEXT ·vectoredPC(SB), NOSPLIT, $0-4
	LEAL ·vectoredEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func continuePC() uintptr
TEXT ·continuePC(SB), NOSPLIT, $0-4
	LEAL ·continueEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func filterPC() uintptr
TEXT ·filterPC(SB), NOSPLIT, $0-4
	LEAL ·filterEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func abortPC() uintptr
TEXT ·abortPC(SB), NOSPLIT, $0-4
	LEAL ·abortEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func invalidPC() uintptr
TEXT ·invalidPC(SB), NOSPLIT, $0-4
	LEAL ·invalidEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func purePC() uintptr
TEXT ·purePC(SB), NOSPLIT, $0-4
	LEAL ·pureEntry(SB), AX
	MOVL AX, ret+0(FP)
	RET

// func textBounds() (lo, hi uintptr)
TEXT ·textBounds(SB), NOSPLIT, $0-8
	LEAL runtime·text(SB), AX
	MOVL AX, lo+0(FP)
	LEAL runtime·etext(SB), AX
	MOVL AX, hi+4(FP)
	RET
