#include "textflag.h"

#define SYS_prctl 157
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
