#include "go_asm.h"
#include "textflag.h"

// The module's code for arm64. Each function is copied without its end mark, so it must refer only to itself and, by a relative
// address, to the imports. Windows ARM64: arguments are in R0 to R7, the result is in R0; SP is a multiple of 16; R19 to R29 must
// be preserved. R18 is reserved for the system, and R27 for the assembler: no instruction here needs R27.

#define END \
	WORD $const_endLow \
	WORD $const_endHigh

// The frame of event, above the saved registers.
#define block 48     // the first blockHead bytes of the Block
#define handles 88   // duplicates of event, done and peer; 0: none
#define thread 112
#define count 120    // bytes that were copied
#define frame 128

// HRESULT event(void *R0, WER_RUNTIME_EXCEPTION_INFORMATION *R1, BOOL *R2, wchar_t *, DWORD *, DWORD *)
//
// R19 is the address of the imports, R20 of the information, R21 of the Block in the crashed process.
TEXT ·event(SB), NOSPLIT|NOFRAME, $0
begin:
	SUB  $frame, RSP             // unwind describes this prologue
	STP  (R29, R30), 0(RSP)
	STP  (R19, R20), 16(RSP)
	STP  (R21, R22), 32(RSP)
	ADR  begin, R9
	ADD  $const_codeToImports, R9, R19
	MOVD R1, R20
	MOVD R0, R21
	CBZ  R2, claimed
	MOVW ZR, (R2)                // not claimed
claimed:
	CBZ  R21, out
	CBZ  R20, out
	MOVWU (R20), R9              // dwSize
	CMPW $(const_infoFatal+4), R9
	BLO  fatal                   // too short for bIsFatal
	MOVWU const_infoFatal(R20), R9
	CBZ  R9, out
fatal:
	MOVWU const_infoRecord(R20), R9 // ExceptionCode
	MOVD $const_codeInt29, R10
	CMP  R10, R9
	BEQ  read
	MOVD $const_codeFailFast, R10
	CMP  R10, R9
	BEQ  read
	MOVD $const_codeHeap, R10
	CMP  R10, R9
	BNE  out
read:
	MOVD const_infoProcess(R20), R0
	MOVD R21, R1
	ADD  $block, RSP, R2
	MOVD $const_blockHead, R3
	ADD  $count, RSP, R4
	MOVD (const_importRead*8)(R19), R8
	CALL (R8)
	CBZW R0, out
	MOVD $const_blockMagic, R9
	MOVD (block+Block_magic)(RSP), R10
	CMP  R10, R9
	BNE  out
	MOVWU (block+Block_version)(RSP), R10
	CMPW $const_blockVersion, R10
	BNE  out

	STP  (ZR, ZR), handles(RSP)
	MOVD ZR, (handles+16)(RSP)
	MOVD ZR, R22
duplicate:
	MOVD $const_SYNCHRONIZE, R4
	CBNZ R22, wanted
	MOVD $const_EVENT_MODIFY_STATE, R4
wanted:
	MOVD const_infoProcess(R20), R0
	ADD  $(block+Block_event), RSP, R9
	MOVD (R9)(R22<<3), R1
	MOVD $-1, R2                 // GetCurrentProcess
	ADD  $handles, RSP, R3
	ADD  R22<<3, R3, R3
	MOVD ZR, R5                  // not inherited
	MOVD ZR, R6                  // no options
	MOVD (const_importDuplicate*8)(R19), R8
	CALL (R8)
	CBZW R0, close
	ADD  $1, R22
	CMP  $3, R22
	BLO  duplicate

	MOVD const_infoProcess(R20), R0
	ADD  $Block_record, R21, R1
	ADD  $const_infoRecord, R20, R2
	MOVD $const_recordSize, R3
	ADD  $count, RSP, R4
	MOVD (const_importWrite*8)(R19), R8
	CALL (R8)
	CBZW R0, close
	MOVD const_infoThread(R20), R0
	MOVD (const_importThreadID*8)(R19), R8
	CALL (R8)
	CBZW R0, close
	MOVW R0, thread(RSP)
	MOVD const_infoProcess(R20), R0
	ADD  $Block_thread, R21, R1
	ADD  $thread, RSP, R2
	MOVD $4, R3
	ADD  $count, RSP, R4
	MOVD (const_importWrite*8)(R19), R8
	CALL (R8)
	CBZW R0, close
	MOVD (handles+0)(RSP), R0
	MOVD (const_importSetEvent*8)(R19), R8
	CALL (R8)
	CBZW R0, close
	MOVD $2, R0
	ADD  $(handles+8), RSP, R1
	MOVD ZR, R2                  // wait for one, not for both
	MOVWU (block+Block_timeout)(RSP), R3
	MOVD $const_maxWait, R9
	CMP  R9, R3
	BLS  wait
	MOVD R9, R3
wait:
	MOVD (const_importWait*8)(R19), R8
	CALL (R8)
close:
	MOVD ZR, R22
next:
	ADD  $handles, RSP, R9
	MOVD (R9)(R22<<3), R0
	CBZ  R0, closed
	MOVD (const_importClose*8)(R19), R8
	CALL (R8)
closed:
	ADD  $1, R22
	CMP  $3, R22
	BLO  next
out:
	MOVD ZR, R0                  // S_OK
	LDP  32(RSP), (R21, R22)
	LDP  16(RSP), (R19, R20)
	LDP  0(RSP), (R29, R30)
	ADD  $frame, RSP
	RET
	END

// signature and launch are called only for a claimed exception, so never.
TEXT ·signature(SB), NOSPLIT|NOFRAME, $0
	MOVD $const_E_FAIL, R0
	RET
	END

TEXT ·launch(SB), NOSPLIT|NOFRAME, $0
	MOVD $const_E_FAIL, R0
	RET
	END

// BOOL entry(HINSTANCE, DWORD, void *) is DllMain.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVD $1, R0
	RET
	END

// func addresses() (event, signature, launch, entry uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-32
	MOVD $·event(SB), R0
	MOVD R0, event+0(FP)
	MOVD $·signature(SB), R0
	MOVD R0, signature+8(FP)
	MOVD $·launch(SB), R0
	MOVD R0, launch+16(FP)
	MOVD $·entry(SB), R0
	MOVD R0, entry+24(FP)
	RET
