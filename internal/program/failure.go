package program

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Failure is a Program that did not reach its end.
type Failure struct {
	Origin
	Index    int           // of the instruction
	Errno    syscall.Errno // of the call, zero if the child was killed
	Message  string        // the kernel's own words, if it had any
	Killed   bool          // the child died in the middle
	BySignal bool          // by signal Status, else it exited with Status
	Status   int
}

// Error says what the failed call was; the caller adds the step's words.
func (f *Failure) Error() string {
	what := SyscallName(f.Nr)
	if f.Note != "" {
		if what != "" {
			what += " "
		}
		what += f.Note
	}
	if what != "" {
		what += ": "
	}
	switch {
	case f.Killed && f.BySignal:
		return what + "the container's first process was killed by signal " + strconv.Itoa(f.Status) +
			inParens(unix.SignalName(unix.Signal(f.Status)))
	case f.Killed:
		return what + "the container's first process ended with status " + strconv.Itoa(f.Status)
	case f.Message != "":
		return what + f.Message + inParens(unix.ErrnoName(f.Errno))
	}
	return what + f.Errno.Error() + inParens(unix.ErrnoName(f.Errno))
}

// inParens is the name behind a blank, or nothing for a number without a name,
// such as a real-time signal's.
func inParens(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// Unwrap returns the errno, so that errors.Is works on it.
func (f *Failure) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}
