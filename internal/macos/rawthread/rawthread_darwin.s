#include "textflag.h"

TEXT libc_pthread_create_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_pthread_create(SB)
GLOBL	·libc_pthread_create_addr(SB), RODATA, $8
DATA	·libc_pthread_create_addr(SB)/8, $libc_pthread_create_jump<>(SB)

TEXT libc_sigaction_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_sigaction(SB)
GLOBL	·libc_sigaction_addr(SB), RODATA, $8
DATA	·libc_sigaction_addr(SB)/8, $libc_sigaction_jump<>(SB)

GLOBL	·fault_addr(SB), RODATA, $8
DATA	·fault_addr(SB)/8, $·faultCode(SB)
