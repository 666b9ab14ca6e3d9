package process

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Wait waits until the process of the pidfd has ended, at most for timeout; a
// negative one is for ever, and 0 only looks. A process that ended counts as
// dead whether or not its parent has waited for it.
func Wait(pidfd int, timeout time.Duration) (dead bool, err error) {
	var end time.Time
	if timeout >= 0 {
		end = time.Now().Add(timeout)
	}
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		var left *unix.Timespec
		if timeout >= 0 {
			ts := unix.NsecToTimespec(int64(timeout))
			left = &ts
		}
		n, err := unix.Ppoll(fds, left, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			if timeout >= 0 {
				timeout = max(time.Until(end), 0)
			}
			continue
		case err != nil:
			return false, os.NewSyscallError("ppoll", err)
		case n > 0 && fds[0].Revents&unix.POLLNVAL != 0:
			return false, os.NewSyscallError("ppoll", unix.EBADF)
		}
		return n > 0, nil
	}
}
