package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/netdev"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// restoreProcesses lets CRIU work, and does the runtime's part when CRIU tells of it.
func (b *birth) restoreProcesses(t *restoration) (func() error, error) {
	undo := func() error {
		t.session.Close() // it traces what it restores, and would be asked first
		if b.child == t.session.Child {
			return nil
		}
		_ = b.child.Kill()
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
		return b.doAll(b.limitCgroup(), []plan.Step{b.settle()})
	case "status-ready":
		return t.statusReady()
	}
	return nil
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

// holdToConfig looks at what CRIU has mounted before any process of the container runs: a
// bind mount that the config has read-only must not have become writable, nor a masked or
// read-only path be bare.
func (b *birth) holdToConfig() error {
	seen, err := seeMounts(b.child.Pid)
	if err != nil {
		return err
	}
	defer unix.Close(seen.root)
	root := mounted{at: "/"}
	var st unix.Stat_t
	if err := unix.Fstat(seen.root, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	root.dev, root.ino = st.Dev, st.Ino
	if err := root.shows(b.rootfsFd, "/root/path"); err != nil {
		return err
	}
	for _, e := range b.externals() {
		if e.mask || e.source != nil && e.source() < 0 {
			continue
		}
		m, err := seen.place(&e)
		if err == nil && e.source != nil {
			err = m.shows(e.source(), e.field)
		}
		if err != nil {
			return err
		}
	}
	if err := b.keepsPrivileges(); err != nil {
		return err
	}
	l := b.spec.Linux
	if l == nil {
		return nil
	}
	covered := func(list []string, pointer string, must uint64) error {
		for i, p := range list {
			field := fmt.Sprintf("/linux/%s/%d", pointer, i)
			m, err := seen.find(path.Clean("/"+p), 0)
			switch {
			case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
				continue
			case err != nil:
				return fmt.Errorf("%s: %w", field, err)
			case m == nil:
				return fmt.Errorf("%s: %s is not covered in the restored container, as the config has it", field, p)
			}
			if err := m.has(must, field); err != nil {
				return err
			}
		}
		return nil
	}
	if err := covered(l.MaskedPaths, "maskedPaths", 0); err != nil {
		return err
	}
	return covered(l.ReadonlyPaths, "readonlyPaths", unix.MOUNT_ATTR_RDONLY)
}

// keepsPrivileges makes sure that no restored process can gain privileges that the config has
// taken from it for good.
func (b *birth) keepsPrivileges() error {
	if p := b.spec.Process; p == nil || !p.NoNewPrivileges {
		return nil
	}
	file := fmt.Sprintf("/proc/%d/status", b.child.Pid)
	text, err := rawfile.Read(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "\nNoNewPrivs:\t1\n") {
		return errors.New("/process/noNewPrivileges: criu has not restored it")
	}
	return nil
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
