// Package seccomp compiles the profile of a config (linux.seccomp) to the filter
// that the kernel runs at every system call (seccomp(2)), and says what it does.
//
// # What a profile means
//
// The meaning is that which runc and crun give it through libseccomp:
//
//   - An entry of syscalls whose answer (action and number) is the default one is
//     left out. It does not shadow other entries of the call.
//   - An entry without conditions decides, wherever it stands; the first of several.
//     A condition with a mask of 0 always holds, and is no condition.
//   - Of entries with conditions, one whose conditions are all met decides. If there is
//     none, the default is the answer. If there are several, see below.
//   - An entry that compares one argument more than once is as many entries, with
//     one of the conditions each.
//   - A condition compares all 64 bits of an argument, as numbers without sign. On
//     architectures of 32 bits, and on x32 and n32, it compares the lower 32 bits of
//     argument and value.
//   - maskedEqual compares the bits of the argument and of valueTwo that are set in
//     value.
//   - A number that ERRNO or TRACE does not give is EPERM.
//   - The native architecture is always covered. A call of one that is not covered
//     ends its thread.
//   - A name that no architecture has is ignored, and reported ([Filter.Unknown]).
//
// # Entries that overlap
//
// Of several entries of a call whose conditions are met, libseccomp does not take the
// first, but the one that its tree of comparisons reaches first. That comes to an order
// of the entries, which is the order here (order.go). Conditions count by the index of
// their argument. Where two entries first differ:
//
//   - The one that compares an argument with a higher index comes first.
//   - Of two that compare the same argument, ==, != and masks come before < and <=, and
//     those before > and >=.
//   - Among < and <=, the smaller value comes first, and elsewhere the greater one. A mask's
//     value is what is to be found under it. Values are compared half by half: if the
//     upper halves differ, they decide.
//   - If a half has the same value, but is compared by another mask, or the lower one with
//     < and <= (or > and >=), the one that the profile has first comes first, and
//     with it all entries that begin like it.
//   - One whose conditions are the beginning of the other's comes first, as one without
//     conditions does.
//
// What the rules of one answer have among themselves makes no difference. Two entries
// with the same conditions and different answers contradict each other: that is an
// error, as for libseccomp. It also refuses an entry whose conditions are the beginning of
// those of an earlier one with another answer, but takes the two the other way round; here
// their order does not matter.
//
// In some corners the program that libseccomp makes (2.5.4 to 2.6.1) is not what the
// rules say: it gives the answer of an entry that is not met, loses one, or takes
// one order for some values and another for others. corners in overlap_test.go lists
// them, each with its smallest example. The order above holds in them as well.
//
// # Calls that are newer than the profile
//
// A call whose number is greater than those of all calls that the profile names on
// its architecture gets ENOSYS instead of the default answer, unless that is to
// allow, to log, or to ask a tracer. Programs try a new call and fall back to an
// older one if the kernel says that there is none; EPERM would make them fail. An
// entry that says what the default does counts as naming the call, so a profile can
// tell that it knows a call and refuses it.
//
// The rule is runc's, with three refinements. The private calls of ARM and the
// closed block of x32 (512 to 547) are apart: naming one of them does not make the
// profile newer, and they always get the default. On s390 and s390x, number 0 is how
// the kernel shows a number that it does not know, so that it gets ENOSYS. ENOSYS is
// the number that the architecture has for it: 89 on MIPS, 251 on PA-RISC. And an
// architecture on which the profile names no call has the default for all.
//
// # Multiplexed calls
//
// On i386 and others, socketcall(2) and ipc(2) do what other calls do. An entry for
// such a call is one for its form through the multiplexer too. If the answer to the
// call depends on its arguments, which a filter cannot see there, that form gets the
// strictest of the possible answers. (libseccomp 2.5.4 was seen to give it the answer
// of a condition without testing it.) What the profile says of the multiplexer itself comes
// first. To name a call is to name its multiplexer.
//
// # The program
//
//	load arch; load number; search; conditions; answer
//
// The search is a tree over ranges of numbers with the same answer, in which the calls
// that programs make most are nearest to the root (tree.go). The kernel (Linux 5.11)
// remembers which calls are allowed whatever their arguments are, and does not run the
// filter for them, as long as nothing but the number is looked at; so the search uses
// comparisons alone. Constant answers stand last.
//
// The program is written from its end to its start (emit.go), which makes every
// distance known when it is needed, a jump over more than 255 instructions an
// ordinary case, and the merging of identical tails a look-up. A last pass proves
// that every path ends in an answer (check.go).
//
// [Filter.Judge] executes a program, and reads the profile a second time by an
// interpreter that shares no code with the compiler. The tests hold one to the other,
// and both to libseccomp.
package seccomp
