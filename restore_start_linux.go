package main

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// enterAsCriu is what the process does that becomes CRIU once it is in the container's
// cgroup: what a restored process has of its caller it has of this one.
func (b *birth) enterAsCriu(a *program.Assembler, t *restoration) {
	if b.ns.isNew(unix.CLONE_NEWCGROUP) && t.ManageCgroups.Name == cgroupsIgnored {
		// A CRIU that does not look after cgroups makes no such namespace, and mounts the
		// host's hierarchy where the container had a part of it.
		a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWCGROUP)).Note("CLONE_NEWCGROUP")
	}
	for _, s := range b.keyring() {
		s.Assemble(a)
	}
	if p := b.spec.Process; p != nil && p.NoNewPrivileges {
		// CRIU restores it only since a version after 3.17. What it makes has it of this process;
		// every process of the container had it, since its first executed anything.
		a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_NO_NEW_PRIVS), program.Const(1), program.Const(0), program.Const(0), program.Const(0)).
			Note("PR_SET_NO_NEW_PRIVS")
	}
}

// startCriu is the step that starts CRIU, which waits until it is in the container's cgroup.
func (b *birth) startCriu(t *restoration) plan.Step {
	detail := t.said
	if t.settingsFile != "" {
		detail = strings.TrimSpace(detail + ", settings of " + t.settingsFile)
	}
	return plan.Step{
		By: plan.Runtime, Words: "start criu in the container's cgroup and a mount namespace of its own", Detail: strings.TrimPrefix(detail, ", "),
		Reason: "what CRIU makes is born in the one, and the other keeps its mounts from the host",
		Do:     func() (func() error, error) { return b.launchCriu(t) },
	}
}

// launchCriu makes its process. What is undone of it is all that CRIU has made by then.
func (b *birth) launchCriu(t *restoration) (func() error, error) {
	defer t.yard.close()
	var keep []int
	for _, fd := range t.InheritFds {
		keep = append(keep, fd.Fd)
	}
	settings, err := t.giveSettings()
	if err != nil {
		return nil, err
	}
	if settings >= 0 {
		b.opened = append(b.opened, settings)
		keep = append(keep, settings)
	}
	opt := program.Options{Flags: unix.CLONE_NEWNS, CgroupFd: -1}
	if b.cgroup != nil {
		opt.CgroupFd = b.cgroup.UnifiedFd()
		if b.cgroup.HasV1() {
			opt.Prepare, opt.Restore = b.prepareThread, b.restoreThread
		}
	}
	t.session, err = (&criu.Start{Program: t.file, Options: opt, Keep: keep, Before: t.yard.fill, After: func(a *program.Assembler) { b.enterAsCriu(a, t) }}).New()
	if err != nil {
		return nil, err
	}
	b.child = t.session.Child // whom the unit and the resctrl group get; the container's processes inherit both
	return func() error { return errors.Join(b.endRestored(t), b.emptyCgroup()) }, nil
}

// endRestored ends CRIU and what it has made.
func (b *birth) endRestored(t *restoration) error {
	for _, fd := range t.masters {
		unix.Close(fd)
	}
	defer t.removeRoots()
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

// removeRoots removes the directory below which CRIU has put the mounts together in its own mount
// namespace, which it leaves behind where it fails early.
func (t *restoration) removeRoots() {
	if dir := criu.Roots(t.logPath()); dir != "" {
		_ = unix.Rmdir(dir)
	}
}

// emptyCgroup ends what CRIU and its helpers have left in the cgroup, and waits until they are
// gone: a cgroup in which something is dying is not removed.
func (b *birth) emptyCgroup() error {
	if b.cgroup == nil {
		return nil
	}
	const every = 5 * time.Millisecond
	err := b.cgroup.Kill()
	for range deathTimeout / every {
		if pids, perr := b.cgroup.Pids(true); perr != nil || len(pids) == 0 {
			break
		}
		time.Sleep(every)
	}
	return err
}
