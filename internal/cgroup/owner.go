package cgroup

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// DelegateFile lists the files that come with a delegated cgroup of version 2, one a
// line (cgroups(7), "Cgroups delegation: delegating a hierarchy to a less privileged user").
const DelegateFile = "/sys/kernel/cgroup/delegate"

// undelegated is the list for kernels that have none (before 4.15), by the specification
// (config-linux.md, "Cgroup ownership").
var undelegated = []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}

// Delegated returns the names of the files that a delegated cgroup is made of, as the
// kernel has them in [DelegateFile], or those of the specification where it has no such file.
func Delegated(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return slices.Clone(undelegated)
	}
	return slices.DeleteFunc(strings.Fields(string(text)), func(name string) bool { return strings.Contains(name, "/") })
}

// Give makes a user the owner of the version 2 directory and of these files in it, but
// for those that this cgroup does not have. The group stays. No limit of the cgroup
// itself can be changed with that, as long as none of its files is among them.
func (c *Cgroup) Give(uid int, files []string) error {
	d := c.unified()
	if d == nil {
		return nil
	}
	if err := unix.Fchownat(d.fd, "", uid, -1, unix.AT_EMPTY_PATH); err != nil {
		return pathError("fchownat", d.Path, err)
	}
	for _, name := range files {
		if err := unix.Fchownat(d.fd, name, uid, -1, unix.AT_SYMLINK_NOFOLLOW); err != nil && err != unix.ENOENT {
			return pathError("fchownat", d.Path+"/"+name, err)
		}
	}
	return nil
}
