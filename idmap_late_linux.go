package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// A bind mount whose source lies inside the rootfs shows what the mounts before it put
// there, so that init clones it when it is its turn; and when its owners are to be mapped,
// only the runtime may do that. So init sends the clone over, and waits.

// reserveSource makes the way by which the clone comes to the runtime, and the number that it
// has in init.
func (b *birth) reserveSource(m *mount) (err error) {
	if err := b.openMountSockets(); err != nil {
		return err
	}
	m.sourceFd, err = b.reserveFd()
	return err
}

// mapSource are the steps before such a mount: init clones the source, the runtime maps the
// owners in the clone.
func (b *birth) mapSource(m *mount) []plan.Step {
	if m.owners == nil || !m.opt.Bind || !m.leftToInit() {
		return nil
	}
	clone := plan.Step{
		Field: m.field() + "/source", By: plan.Init, Words: "clone the mounts at " + m.Source, Name: m.name(),
		Reason: "the mounts before this one may have put them there",
		Shell:  b.remark("mount --bind does it, below"),
		Assemble: func(a *program.Assembler) {
			tree := a.Reg()
			b.cloneSource(a, tree, m)
			a.Call(program.Discard, unix.SYS_DUP3, tree.Arg(), program.Const(m.sourceFd), program.Const(unix.O_CLOEXEC)).Note(m.Source)
			b.sendMount(a, m.sourceFd, m.Source)
			closeFd(a, tree)
		},
	}
	return []plan.Step{clone, b.mapStep(m, "init has no right to, in a user namespace, and sends the mount over", b.mapSent)}
}

// mapSent maps the owners in the clone that init has sent.
func (b *birth) mapSent(m *mount) error {
	tree, err := receiveFd(b.mountSockets[0], "the mount")
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	err = idmapMount(tree, m.owners.users, m.owners.recursive)
	if err == nil {
		return nil
	}
	if on := b.mountAbove(m); on != nil {
		return fmt.Errorf("the source lies in %s (%s), or has mounts below, that cannot be id-mapped: mount_setattr idmap: %w", on.field(), on.name(), err)
	}
	return notMappable(m, m.owners.users, err)
}

// mountAbove is the mount, made before m, that m's source lies in, or nil if that is the
// rootfs.
func (b *birth) mountAbove(m *mount) *mount {
	var above *mount
	for _, before := range b.mounts[:m.index] {
		if !before.opt.Remount && within(m.inRootfs, before.dest) {
			above = before
		}
	}
	return above
}

// openMountSockets makes the way by which init sends mounts to the runtime, once. It may have
// to hide: then a runtime without privileges can take nothing out of it (pidfd_getfd(2)).
func (b *birth) openMountSockets() error {
	if b.mountSockets[1] != 0 {
		return nil
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	b.mountSockets = pair
	b.opened = append(b.opened, pair[0], pair[1])
	return nil
}

// reserveFd takes a number for a descriptor of init's.
func (b *birth) reserveFd() (int, error) {
	fd, err := unix.FcntlInt(uintptr(b.rootfsFd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("fcntl F_DUPFD_CLOEXEC: %w", err)
	}
	b.opened = append(b.opened, fd)
	return fd, nil
}

// sendMount has init send a mount to the runtime.
func (b *birth) sendMount(a *program.Assembler, fd int, what string) {
	a.Call(program.Discard, unix.SYS_SENDMSG, program.Const(b.mountSockets[1]), rightsMessage(a, fd), program.Const(unix.MSG_NOSIGNAL)).Note(what)
}
