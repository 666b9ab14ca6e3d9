package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// GuardEnv is the environment variable by which a process knows that it was
// started by [Reexec]. A second re-execution would be no better than the
// first, so such a process fails instead. [Ensure] takes it out of the
// environment; it reaches neither hooks nor containers.
const GuardEnv = "_OCI_MINI_SEALED"

// ErrInReach means that the binary can still be opened for writing after this
// process was re-executed from a copy that should have prevented that.
var ErrInReach = errors.New("the runtime binary is still writable after it was sealed")

// Ensure sees to it that c cannot overwrite the runtime's binary. It returns nil
// where that is so already. Where a forked child can swap its executable file it
// returns the [View] for that, which every child must use first of all. Where
// neither is so, the process is replaced by a sealed one ([Reexec]).
//
// It must be called before anything reads the environment for others, opens
// descriptors, or starts threads that matter. An error means that no container
// must be started from this process.
func Ensure(c Container) (*View, error) {
	v, err := Prepare(c)
	v.Dissolve()
	return v, err
}

// Prepare is [Ensure] for a caller that calls [View.Dissolve] by itself: at the latest before
// anything but the runtime itself can look into the child that uses the view.
func Prepare(c Container) (*View, error) { return ensure(c, OpenView) }

func ensure(c Container, openView func() (*View, error)) (*View, error) {
	again := TakeGuard()
	ok, reason, err := OutOfReach(c)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return nil, nil
	}
	if v, err := openView(); err == nil {
		return v, nil
	}
	if again {
		return nil, fmt.Errorf("%w: %s: %s", ErrInReach, self, reason)
	}
	return nil, Reexec(os.Args, os.Environ())
}

// TakeGuard tells whether this process was started by [Reexec], removes
// [GuardEnv] from the environment, and gives the process its name back: it was
// executed as /proc/self/fd/N, and so is called "N" in /proc/PID/comm. For
// commands that do not call [Ensure] but may be given such an environment.
func TakeGuard() bool {
	if _, ok := unix.Getenv(GuardEnv); !ok {
		return false
	}
	// It can only fail for a name with '=' or NUL.
	_ = unix.Unsetenv(GuardEnv)
	if len(os.Args) > 0 {
		// By file and not by prctl(PR_SET_NAME), which names the calling
		// thread: this need not be the first one. A wrong name does no harm.
		if fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			_, _ = unix.Write(fd, []byte(filepath.Base(os.Args[0])))
			unix.Close(fd)
		}
	}
	return true
}
