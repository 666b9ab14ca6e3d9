package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// cldExited is CLD_EXITED: si_status is an exit code, and not a signal.
const cldExited = 1

// childInfo is the part of siginfo_t that waitid fills (sigaction(2)), as it is
// on all 64-bit architectures but mips.
type childInfo struct {
	signo, errno, code, _ int32
	pid                   int32
	uid                   uint32
	status                int32
}

// waitid is waitid(P_PIDFD, WEXITED).
func waitid(pidfd int) (code int, err error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED, nil); err != nil {
		return 0, err
	}
	child := (*childInfo)(unsafe.Pointer(&info))
	if child.code == cldExited {
		return int(child.status), nil
	}
	return 128 + int(child.status), nil
}
