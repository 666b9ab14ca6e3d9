package main

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// ownUsers says whether the container gets a user namespace of its own.
func (b *birth) ownUsers() bool { return b.ns.isNew(unix.CLONE_NEWUSER) }

// inUsers says whether the container is in another user namespace than the runtime, be
// it a new one or one that it joins.
func (b *birth) inUsers() bool { return b.ns.private(unix.CLONE_NEWUSER) }

// mapUsers gives the ids of a new user namespace their meaning. The maps are written
// by the runtime, which has the rights to the ids outside (user_namespaces(7)).
func (b *birth) mapUsers() []plan.Step {
	if !b.ownUsers() {
		return nil
	}
	l := b.spec.Linux
	return []plan.Step{
		b.writeIDMap("/linux/uidMappings", "uid_map", l.UIDMappings),
		b.writeIDMap("/linux/gidMappings", "gid_map", l.GIDMappings),
	}
}

// becomeRoot makes the process root of its user namespace.
func (b *birth) becomeRoot() []plan.Step {
	if !b.inUsers() {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "become root of the user namespace",
		Reason:   "after the maps: before, no id inside means anything",
		Assemble: takeRoot,
	}}
}

// takeRoot takes id 0 of the user namespace that the process is in. A change of the
// effective user id makes a process traceable again, or as fs.suid_dumpable says
// (prctl(2), PR_SET_DUMPABLE); it stays forbidden, see hide.
func takeRoot(a *program.Assembler) {
	zero := program.Const(0)
	a.Call(program.Discard, unix.SYS_SETGROUPS, zero, zero).Note("none").Tolerate(unix.EPERM)
	a.Call(program.Discard, unix.SYS_SETRESGID, zero, zero, zero).Note("0")
	a.Call(program.Discard, unix.SYS_SETRESUID, zero, zero, zero).Note("0")
	a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_DUMPABLE), zero, zero, zero, zero).Note("PR_SET_DUMPABLE")
}

func (b *birth) writeIDMap(field, file string, maps []specs.LinuxIDMapping) plan.Step {
	var lines strings.Builder
	for _, m := range maps {
		fmt.Fprintf(&lines, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return plan.Step{
		Field: field, By: plan.Runtime, Words: "write " + file,
		Detail: strings.ReplaceAll(strings.TrimSpace(lines.String()), "\n", ", "),
		Do: func() (func() error, error) {
			return nil, writeOnce(fmt.Sprintf("/proc/%d/%s", b.child.Pid, file), lines.String())
		},
	}
}

// mapped checks that every id of the process means somebody: setresuid(2) would
// only say EINVAL. The mappings of a namespace that is joined are known later; see
// checkJoinedUsers.
func mapped(s *specs.Spec) []error {
	if !namespacesOf(s).isNew(unix.CLONE_NEWUSER) {
		return nil
	}
	return unmapped(s.Process, "/linux/uidMappings", s.Linux.UIDMappings, "/linux/gidMappings", s.Linux.GIDMappings)
}

// unmapped are the faults of a process with ids that mappings lack. The mappings have
// names for the messages.
func unmapped(p *specs.Process, users string, uids []specs.LinuxIDMapping, groups string, gids []specs.LinuxIDMapping) []error {
	if p == nil {
		return nil
	}
	var faults []error
	check := func(pointer string, id uint32, name string, maps []specs.LinuxIDMapping) {
		if _, ok := outside(id, maps); ok {
			return
		}
		var ranges []string
		for _, m := range maps {
			ranges = append(ranges, fmt.Sprintf("%d-%d", m.ContainerID, uint64(m.ContainerID)+uint64(m.Size)-1))
		}
		faults = append(faults, fmt.Errorf("%s: %d is not mapped: %s has %s", pointer, id, name, strings.Join(ranges, ", ")))
	}
	u := p.User
	check("/process/user/uid", u.UID, users, uids)
	check("/process/user/gid", u.GID, groups, gids)
	for i, gid := range u.AdditionalGids {
		check(fmt.Sprintf("/process/user/additionalGids/%d", i), gid, groups, gids)
	}
	return faults
}

// outside is the id outside of a user namespace that one inside stands for.
func outside(id uint32, maps []specs.LinuxIDMapping) (uint32, bool) {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + (id - m.ContainerID), true
		}
	}
	return 0, false
}

// borrowed is a device of the host that is bound into a container which may not
// make one: mknod(2) needs CAP_MKNOD in the initial user namespace.
type borrowed struct {
	field, file string
	fd          int
}

// borrowDevices opens the host's nodes while they can still be named.
func (b *birth) borrowDevices() []plan.Step {
	if !b.inUsers() || b.hostDev() || !b.ownMounts() {
		return nil
	}
	for _, d := range defaultDevices {
		b.borrowed = append(b.borrowed, &borrowed{"", "/dev/" + d.name, -1})
	}
	for i, d := range b.spec.Linux.Devices {
		if d.Type != "p" && !isDefaultDevice(d.Path) {
			b.borrowed = append(b.borrowed, &borrowed{fmt.Sprintf("/linux/devices/%d", i), d.Path, -1})
		}
	}
	return []plan.Step{{
		Field: "/linux/devices", By: plan.Runtime, Words: "open the host's devices",
		Reason: "in a user namespace no device can be made",
		Do: func() (func() error, error) {
			for _, d := range b.borrowed {
				fd, err := cloneTree(d.file, false, 0)
				if err != nil {
					return nil, err
				}
				b.opened = append(b.opened, fd)
				d.fd = fd
			}
			return nil, nil
		},
	}}
}

func isDefaultDevice(file string) bool {
	for _, d := range defaultDevices {
		if file == "/dev/"+d.name {
			return true
		}
	}
	return false
}

// bindDevices puts the borrowed devices where mknod would have made them.
func (b *birth) bindDevices() []plan.Step {
	var steps []plan.Step
	for _, d := range b.borrowed {
		steps = append(steps, plan.Step{
			Field: d.field, By: plan.Init, Words: "bind the host's " + d.file,
			Assemble: func(a *program.Assembler) {
				at := a.Reg()
				b.makeInRoot(a, at, d.file, false, unix.RESOLVE_NO_SYMLINKS)
				attachAt(a, program.Const(d.fd), at).Note(d.file)
				closeFd(a, at)
			},
		})
	}
	return steps
}
