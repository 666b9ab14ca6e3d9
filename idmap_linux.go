package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/idmap"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// owners is how the owners of files are mapped in one mount (config.md, "Mounts",
// uidMappings and the option idmap). A mapping's containerID is an id in the file
// system, its hostID the one outside of the container that it shows as.
type owners struct {
	recursive bool
	// uids and gids are the mount's own mappings. Without, they are those of the
	// container's user namespace.
	uids, gids []specs.LinuxIDMapping
	// relative are ranges of the option whose second id is one of the container's
	// (crun's `@`).
	relativeUIDs, relativeGIDs []specs.LinuxIDMapping
	users                      int // the user namespace with these mappings, or -1
}

// ownersOf reads what a mount says of them, and reports what it cannot have.
func ownersOf(s *specs.Spec, m *mount) (*owners, error) {
	if m.opt.IDMap == mountopt.NoIDMap && len(m.UIDMappings) == 0 {
		return nil, nil
	}
	o := &owners{recursive: m.opt.IDMap == mountopt.IDMapTree, uids: m.UIDMappings, gids: m.GIDMappings, users: -1}
	if len(m.opt.UIDs) > 0 {
		o.uids, o.relativeUIDs = splitRanges(m.opt.UIDs)
		o.gids, o.relativeGIDs = splitRanges(m.opt.GIDs)
	}
	inUsers := namespacesOf(s).private(unix.CLONE_NEWUSER)
	switch field := m.field() + "/options: idmap: "; {
	case m.opt.Remount:
		return nil, fmt.Errorf("%sowners can be mapped only in a mount that is being made, not in a remount", field)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return nil, fmt.Errorf("%sa %s cannot be id-mapped", field, m.Type)
	case !m.opt.Bind && inUsers:
		return nil, fmt.Errorf("%sin a user namespace only a bind mount can be id-mapped: a new file system has the ids of the namespace already", field)
	case o.relative() && !inUsers:
		return nil, fmt.Errorf("%sa range with @ counts from the container's user namespace, and there is none in /linux/namespaces", field)
	case o.implied() && !inUsers:
		return nil, fmt.Errorf("%sneeds uidMappings and gidMappings, or a user namespace in /linux/namespaces whose mappings it takes", field)
	}
	return o, nil
}

func (o *owners) relative() bool { return len(o.relativeUIDs)+len(o.relativeGIDs) > 0 }

// implied says whether the mappings are those of the container's user namespace.
func (o *owners) implied() bool { return len(o.uids)+len(o.gids) == 0 && !o.relative() }

// words say what the mappings are.
func (o *owners) words() string {
	if o.implied() {
		return "as the container's user namespace does"
	}
	list := func(absolute, relative []specs.LinuxIDMapping) string {
		var parts []string
		if len(absolute) > 0 {
			parts = append(parts, mappingText(absolute))
		}
		if len(relative) > 0 {
			parts = append(parts, mappingText(relative)+" of the container")
		}
		return strings.Join(parts, ", ")
	}
	return "uids " + list(o.uids, o.relativeUIDs) + "; gids " + list(o.gids, o.relativeGIDs)
}

// splitRanges sorts the ranges of the option by what their second id is.
func splitRanges(ranges []mountopt.IDRange) (absolute, relative []specs.LinuxIDMapping) {
	for _, r := range ranges {
		m := specs.LinuxIDMapping{ContainerID: r.Inside, HostID: r.Outside, Size: r.Size}
		if r.Relative {
			relative = append(relative, m)
		} else {
			absolute = append(absolute, m)
		}
	}
	return absolute, relative
}

// through translates the second ids of ranges by the container's mappings, range by
// range: one may go over several of them.
func through(ranges, container []specs.LinuxIDMapping) ([]specs.LinuxIDMapping, error) {
	var list []specs.LinuxIDMapping
	for _, r := range ranges {
		for r.Size > 0 {
			piece := r
			for _, c := range container {
				if r.HostID >= c.ContainerID && r.HostID-c.ContainerID < c.Size {
					in := r.HostID - c.ContainerID
					piece.HostID, piece.Size = c.HostID+in, min(r.Size, c.Size-in)
					break
				}
			}
			if _, ok := outside(r.HostID, container); !ok {
				return nil, fmt.Errorf("id %d of the container is not mapped in its user namespace, which has %s", r.HostID, mappingText(container))
			}
			list = append(list, piece)
			r.ContainerID, r.HostID, r.Size = r.ContainerID+piece.Size, r.HostID+piece.Size, r.Size-piece.Size
		}
	}
	return list, nil
}

// mapOwners are the runtime's steps for mounts whose owners are mapped. Only it may do
// that: the right is one over the file system, which no user namespace of a container
// gives (mount_setattr(2), MOUNT_ATTR_IDMAP). before says that they stand before the
// clone: where the container's own mappings are not needed, so that it need not wait.
func (b *birth) mapOwners(before bool) []plan.Step {
	var steps []plan.Step
	for _, m := range b.mounts {
		if m.owners == nil || before == b.inUsers() {
			continue
		}
		if m.leftToInit() {
			steps = append(steps, plan.Step{
				Field: m.field(), By: plan.Runtime, Words: "have a user namespace for the mount on " + m.dest, Name: m.name(), Detail: m.owners.words(),
				Shell: b.remark("not in this script"),
				Do: func() (_ func() error, err error) {
					m.owners.users, err = b.usersOf(m.owners)
					return nil, err
				},
			})
			continue
		}
		steps = append(steps, b.mapStep(m, "init has no right to, in a user namespace; and the mount is not attached yet", b.mapOwnersOf))
	}
	return steps
}

// mapStep is the runtime's step that maps the owners in a mount.
func (b *birth) mapStep(m *mount, reason string, do func(*mount) error) plan.Step {
	all := ""
	if m.owners.recursive {
		all = " and of all below"
	}
	return plan.Step{
		Field: m.field(), By: plan.Runtime, Words: "map the owners in the mount on " + m.dest + all, Name: m.name(), Detail: m.owners.words(),
		Reason: reason,
		Shell: b.typed(func() []string {
			return []string{"echo 'not in this script: mapped owners on '" + inShellRoot(m.dest) + " >&2"}
		}),
		Do: func() (func() error, error) { return nil, do(m) },
	}
}

// mapOwnersOf maps the owners in a bind mount, whose tree is open and not attached, and
// leaves the namespace of a new mount to init.
func (b *birth) mapOwnersOf(m *mount) (err error) {
	o := m.owners
	if o.users, err = b.usersOf(o); err != nil || !m.opt.Bind || m.link != "" {
		return err
	}
	if err := idmapMount(m.sourceFd, o.users, o.recursive); err != nil {
		return notMappable(m, o.users, err)
	}
	return nil
}

// idmapMount maps the owners in a detached mount.
func idmapMount(mount, users int, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users)}
	return unix.MountSetattr(mount, "", flags, &attr)
}

// usersOf returns a user namespace that has the mappings.
func (b *birth) usersOf(o *owners) (int, error) {
	uids, gids := o.uids, o.gids
	switch {
	case o.implied() && b.usersByPath() >= 0:
		return b.nsFds[b.usersByPath()], nil
	case o.implied():
		return b.openUsers(b.child.Pid)
	case o.relative():
		u, err := through(o.relativeUIDs, b.uids)
		if err != nil {
			return -1, err
		}
		g, err := through(o.relativeGIDs, b.gids)
		if err != nil {
			return -1, err
		}
		uids, gids = append(uids[:len(uids):len(uids)], u...), append(gids[:len(gids):len(gids)], g...)
	}
	return b.makeUsers(uids, gids)
}

// openUsers opens the user namespace of a process.
func (b *birth) openUsers(pid int) (int, error) {
	name := fmt.Sprintf("/proc/%d/ns/user", pid)
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	b.opened = append(b.opened, fd)
	return fd, nil
}

// makeUsers makes a user namespace with these mappings. It needs a process to be made
// for, which waits until the namespace is open and is ended then.
func (b *birth) makeUsers(uids, gids []specs.LinuxIDMapping) (int, error) {
	a := program.NewAssembler()
	a.Sync(1)
	a.Exit(0)
	code, err := a.Finish()
	if err != nil {
		return -1, err
	}
	child, err := code.Launch(program.Options{Flags: unix.CLONE_NEWUSER, CgroupFd: -1})
	if err != nil {
		return -1, err
	}
	defer func() {
		_ = child.Kill()
		_, _ = child.Reap()
		child.Release()
	}()
	for _, f := range []struct {
		kind idmap.Kind
		maps []specs.LinuxIDMapping
		own  []idmap.Range
	}{{idmap.Users, uids, b.host.uids}, {idmap.Groups, gids, b.host.gids}} {
		maps, err := b.nested(f.kind, f.maps, f.own)
		if err != nil {
			return -1, err
		}
		if err := acceptable(maps); err != nil {
			return -1, err
		}
		lines := mappingLines(maps)
		if most := os.Getpagesize(); len(lines) >= most {
			return -1, fmt.Errorf("the mappings are %d bytes long as %s, and the kernel takes fewer than %d", len(lines), f.kind.File, most)
		}
		if err := writeOnce(fmt.Sprintf("/proc/%d/%s", child.Pid, f.kind.File), lines); err != nil {
			return -1, err
		}
	}
	return b.openUsers(child.Pid)
}

// acceptable says what the kernel has against mappings that come out of an option, part of
// which may have been translated; those of /mounts are checked along with the config.
func acceptable(maps []specs.LinuxIDMapping) error {
	if len(maps) > spec.MaxMappings {
		return fmt.Errorf("idmap: the mapping has %d ranges, and the kernel takes %d at most", len(maps), spec.MaxMappings)
	}
	for i, m := range maps {
		for _, n := range maps[:i] {
			if inside, outside := spec.Overlap(m, n); inside || outside {
				return fmt.Errorf("idmap: the ranges %s and %s overlap", mappingText([]specs.LinuxIDMapping{n}), mappingText([]specs.LinuxIDMapping{m}))
			}
		}
	}
	return nil
}

// mappingLines are mappings as uid_map takes them.
func mappingLines(maps []specs.LinuxIDMapping) string {
	var lines strings.Builder
	for _, m := range maps {
		fmt.Fprintf(&lines, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return lines.String()
}

// mapOwnersOfNew has init map the owners in a new mount, which it may do where it is in
// no user namespace.
func mapOwnersOfNew(a *program.Assembler, mnt program.Arg, m *mount) {
	if m.owners == nil {
		return
	}
	a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, mnt, a.String(""), program.Const(unix.AT_EMPTY_PATH),
		a.MountAttr(unix.MOUNT_ATTR_IDMAP, 0, 0, uint64(m.owners.users)), program.MountAttrSize).Note("idmap of " + m.Type)
}
