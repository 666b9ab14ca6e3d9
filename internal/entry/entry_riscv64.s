#include "textflag.h"

#define SYS_prctl 167
#define PR_SET_TIMERSLACK 29
#define PR_GET_TIMERSLACK 30
#define TEN_MS 10000000

DATA one<>+0(SB)/8, $"GOMAXPRO"
DATA one<>+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL one<>(SB), RODATA|NOPTR, $16

// The stack holds the number of arguments, their addresses, a zero, those of the environment,
// a zero, and more. All up to the first zero moves down by two words, which keeps the stack
// aligned, and both become the address of "GOMAXPROCS=1". What follows them is the caller's environment.
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
