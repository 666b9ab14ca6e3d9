#include "textflag.h"

#define SYS_write 64

// A handler gets the signal's number in R0 and the address of its siginfo_t in R1, and
// returns to R30. All registers are the kernel's to restore.

GLOBL pipe<>(SB), NOPTR, $8
GLOBL golang<>(SB), NOPTR, $8

TEXT plain<>(SB), NOSPLIT|NOFRAME, $0-0
	SUB  $16, RSP
	MOVB R0, (RSP)
	MOVD pipe<>(SB), R0
	MOVD RSP, R1
	MOVD $1, R2
	MOVD $SYS_write, R8
	SVC
	ADD  $16, RSP
	RET

TEXT fault<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVW 8(R1), R3 // si_code: above 0 if it is the kernel's
	CMPW $0, R3
	BGT  own
	JMP  plain<>(SB)
own:
	MOVD golang<>(SB), R3
	JMP  (R3)

TEXT ·handlers(SB), NOSPLIT, $0-32
	MOVD pipe+0(FP), R0
	MOVD R0, pipe<>(SB)
	MOVD golang+8(FP), R0
	MOVD R0, golang<>(SB)
	MOVD $plain<>(SB), R0
	MOVD R0, plain+16(FP)
	MOVD $fault<>(SB), R0
	MOVD R0, fault+24(FP)
	RET
