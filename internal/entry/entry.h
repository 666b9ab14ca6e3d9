// What the entries of all architectures have: see doc.go.

#define PR_SET_TIMERSLACK 29
#define PR_GET_TIMERSLACK 30
#define TEN_MS 10000000

DATA one<>+0(SB)/8, $"GOMAXPRO"
DATA one<>+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL one<>(SB), RODATA|NOPTR, $16

// The stack holds the number of arguments, their addresses, a zero, those of the environment,
// a zero, and more. All up to the first zero moves down by two words, which keeps the stack
// aligned, and both become the address of "GOMAXPROCS=1". What follows them is the caller's environment.
