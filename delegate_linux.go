package main

import (
	"fmt"
	"slices"

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
	user := b.spec.Process.User.UID
	uid := func() uint32 {
		if !b.inUsers() {
			return user
		}
		id, _ := outside(user, b.uids) // that it is mapped has been checked
		return id
	}
	words := fmt.Sprintf("give the cgroup to user %d of the container", user)
	if before {
		if uid() == uint32(b.host.euid) {
			return nil // whose it is already
		}
		words = fmt.Sprintf("give the cgroup to user %d, who is %d in the container", uid(), user)
	}
	return []plan.Step{{
		Field: "/process/user/uid", By: plan.Runtime, Words: words,
		Reason: "it has a cgroup namespace of its own and may write to its cgroup mount: it may divide what it has",
		Detail: "the directory, and the files in it that " + cgroup.DelegateFile + " lists",
		Shell: b.typed(func() []string {
			dir := plan.Quote(b.cgroups.dirs[0].Path)
			return []string{
				fmt.Sprintf("chown %d %s", uid(), dir),
				"for file in $(cat " + cgroup.DelegateFile + " || echo cgroup.procs cgroup.subtree_control cgroup.threads); do",
				fmt.Sprintf("\t[ ! -e %s/\"$file\" ] || chown %d %s/\"$file\"", dir, uid(), dir),
				"done",
			}
		}),
		Do: func() (func() error, error) {
			return nil, b.cgroup.Give(int(uid()), cgroup.Delegated(cgroup.DelegateFile))
		},
	}}
}
