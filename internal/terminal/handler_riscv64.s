#include "textflag.h"

#define SYS_write 64

// A handler gets the signal's number in A0 and the address of its siginfo_t in A1, and
// returns to RA. All registers are the kernel's to restore.

GLOBL pipe<>(SB), NOPTR, $8
GLOBL golang<>(SB), NOPTR, $8

TEXT plain<>(SB), NOSPLIT|NOFRAME, $0-0
	ADD  $-16, X2
	MOVB A0, (X2)
	MOV  pipe<>(SB), A0
	MOV  X2, A1
	MOV  $1, A2
	MOV  $SYS_write, A7
	ECALL
	ADD  $16, X2
	RET

TEXT fault<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVW 8(A1), T0 // si_code: above 0 if it is the kernel's
	BGT  T0, ZERO, own
	JMP  plain<>(SB)
own:
	MOV  golang<>(SB), T0
	JMP  (T0)

TEXT ·handlers(SB), NOSPLIT, $0-32
	MOV pipe+0(FP), A0
	MOV A0, pipe<>(SB)
	MOV golang+8(FP), A0
	MOV A0, golang<>(SB)
	MOV $plain<>(SB), A0
	MOV A0, plain+16(FP)
	MOV $fault<>(SB), A0
	MOV A0, fault+24(FP)
	RET
