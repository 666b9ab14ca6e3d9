package program

import (
	"os"

	"golang.org/x/sys/unix"
)

// Adopt makes a Child of a process that somebody else has made a child of the calling one
// (CLONE_PARENT). It has no Program: [Child.Kill], [Child.Reap] and [Child.Release] are for
// it, and no other method.
func Adopt(pid int) (*Child, error) {
	rep, err := newReport(false)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		rep.free()
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &Child{Pid: pid, Pidfd: fd, sync: -1, rep: rep}, nil
}
