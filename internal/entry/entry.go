package entry

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// processors is the variable that the entry sets.
const processors = "GOMAXPROCS"

// slack is the timer slack that the process was executed with, in nanoseconds, or what
// prctl(2) returned instead: a negative errno, and then it has not been changed. Zero if the
// process began elsewhere.
var slack int64

// Slack is the timer slack that the process was executed with, in nanoseconds; 0 if its
// threads still have that.
func Slack() uintptr { return uintptr(max(slack, 0)) }

// Begin is the first thing that main does: its thread gets the caller's timer slack, and the
// environment is again what the process was executed with.
func Begin() {
	Restore()
	restoreEnvironment()
}

// Restore gives the calling thread, and those that it makes, the timer slack that the process
// was executed with.
func Restore() {
	if s := Slack(); s != 0 {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, s, 0, 0, 0) // which cannot fail where reading it did not
	}
}

// AddProcessors lets n more goroutines run at a time. Whoever starts one that waits in
// system calls, and so keeps a processor until the monitor looks, adds one for it.
func AddProcessors(n int) { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n) }

// StartProcess is os.StartProcess on a thread that has the caller's timer slack, as
// processes inherit it.
func StartProcess(name string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	Restore()
	return os.StartProcess(name, argv, attr)
}
