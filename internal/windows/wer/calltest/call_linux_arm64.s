#include "go_asm.h"
#include "textflag.h"

// func Call(f, a, b, c uintptr) (result, changed uintptr)
TEXT ·Call(SB), NOSPLIT, $16-48
	MOVD f+0(FP), R8
	MOVD a+8(FP), R0
	MOVD b+16(FP), R1
	MOVD c+24(FP), R2
	MOVD $0x1919, R19
	MOVD $0x2020, R20
	MOVD $0x2121, R21
	MOVD $0x2222, R22
	MOVD $0x2323, R23
	MOVD RSP, R24
	CALL (R8)
	MOVD R0, result+32(FP)
	EOR  $0x1919, R19, R19
	EOR  $0x2020, R20, R20
	EOR  $0x2121, R21, R21
	EOR  $0x2222, R22, R22
	EOR  $0x2323, R23, R23
	MOVD RSP, R9
	EOR  R9, R24, R9
	ORR  R19, R9, R9
	ORR  R20, R9, R9
	ORR  R21, R9, R9
	ORR  R22, R9, R9
	ORR  R23, R9, R9
	MOVD R9, changed+40(FP)
	RET

// called records a call of the function with the index R9, and does what that does. It leaves nothing in the registers that are not
// its caller's.
TEXT called<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $·Log(SB), R10
	MOVD (R10), R11
	ADD  $1, R11, R12
	MOVD R12, (R10)
	ADD  R11<<6, R10, R10
	STP  (R9, R0), 8(R10)
	STP  (R1, R2), 24(R10)
	STP  (R3, R4), 40(R10)
	STP  (R5, R6), 56(R10)
	MOVD $·Results(SB), R11
	MOVD (R11)(R9<<3), R11
	CBZ  R11, done
	CBZ  R9, copy
	CMP  $1, R9
	BEQ  write
	CMP  $2, R9
	BNE  done
	ADD  $const_NewHandle, R1, R1
	MOVD R1, (R3)
	B    done
write:
	MOVD R1, R12
	MOVD R2, R1
	MOVD R12, R2
copy:                            // R3 bytes from R1 to R2
	CBZ  R3, done
	MOVBU.P 1(R1), R12
	MOVB.P R12, 1(R2)
	SUB  $1, R3
	B    copy
done:
	MOVD R11, R0
	MOVD $-1, R1
	MOVD R1, R2
	MOVD R1, R3
	MOVD R1, R4
	MOVD R1, R5
	MOVD R1, R6
	MOVD R1, R7
	MOVD R1, R8
	MOVD R1, R9
	MOVD R1, R10
	MOVD R1, R11
	MOVD R1, R12
	MOVD R1, R13
	MOVD R1, R14
	MOVD R1, R15
	RET

#define FUNCTION(name, index) \
TEXT name<>(SB), NOSPLIT|NOFRAME, $0; \
	MOVD $index, R9; \
	JMP  called<>(SB)

FUNCTION(f0, 0)
FUNCTION(f1, 1)
FUNCTION(f2, 2)
FUNCTION(f3, 3)
FUNCTION(f4, 4)
FUNCTION(f5, 5)
FUNCTION(f6, 6)

// func addresses(to *[Functions]uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-8
	MOVD to+0(FP), R1
	MOVD $f0<>(SB), R0
	MOVD R0, 0(R1)
	MOVD $f1<>(SB), R0
	MOVD R0, 8(R1)
	MOVD $f2<>(SB), R0
	MOVD R0, 16(R1)
	MOVD $f3<>(SB), R0
	MOVD R0, 24(R1)
	MOVD $f4<>(SB), R0
	MOVD R0, 32(R1)
	MOVD $f5<>(SB), R0
	MOVD R0, 40(R1)
	MOVD $f6<>(SB), R0
	MOVD R0, 48(R1)
	RET
