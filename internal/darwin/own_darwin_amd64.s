#include "funcdata.h"
#include "textflag.h"

// func callCapture(r *registers, l *Source, s *snapshot.Snapshot)
//
// Offsets are those of x86_thread_state64_t. R14 is g.
TEXT ·callCapture(SB), 0, $16-24
	NO_LOCAL_POINTERS
	MOVQ	r+0(FP), AX
	MOVQ	BP, 48(AX)
	MOVQ	SP, 56(AX)
	MOVQ	R14, 112(AX)
	MOVQ	l+8(FP), AX
	MOVQ	AX, 0(SP)
	MOVQ	s+16(FP), AX
	MOVQ	AX, 8(SP)
	CALL	·captureOwn(SB)
	RET
