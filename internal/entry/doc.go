// Package entry is where the process begins, before the Go runtime does. The Makefile
// names [the symbol] to the linker (-E); a program that is linked without it begins in the
// Go runtime, works all the same, and takes a fifth more CPU.
//
// The Go runtime is made for programs that live long and do many things at once. Two things
// that it settles before package main can say a word cost one that lives for milliseconds and
// does one thing at a time:
//
//   - It makes a processor for each CPU. To give the others up in main is to
//     give back, span by span, the memory that they began with: 115 page faults and 0.24 ms.
//     So its environment begins with GOMAXPROCS=1.
//   - Its monitor (sysmon) looks every 20 µs whether a system call has taken that
//     long, and gives the processor to another thread then. There is nothing to be
//     done by another thread: that one looks, finds nothing and goes to sleep, and the first
//     waits to be let back. The monitor sleeps by nanosleep(2), which may take longer by the
//     thread's timer slack. With one of 10 ms it looks as often as
//     it does by itself in a program that has long been idle.
//
// The slack is for the threads of the Go runtime. Main's own thread gets the caller's back at
// once, and whatever is executed or cloned does ([Restore], [StartProcess], [Slack]). Nor is
// GOMAXPROCS for anybody else: hooks inherit the environment ([Begin]).
//
// [the symbol]: entry_amd64.s
package entry
