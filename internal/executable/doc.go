// Package executable says why the kernel did not execute a file, where execve(2) has one
// errno for several reasons: ENOENT stands for a missing interpreter as well as for a
// missing file, ENOEXEC for another machine's program as well as for a text.
//
// It looks at the file afterwards, below a directory that stands for the root: what it
// says is about that tree, and it says nothing where it is not sure.
package executable
