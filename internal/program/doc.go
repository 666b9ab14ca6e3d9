// Package program compiles and runs the first process of a container.
//
// A Program is a flat array of instructions: system calls whose arguments are
// constants, addresses of memory prepared beforehand, or registers that an
// earlier instruction filled, and a handful of control instructions. An
// [Assembler] builds it, [Program.Launch] clones a process that interprets it,
// and the process ends in execve or in a report of the instruction that failed.
//
// # Why the child needs no Go runtime
//
// clone3 without CLONE_VM gives the child a copy of one thread: the locks of
// the Go runtime may be held by threads that no longer exist, so nothing in the
// child may allocate, split its stack, take a lock or be preempted. The rules,
// the same as those of the standard library's forkAndExecInChild1:
//
//   - all memory is made before the fork: instructions, strings and structures
//     live in one arena, registers in the frame of the interpreting function;
//   - registers are uintptr, so that no store can enter the write barrier;
//   - the one function calls nothing but raw system calls, which are nosplit
//     assembly (a test disassembles it and holds it to this);
//   - all signals are blocked from before the fork until the Program itself
//     restores the mask, and CLONE_CLEAR_SIGHAND (Linux 5.5) has reset every
//     handler by then, so that no Go signal handler can run.
//
// # How the child speaks
//
// Parent and child share one page of memory and a socket pair. The page holds
// the index of the instruction begun last, the errno of a failure, the kernel's
// own words (read from the fs context when a mount fails) and values that the
// child publishes, such as descriptors for pidfd_getfd(2). It survives the child,
// so even a SIGKILL leaves its place behind. The socket carries the sync points:
// the child writes a token and waits for a byte; end-of-file, in either
// direction, means that the other side is gone.
//
// A socket can be given the page ([Assembler.ReportTo], [Meet]), for who lets a waiting
// child go on. Behind a seccomp filter the page is all the child has to speak by, as
// its calls may be forbidden, or an agent's to decide about; but for one message with
// the filter's listener, where that can be neither ([Assembler.Filter]).
//
// The page is written by the child, but for the state of a listener, and read as data that may be wrong:
// nothing in it is used as an index without a check.
package program
