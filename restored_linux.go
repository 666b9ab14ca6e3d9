package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/netdev"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// restore carries out the plan of a restore: the runtime's steps before CRIU's, and what comes after
// one of CRIU's when it tells that it is done with it.
func (b *birth) restore(t *restoration, undo *undoStack) error {
	defer b.closeOpened()
	defer t.dirs.close()
	t.yard.dir = b.opt.stateDir
	p := b.restorePlan(t)
	next := 0
	// own does the runtime's steps up to the next of CRIU's.
	own := func() error {
		for ; next < len(p.Steps) && p.Steps[next].By == plan.Runtime; next++ {
			if err := b.do(&p.Steps[next], undo); err != nil {
				return err
			}
		}
		return nil
	}
	if err := own(); err != nil {
		return err
	}
	heed := func() error {
		if next == len(p.Steps)-1 {
			return nil // what comes now is for the container
		}
		return b.interrupted()
	}
	answer, err := t.converse(t.session, criu.Restore, heed, func(a *criu.Answer) error {
		if a.Notice == masterOpened {
			return t.keepMaster(a)
		}
		if p.Steps[next].Name != a.Notice {
			return nil
		}
		logDone(&p.Steps[next])
		next++
		if err := b.adopt(t, a.NoticePid); err != nil {
			return err
		}
		return own()
	})
	switch {
	case err != nil:
		return err
	case next != len(p.Steps)-1:
		return fmt.Errorf("criu has restored the processes without telling of %q", p.Steps[next].Name)
	case answer.Pid != b.child.Pid:
		return fmt.Errorf("criu restored process %d, but spoke of %d before", answer.Pid, b.child.Pid)
	}
	logDone(&p.Steps[next])
	t.session.Wait()
	return nil
}

// killTree kills what descends from a process that cannot run.
func killTree(first int) {
	_ = eachThread(first, func(t *thread) error {
		if t.pid != first {
			_ = unix.Kill(t.pid, unix.SIGKILL)
		}
		return nil
	})
}

// adopt makes a process that CRIU made the container's first.
func (b *birth) adopt(t *restoration, pid int) error {
	if b.child != t.session.Child || pid == 0 {
		return nil
	}
	child, err := program.Adopt(pid)
	if err != nil {
		return err
	}
	b.child = child
	if b.launched != nil {
		return b.launched()
	}
	return nil
}

// keepMaster keeps the master of one of the container's ptys.
func (t *restoration) keepMaster(a *criu.Answer) error {
	if a.Fd < 0 {
		return errors.New("the pty's master did not come along")
	}
	fd, err := unix.FcntlInt(uintptr(a.Fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	t.masters = append(t.masters, fd)
	return nil
}

// useMaster takes the one of the container's terminal, which was made before those of execs: it has
// the lowest number. The terminals of those hang up, as nobody has their masters any more.
func (b *birth) useMaster(t *restoration) error {
	console, lowest := -1, 0
	for _, fd := range t.masters {
		number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		if err != nil {
			return os.NewSyscallError("ioctl TIOCGPTN", err)
		}
		if console < 0 || number < lowest {
			console, lowest = fd, number
		}
	}
	for _, fd := range t.masters {
		if fd != console {
			unix.Close(fd)
		}
	}
	t.masters = nil
	if console < 0 {
		return nil // the processes have let go of it
	}
	if err := unix.SetNonblock(console, true); err != nil {
		unix.Close(console)
		return os.NewSyscallError("fcntl", err)
	}
	b.master = os.NewFile(uintptr(console), "pty")
	return b.sendConsole()
}

// shiftedByCriu says whether CRIU has put the container into a time namespace that the config
// does not know of, so that its clocks go on where they were.
func (b *birth) shiftedByCriu() (bool, error) {
	if b.ns.private(unix.CLONE_NEWTIME) {
		return false, nil
	}
	var own, its unix.Stat_t
	if err := unix.Stat("/proc/self/ns/time", &own); err != nil {
		return false, nil // the kernel has none
	}
	file := fmt.Sprintf("/proc/%d/ns/time", b.child.Pid)
	if err := unix.Stat(file, &its); err != nil {
		return false, &os.PathError{Op: "stat", Path: file, Err: err}
	}
	return own.Dev != its.Dev || own.Ino != its.Ino, nil
}

// loopbackUp are the steps that set up the loopback interface, which is CRIU's own nowhere: a network namespace
// is restored empty.
func (b *birth) loopbackUp() []plan.Step {
	if !b.ns.isNew(unix.CLONE_NEWNET) {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Runtime, Words: "bring the loopback interface up",
		Do: func() (func() error, error) { return nil, loopbackUp(b.child.Pidfd) },
	}}
}

// loopbackUp sets up the loopback interface of a process.
func loopbackUp(pidfd int) error {
	s, err := netdev.Of(pidfd)
	if err != nil {
		return err
	}
	defer s.Close()
	lo, err := s.ByName("lo")
	if err != nil {
		return err
	}
	return s.Up(lo.Index)
}
