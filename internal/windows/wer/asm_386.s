#include "go_asm.h"
#include "textflag.h"

// The module's code for 386. Each function is copied without its end mark, so it must refer only to itself and, by a relative
// address, to the imports. All functions here, and those that they call, are stdcall: the arguments are on the stack, and the
// callee removes them. BX, SI, DI and BP must be preserved.

#define END \
	LONG $const_endLow \
	LONG $const_endHigh

// The frame of event. Above it are four saved registers, the return address and the arguments.
#define block 0      // the first blockHead bytes of the Block
#define handles 40   // duplicates of event, done and peer; 0: none
#define thread 52
#define count 56     // bytes that were copied
#define frame 60 // bytes that the event callback subtracts from SP after four pushes
#define arguments (frame+20)

// HRESULT event(void *, WER_RUNTIME_EXCEPTION_INFORMATION *, BOOL *, wchar_t *, DWORD *, DWORD *)
//
// BX is the address of the imports, SI of the information, DI of the Block in the crashed process.
TEXT ·event(SB), NOSPLIT|NOFRAME, $0
	BYTE  $0xe8; LONG $0          // CALL of the next instruction
	BYTE  $0x58                   // POPL AX: the address of this instruction, 5 after the start of event
	PUSHL BX
	PUSHL SI
	PUSHL DI
	PUSHL BP
	SUBL  $frame, SP
	LEAL  (const_codeToImports-5)(AX), BX
	MOVL  (arguments+0)(SP), DI
	MOVL  (arguments+4)(SP), SI
	MOVL  (arguments+8)(SP), AX
	TESTL AX, AX
	JZ    claimed
	MOVL  $0, (AX)                // not claimed
claimed:
	TESTL DI, DI
	JZ    out
	TESTL SI, SI
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
	SUBL  $20, SP
	MOVL  const_infoProcess(SI), AX
	MOVL  AX, 0(SP)
	MOVL  DI, 4(SP)
	LEAL  (20+block)(SP), AX
	MOVL  AX, 8(SP)
	MOVL  $const_blockHead, 12(SP)
	LEAL  (20+count)(SP), AX
	MOVL  AX, 16(SP)
	MOVL  (const_importRead*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    out
	CMPL  (block+Block_magic+0)(SP), $(const_blockMagic&0xffffffff)
	JNE   out
	CMPL  (block+Block_magic+4)(SP), $(const_blockMagic>>32)
	JNE   out
	CMPL  (block+Block_version)(SP), $const_blockVersion
	JNE   out

	XORL  BP, BP
	MOVL  BP, (handles+0)(SP)
	MOVL  BP, (handles+4)(SP)
	MOVL  BP, (handles+8)(SP)
duplicate:
	MOVL  $const_SYNCHRONIZE, CX
	TESTL BP, BP
	JNZ   wanted
	MOVL  $const_EVENT_MODIFY_STATE, CX
wanted:
	MOVL  (block+Block_event)(SP)(BP*8), DX
	LEAL  handles(SP)(BP*4), AX
	SUBL  $28, SP
	MOVL  AX, 12(SP)
	MOVL  const_infoProcess(SI), AX
	MOVL  AX, 0(SP)
	MOVL  DX, 4(SP)
	MOVL  $-1, 8(SP)              // GetCurrentProcess
	MOVL  CX, 16(SP)
	MOVL  $0, 20(SP)              // not inherited
	MOVL  $0, 24(SP)              // no options
	MOVL  (const_importDuplicate*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    close
	INCL  BP
	CMPL  BP, $3
	JCS   duplicate

	SUBL  $20, SP
	MOVL  const_infoProcess(SI), AX
	MOVL  AX, 0(SP)
	LEAL  Block_record(DI), AX
	MOVL  AX, 4(SP)
	LEAL  const_infoRecord(SI), AX
	MOVL  AX, 8(SP)
	MOVL  $const_recordSize, 12(SP)
	LEAL  (20+count)(SP), AX
	MOVL  AX, 16(SP)
	MOVL  (const_importWrite*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    close
	SUBL  $4, SP
	MOVL  const_infoThread(SI), AX
	MOVL  AX, 0(SP)
	MOVL  (const_importThreadID*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    close
	MOVL  AX, thread(SP)
	SUBL  $20, SP
	MOVL  const_infoProcess(SI), AX
	MOVL  AX, 0(SP)
	LEAL  Block_thread(DI), AX
	MOVL  AX, 4(SP)
	LEAL  (20+thread)(SP), AX
	MOVL  AX, 8(SP)
	MOVL  $4, 12(SP)
	LEAL  (20+count)(SP), AX
	MOVL  AX, 16(SP)
	MOVL  (const_importWrite*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    close
	MOVL  (handles+0)(SP), AX
	SUBL  $4, SP
	MOVL  AX, 0(SP)
	MOVL  (const_importSetEvent*4)(BX), AX
	CALL  AX
	TESTL AX, AX
	JZ    close
	MOVL  (block+Block_timeout)(SP), CX
	MOVL  $const_maxWait, AX
	CMPL  CX, AX
	JLS   wait
	MOVL  AX, CX
wait:
	LEAL  (handles+4)(SP), AX
	SUBL  $16, SP
	MOVL  $2, 0(SP)
	MOVL  AX, 4(SP)
	MOVL  $0, 8(SP)               // wait for one, not for both
	MOVL  CX, 12(SP)
	MOVL  (const_importWait*4)(BX), AX
	CALL  AX
close:
	XORL  BP, BP
next:
	MOVL  handles(SP)(BP*4), AX
	TESTL AX, AX
	JZ    closed
	SUBL  $4, SP
	MOVL  AX, 0(SP)
	MOVL  (const_importClose*4)(BX), AX
	CALL  AX
closed:
	INCL  BP
	CMPL  BP, $3
	JCS   next
out:
	XORL  AX, AX                  // S_OK
	ADDL  $frame, SP
	POPL  BP
	POPL  DI
	POPL  SI
	POPL  BX
	BYTE  $0xc2; WORD $24         // RET 24
	END

// signature and launch are called only for a claimed exception, so never.
TEXT ·signature(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_E_FAIL, AX
	BYTE $0xc2; WORD $28
	END

TEXT ·launch(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_E_FAIL, AX
	BYTE $0xc2; WORD $24
	END

// BOOL entry(HINSTANCE, DWORD, void *) is DllMain.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVL $1, AX
	BYTE $0xc2; WORD $12
	END

// func addresses() (event, signature, launch, entry uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-16
	LEAL ·event(SB), AX
	MOVL AX, event+0(FP)
	LEAL ·signature(SB), AX
	MOVL AX, signature+4(FP)
	LEAL ·launch(SB), AX
	MOVL AX, launch+8(FP)
	LEAL ·entry(SB), AX
	MOVL AX, entry+12(FP)
	RET
