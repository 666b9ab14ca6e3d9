package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/netdev"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// restoreProcesses lets CRIU work, and does the runtime's part when CRIU tells of it.
func (b *birth) restoreProcesses(t *restoration) (func() error, error) {
	undo := func() error {
		if b.child == t.session.Child {
			t.session.Close()
			return nil
		}
		// What CRIU traces goes on when CRIU ends, so it is killed before; and what it traces
		// nobody else can wait for, so it ends before that.
		killTree(b.child.Pid)
		_ = b.child.Kill()
		t.session.Close()
		_, err := b.child.Reap()
		b.child.Release()
		return err
	}
	answer, err := t.converse(t.session, criu.Restore, b.interrupted, func(a *criu.Answer) error { return b.heedCriu(t, a) })
	if err != nil {
		return undo, err
	}
	t.session.Wait()
	if answer.Pid != b.child.Pid {
		return undo, fmt.Errorf("criu restored process %d, but spoke of %d before", answer.Pid, b.child.Pid)
	}
	if !t.held {
		return undo, errors.New("criu has not told when its processes had the privileges that they run with")
	}
	return undo, nil
}

// heedCriu does what is due when CRIU tells of something.
func (b *birth) heedCriu(t *restoration, a *criu.Answer) error {
	switch a.Notice {
	case "setup-namespaces": // they are there, and nothing is in them yet
		if err := b.adopt(t, a.NoticePid); err != nil {
			return err
		}
		return b.doAll(b.loopbackUp(), b.runtimeHooks(), b.moveNetDevices())
	case "orphan-pts-master":
		return b.takeOrphan(a)
	case "post-restore": // all processes are there, and none of them runs yet
		if err := b.adopt(t, a.NoticePid); err != nil {
			return err
		}
		if err := b.holdToConfig(); err != nil {
			return err
		}
		time, err := b.shiftedByCriu()
		if err != nil {
			return err
		}
		b.dir.Record.CriuTime = time
		if t.root, err = rootMountOf(b.child.Pid); err != nil {
			return err
		}
		return b.doAll(b.limitCgroup(), []plan.Step{b.settle()})
	case "pre-resume": // they have their credentials and filters too, and do not run yet
		if err := b.holdPrivileges(b.child.Pid); err != nil {
			return err
		}
		t.held = true
	case "status-ready":
		return t.statusReady()
	}
	return nil
}

// killTree kills what descends from a process that cannot run.
func killTree(first int) {
	_ = eachThread(first, func(pid, _ int, _ string) error {
		if pid != first {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return nil
	})
}

// adopt makes a process that CRIU made the container's first.
func (b *birth) adopt(t *restoration, pid int) (err error) {
	if b.child != t.session.Child {
		return nil
	}
	child, err := program.Adopt(pid)
	if err == nil {
		b.child = child
	}
	return err
}

// doAll does steps of the runtime, and leaves what they would have undone to the end of the
// container's namespaces.
func (b *birth) doAll(lists ...[]plan.Step) error {
	for _, s := range slices.Concat(lists...) {
		if err := b.interrupted(); err != nil {
			return err
		}
		if back, err := s.Do(); err != nil {
			if back != nil {
				err = withCleanup(err, back())
			}
			return stepError(&s, err)
		}
	}
	return nil
}

// takeOrphan takes the master of the container's pty.
func (b *birth) takeOrphan(a *criu.Answer) error {
	if a.Fd < 0 {
		return errors.New("the pty's master did not come along")
	}
	if !b.hasTerminal() || b.master != nil {
		return nil
	}
	fd, err := unix.FcntlInt(uintptr(a.Fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	b.master = os.NewFile(uintptr(fd), "pty")
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
