#include "funcdata.h"
#include "textflag.h"

// func callCapture(r *registers, l *Source, s *snapshot.Snapshot)
//
// Offsets are those of arm_thread_state64_t. R28 is g.
TEXT ·callCapture(SB), 0, $24-24
	NO_LOCAL_POINTERS
	MOVD	r+0(FP), R0
	MOVD	g, 224(R0)
	MOVD	R29, 232(R0)
	MOVD	LR, 240(R0)
	MOVD	RSP, R1
	MOVD	R1, 248(R0)
	ADR	back, R1
	MOVD	R1, 256(R0)
	MOVD	l+8(FP), R1
	MOVD	R1, 8(RSP)
	MOVD	s+16(FP), R1
	MOVD	R1, 16(RSP)
back:
	CALL	·captureOwn(SB)
	RET
