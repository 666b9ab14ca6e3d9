#include "textflag.h"
#include "entry.h"

#define SYS_prctl 167

// See entry.h for what it does to the stack.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $PR_GET_TIMERSLACK, R0
	MOVD $SYS_prctl, R8
	SVC
	MOVD R0, ·slack(SB)
	CMP  $0, R0
	BLE  keep // nobody could set it back
	MOVD $PR_SET_TIMERSLACK, R0
	MOVD $TEN_MS, R1
	MOVD $SYS_prctl, R8
	SVC
keep:
	MOVD (RSP), R1
	ADD  $2, R1
	MOVD RSP, R2
	SUB  $16, RSP
	MOVD RSP, R3
more:
	MOVD.P 8(R2), R4
	MOVD.P R4, 8(R3)
	SUB  $1, R1
	CBNZ R1, more
	MOVD $one<>(SB), R4
	MOVD R4, (R3)
	MOVD R4, 8(R3)
	ADD  $16, R3
	MOVD R3, ·environment(SB)
	JMP  _rt0_arm64_linux(SB)
