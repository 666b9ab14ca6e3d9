package main

import (
	"errors"
	"os"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
)

// A process in a mount namespace that another user namespace owns has no rights over it. But
// with CAP_SYS_ADMIN in its own user namespace it may copy it (unshare(2)), the copy belongs
// to its own, and with CAP_SYS_CHROOT too it may enter that (setns(2)), which changes its root
// directory to the copy of the owner's. Neither asks whether it is in a chroot. Without a user
// namespace of its own who has both has the rights of the owner anyway.

// leaving are the capabilities that it takes.
const leaving = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_CHROOT

// errLeaves refuses them.
var errLeaves = errors.New("/process/capabilities: CAP_SYS_ADMIN and CAP_SYS_CHROOT together lead from the container's root directory to all mounts of the mount namespace that it joins where another user namespace owns that; leave one of them out of all sets, or join no mount namespace")

// mayLeave says whether a process has both, or may come by them: the bounding set is what
// an execve gives root.
func mayLeave(c *capabilities) bool {
	return c != nil && (c.bounding|c.permitted|c.inheritable)&leaving == leaving
}

// leaves says whether the process would have them where it must not, as far as the config
// shows. An exec may have them if the first process may: checkOwner has let that pass. Where
// that is now shows nothing, as it may be in a copy of its own making.
func (b *birth) leaves() bool {
	return b.inUsers() && mayLeave(b.caps) && (b.ownUsers() || b.opt.firstStays)
}

// checkOwner refuses them where the user namespace exists, unless the mount namespace is its
// own.
func (b *birth) checkOwner() []plan.Step {
	if b.mountsByPath() < 0 || !b.inUsers() || b.ownUsers() || !mayLeave(b.caps) {
		return nil
	}
	return []plan.Step{{
		Field: b.mountsField(), By: plan.Runtime, Words: "make sure that the mount namespace belongs to the container's user namespace",
		Reason: "CAP_SYS_ADMIN and CAP_SYS_CHROOT would lead to all mounts of another owner's",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Do: func() (func() error, error) {
			owner, err := unix.IoctlRetInt(b.nsFds[b.mountsByPath()], unix.NS_GET_USERNS)
			if err != nil {
				return nil, os.NewSyscallError("ioctl NS_GET_USERNS", err)
			}
			defer unix.Close(owner)
			users := slices.IndexFunc(b.ns.list, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace })
			var its, own unix.Stat_t
			if err := errors.Join(unix.Fstat(owner, &its), unix.Fstat(b.nsFds[users], &own)); err != nil {
				return nil, os.NewSyscallError("fstat", err)
			}
			if its.Dev != own.Dev || its.Ino != own.Ino {
				return nil, errLeaves
			}
			return nil, nil
		},
	}}
}
