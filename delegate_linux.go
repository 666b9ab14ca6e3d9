package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/plan"
)

// delegates says whether the container's cgroup is to belong to its user, which may then
// make cgroups below it (config-linux.md, "Cgroup ownership"): on version 2, with a
// cgroup namespace of its own, and the file system mounted there read-write.
func (b *birth) delegates() bool {
	if b.cgroups == nil || b.cgroups.mode != cgroup.Unified || !b.ns.isNew(unix.CLONE_NEWCGROUP) || b.spec.Process == nil {
		return false
	}
	return slices.ContainsFunc(b.mounts, func(m *mount) bool {
		return m.dest == "/sys/fs/cgroup" && (m.Type == "cgroup" || m.Type == "cgroup2") && !m.opt.Bind &&
			(m.opt.AttrSet|m.opt.RecSet)&unix.MOUNT_ATTR_RDONLY == 0
	})
}

// delegateCgroup gives the cgroup to the id that the container's user is outside. Only
// the mappings of a user namespace that is joined have to be waited for; before says
// which of its two places the step is for.
func (b *birth) delegateCgroup(before bool) []plan.Step {
	if !b.delegates() || before == (b.usersByPath() >= 0) {
		return nil
	}
	words := fmt.Sprintf("give the cgroup to user %d of the container", b.spec.Process.User.UID)
	if before {
		if b.cgroupOwner() == b.host.euid || b.keepsCgroup() {
			return nil // whose it is already, or who keeps it
		}
		words = fmt.Sprintf("give the cgroup to user %d, who is %d in the container", b.cgroupOwner(), b.spec.Process.User.UID)
	}
	return []plan.Step{{
		Field: "/process/user/uid", By: plan.Runtime, Words: words,
		Reason: "it has a cgroup namespace of its own and may write to its cgroup mount: it may divide what it has",
		Detail: "the directory, and the files in it that " + cgroup.DelegateFile + " lists",
		Shell:  b.typed(func() []string { return shellGive(b.cgroupOwner(), b.cgroups.dirs[0].Path) }),
		Do: func() (func() error, error) {
			if b.keepsCgroup() {
				return nil, nil
			}
			return nil, b.cgroup.Give(b.cgroupOwner(), cgroup.Delegated(cgroup.DelegateFile))
		},
	}}
}

// cgroupOwner is the id that the container's user has outside.
func (b *birth) cgroupOwner() int {
	var user uint32
	if b.spec.Process != nil {
		user = b.spec.Process.User.UID
	}
	if !b.inUsers() {
		return int(user)
	}
	id, _ := outside(user, b.uids) // that it is mapped has been checked
	return int(id)
}

// keepsCgroup says whether a cgroup that is due to the container's user stays the caller's:
// a user without privileges can give nothing away (chown(2)), and could afterwards neither
// put a process into the cgroup nor remove what was made in it.
func (b *birth) keepsCgroup() bool {
	return !b.host.ids() && b.cgroupOwner() != b.host.euid
}

// subCgroup is the cgroup below the container's that the config asks for, as a path that
// begins there, or "".
func (b *birth) subCgroup() string {
	return strings.Trim(path.Clean("/"+b.spec.Annotations[annotationDelegate]), "/")
}

// checkSubCgroup refuses a cgroup for the container to manage that cannot be had, or be
// had safely: what a process may do with one of version 1 was never bounded (cgroups(7),
// "Cgroups delegation").
func (b *birth) checkSubCgroup() error {
	name := b.spec.Annotations[annotationDelegate]
	if name == "" || b.opt.pid != 0 { // an exec goes where the container is
		return nil
	}
	fault := func(format string, args ...any) error {
		return fmt.Errorf("/annotations/"+annotationDelegate+": "+format, args...)
	}
	switch {
	case slices.Contains(strings.Split(name, "/"), "..") || b.subCgroup() == "":
		return fault("must be a path below the container's cgroup, such as payload, is %q", name)
	case b.noCgroup != nil:
		return fault("the container has no cgroup: %w", b.noCgroup)
	case b.cgroups == nil:
		return fault("the container has no cgroup")
	case b.cgroups.mode != cgroup.Unified:
		return fault("takes a host with cgroup2 alone; a cgroup of version 1 cannot be given away safely")
	}
	return nil
}

// enterSubCgroup makes the cgroup that the container's process manages by itself. Its
// limits are those of the container's cgroup, which stays the runtime's.
func (b *birth) enterSubCgroup() []plan.Step {
	name := b.subCgroup()
	if name == "" {
		return nil
	}
	return []plan.Step{{
		Field: "/annotations/" + annotationDelegate, By: plan.Runtime, Name: name,
		Words:  fmt.Sprintf("make the cgroup %s below the container's, move the process there, and give it to the container's user", name),
		Reason: "no earlier: the root of the cgroup namespace is the container's cgroup; no later: the limits stay above it",
		Detail: "the container's cgroup passes on all controllers that it has",
		Shell:  b.typed(func() []string { return b.shellEnterSub(name) }),
		Do: func() (func() error, error) {
			if b.keepsCgroup() {
				return nil, fmt.Errorf("a user without privileges cannot give a cgroup to user %d outside, who is the container's: %w", b.cgroupOwner(), unix.EPERM)
			}
			sub, err := b.cgroup.Below(name)
			if err != nil {
				return nil, err
			}
			b.entered = sub
			if err := sub.Join(b.child.Pid); err != nil {
				return nil, err
			}
			if err := b.cgroup.PassOn(name); err != nil {
				return nil, err
			}
			if b.cgroupOwner() == b.host.euid || b.keepsCgroup() {
				return nil, nil // whose it is already, or who keeps it
			}
			return nil, sub.Give(b.cgroupOwner(), cgroup.Delegated(cgroup.DelegateFile))
		},
	}}
}

// home is the version 2 directory that the container's processes are born in, or -1.
func (b *birth) home() int {
	if b.entered != nil {
		return b.entered.UnifiedFd()
	}
	return b.cgroup.UnifiedFd()
}
