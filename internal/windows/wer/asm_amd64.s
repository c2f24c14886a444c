#include "go_asm.h"
#include "textflag.h"

// The module's code for amd64. Each function is copied without its end mark, so it must refer only to itself and, by a relative
// address, to the imports. Windows x64: arguments are in CX, DX, R8 and R9, the others on the stack above 32 bytes reserved for
// these four; SP is a multiple of 16 at a call; BX, BP, DI, SI, R12 to R15 must be preserved.

#define END \
	LONG $const_endLow \
	LONG $const_endHigh

// The frame of event. At its bottom are 32 bytes reserved for callees, then their fifth to seventh arguments at 32, 40 and 48.
#define block 64     // the first blockHead bytes of the Block
#define handles 104  // duplicates of event, done and peer; 0: none
#define thread 128
#define count 136    // bytes that were copied

// HRESULT event(void *CX, WER_RUNTIME_EXCEPTION_INFORMATION *DX, BOOL *R8, wchar_t *, DWORD *, DWORD *)
//
// BX is the address of the imports, SI of the information, DI of the Block in the crashed process.
TEXT ·event(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BX
	PUSHQ SI
	PUSHQ DI
	PUSHQ R12
	SUBQ  $const_frame, SP
	LEAQ  ·event(SB), BX
	ADDQ  $const_codeToImports, BX
	MOVQ  CX, DI
	MOVQ  DX, SI
	TESTQ R8, R8
	JZ    claimed
	MOVL  $0, (R8)                // not claimed
claimed:
	TESTQ DI, DI
	JZ    out
	TESTQ SI, SI
	JZ    out
	CMPL  (SI), $(const_infoFatal+4) // dwSize
	JCS   fatal                   // too short for bIsFatal
	CMPL  const_infoFatal(SI), $0
	JEQ   out
fatal:
	MOVL  const_infoRecord(SI), AX // ExceptionCode
	CMPL  AX, $const_codeInt29
	JEQ   read
	CMPL  AX, $const_codeFailFast
	JEQ   read
	CMPL  AX, $const_codeHeap
	JNE   out
read:
	MOVQ  const_infoProcess(SI), CX
	MOVQ  DI, DX
	LEAQ  block(SP), R8
	MOVL  $const_blockHead, R9
	LEAQ  count(SP), AX
	MOVQ  AX, 32(SP)
	CALL  (const_importRead*8)(BX)
	TESTL AX, AX
	JZ    out
	MOVQ  $const_blockMagic, AX
	CMPQ  AX, (block+Block_magic)(SP)
	JNE   out
	CMPL  (block+Block_version)(SP), $const_blockVersion
	JNE   out

	XORL  R12, R12
	MOVQ  R12, (handles+0)(SP)
	MOVQ  R12, (handles+8)(SP)
	MOVQ  R12, (handles+16)(SP)
duplicate:
	MOVL  $const_SYNCHRONIZE, AX
	TESTL R12, R12
	JNZ   wanted
	MOVL  $const_EVENT_MODIFY_STATE, AX
wanted:
	MOVQ  AX, 32(SP)
	MOVQ  $0, 40(SP)              // not inherited
	MOVQ  $0, 48(SP)              // no options
	MOVQ  const_infoProcess(SI), CX
	MOVQ  (block+Block_event)(SP)(R12*8), DX
	MOVQ  $-1, R8                 // GetCurrentProcess
	LEAQ  handles(SP)(R12*8), R9
	CALL  (const_importDuplicate*8)(BX)
	TESTL AX, AX
	JZ    close
	INCL  R12
	CMPL  R12, $3
	JCS   duplicate

	MOVQ  const_infoProcess(SI), CX
	LEAQ  Block_record(DI), DX
	LEAQ  const_infoRecord(SI), R8
	MOVL  $const_recordSize, R9
	LEAQ  count(SP), AX
	MOVQ  AX, 32(SP)
	CALL  (const_importWrite*8)(BX)
	TESTL AX, AX
	JZ    close
	MOVQ  const_infoThread(SI), CX
	CALL  (const_importThreadID*8)(BX)
	TESTL AX, AX
	JZ    close
	MOVL  AX, thread(SP)
	MOVQ  const_infoProcess(SI), CX
	LEAQ  Block_thread(DI), DX
	LEAQ  thread(SP), R8
	MOVL  $4, R9
	LEAQ  count(SP), AX
	MOVQ  AX, 32(SP)
	CALL  (const_importWrite*8)(BX)
	TESTL AX, AX
	JZ    close
	MOVQ  (handles+0)(SP), CX
	CALL  (const_importSetEvent*8)(BX)
	TESTL AX, AX
	JZ    close
	MOVL  $2, CX
	LEAQ  (handles+8)(SP), DX
	XORL  R8, R8                  // wait for one, not for both
	MOVL  (block+Block_timeout)(SP), R9
	MOVL  $const_maxWait, AX
	CMPL  R9, AX
	JLS   wait
	MOVL  AX, R9
wait:
	CALL  (const_importWait*8)(BX)
close:
	XORL  R12, R12
next:
	MOVQ  handles(SP)(R12*8), CX
	TESTQ CX, CX
	JZ    closed
	CALL  (const_importClose*8)(BX)
closed:
	INCL  R12
	CMPL  R12, $3
	JCS   next
out:
	XORL  AX, AX                  // S_OK
	ADDQ  $const_frame, SP
	POPQ  R12
	POPQ  DI
	POPQ  SI
	POPQ  BX
	RET
	END

// signature and launch are called only for a claimed exception, so never.
TEXT ·signature(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_E_FAIL, AX
	RET
	END

TEXT ·launch(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_E_FAIL, AX
	RET
	END

// BOOL entry(HINSTANCE, DWORD, void *) is DllMain.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVL $1, AX
	RET
	END

// func addresses() (event, signature, launch, entry uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-32
	LEAQ ·event(SB), AX
	MOVQ AX, event+0(FP)
	LEAQ ·signature(SB), AX
	MOVQ AX, signature+8(FP)
	LEAQ ·launch(SB), AX
	MOVQ AX, launch+16(FP)
	LEAQ ·entry(SB), AX
	MOVQ AX, entry+24(FP)
	RET
