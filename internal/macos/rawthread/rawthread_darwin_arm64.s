#include "textflag.h"

TEXT ·faultCode(SB), NOSPLIT|NOFRAME, $0-0
	MOVD	$0x88, R0
	MOVD	$0x5ec7e7, R19
	MOVD	R19, (R0)
	RET
