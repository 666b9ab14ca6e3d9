#include "textflag.h"
#include "entry.h"

#define SYS_prctl 157

// See entry.h for what it does to the stack.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	MOVL $PR_GET_TIMERSLACK, DI
	MOVL $SYS_prctl, AX
	SYSCALL
	MOVQ AX, ·slack(SB)
	TESTQ AX, AX
	JLE  keep // nobody could set it back
	MOVL $PR_SET_TIMERSLACK, DI
	MOVL $TEN_MS, SI
	MOVL $SYS_prctl, AX
	SYSCALL
keep:
	MOVQ (SP), CX
	ADDQ $2, CX
	MOVQ SP, SI
	SUBQ $16, SP
	MOVQ SP, DI
	CLD
	REP; MOVSQ
	MOVQ $one<>(SB), AX
	MOVQ AX, (DI)
	MOVQ AX, 8(DI)
	ADDQ $16, DI
	MOVQ DI, ·environment(SB)
	JMP  _rt0_amd64_linux(SB)
