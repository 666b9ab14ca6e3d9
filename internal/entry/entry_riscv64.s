#include "textflag.h"
#include "entry.h"

#define SYS_prctl 167

// See entry.h for what it does to the stack.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	MOV $PR_GET_TIMERSLACK, A0
	MOV $SYS_prctl, A7
	ECALL
	MOV A0, ·slack(SB)
	BGE ZERO, A0, keep // nobody could set it back
	MOV $PR_SET_TIMERSLACK, A0
	MOV $TEN_MS, A1
	MOV $SYS_prctl, A7
	ECALL
keep:
	MOV (X2), T0
	ADD $2, T0
	MOV X2, T1
	ADD $-16, X2
	MOV X2, T2
more:
	MOV (T1), T3
	MOV T3, (T2)
	ADD $8, T1
	ADD $8, T2
	ADD $-1, T0
	BNE T0, ZERO, more
	MOV $one<>(SB), T3
	MOV T3, (T2)
	MOV T3, 8(T2)
	ADD $16, T2
	MOV T2, ·environment(SB)
	JMP _rt0_riscv64_linux(SB)
