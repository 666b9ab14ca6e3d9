#include "textflag.h"

#define SYS_write 1

// A handler gets the signal's number in DI and the address of its siginfo_t in SI. All
// registers are the kernel's to restore.

GLOBL pipe<>(SB), NOPTR, $8
GLOBL golang<>(SB), NOPTR, $8

TEXT plain<>(SB), NOSPLIT|NOFRAME, $0-0
	SUBQ $24, SP
	MOVB DIB, (SP)
	MOVQ pipe<>(SB), DI
	MOVQ SP, SI
	MOVL $1, DX
	MOVL $SYS_write, AX
	SYSCALL
	ADDQ $24, SP
	RET

TEXT fault<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVL 8(SI), AX // si_code: above 0 if it is the kernel's
	CMPL AX, $0
	JGT  own
	JMP  plain<>(SB)
own:
	MOVQ golang<>(SB), AX
	JMP  AX

TEXT ·handlers(SB), NOSPLIT, $0-32
	MOVQ pipe+0(FP), AX
	MOVQ AX, pipe<>(SB)
	MOVQ golang+8(FP), AX
	MOVQ AX, golang<>(SB)
	MOVQ $plain<>(SB), AX
	MOVQ AX, plain+16(FP)
	MOVQ $fault<>(SB), AX
	MOVQ AX, fault+24(FP)
	RET
