package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetSubreaper makes the calling process the one that orphans among its
// descendants fall to, instead of init (PR_SET_CHILD_SUBREAPER, kernel 3.4). It
// is then up to [WaitReaping] to collect them.
func SetSubreaper() error {
	return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// WaitReaping waits for the child pid to end and returns its status, which it
// collects, together with every other child that ends meanwhile. So orphans of a
// subreaper do not pile up, and no SIGCHLD is needed.
//
// It takes the status of *any* child. While it runs nobody else in this process
// may wait for one: no os/exec, so hooks are run before or after.
//
// The error is ECHILD if pid is no child of this process, or was waited for.
func WaitReaping(pid int) (unix.WaitStatus, error) {
	status, _, err := reap(pid, 0)
	return status, err
}

// reap collects children until pid is among them; with WNOHANG, those that have ended.
func reap(pid, options int) (status unix.WaitStatus, ended bool, err error) {
	for {
		// __WALL: a child may have been cloned without SIGCHLD as exit signal.
		got, err := unix.Wait4(-1, &status, unix.WALL|options, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, false, os.NewSyscallError("wait4", err)
		case got == pid:
			return status, true, nil
		case got == 0:
			return 0, false, nil
		}
	}
}
