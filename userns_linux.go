package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/idmap"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// ownUsers says whether the container gets a user namespace of its own.
func (b *birth) ownUsers() bool { return b.ns.isNew(unix.CLONE_NEWUSER) }

// inUsers says whether the container is in another user namespace than the runtime, be
// it a new one or one that it joins.
func (b *birth) inUsers() bool { return b.ns.private(unix.CLONE_NEWUSER) }

// mapper is who writes an id map, by what the runtime may do.
type mapper int

const (
	mapAny    mapper = iota // the runtime, which has the privileges for any map
	mapOwn                  // the runtime, as everybody may map their own id
	mapHelper               // newuidmap or newgidmap
)

// mapper says who writes a map (user_namespaces(7), "Defining user and group ID
// mappings: writing to uid_map and gid_map").
func (b *birth) mapper(kind idmap.Kind, maps []specs.LinuxIDMapping) mapper {
	id, may := b.host.euid, b.host.userIDs
	if kind.File == idmap.Groups.File {
		id, may = b.host.egid, b.host.groupIDs
	}
	switch {
	case may:
		return mapAny
	case idmap.Own(idRanges(maps), id):
		return mapOwn
	}
	return mapHelper
}

// idRanges are the lines of a map.
func idRanges(maps []specs.LinuxIDMapping) []idmap.Range {
	list := make([]idmap.Range, len(maps))
	for i, m := range maps {
		list[i] = idmap.Range{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size}
	}
	return list
}

// mappingsOf is the reverse of idRanges.
func mappingsOf(ranges []idmap.Range) []specs.LinuxIDMapping {
	list := make([]specs.LinuxIDMapping, len(ranges))
	for i, r := range ranges {
		list[i] = specs.LinuxIDMapping{ContainerID: r.Inside, HostID: r.Outside, Size: r.Size}
	}
	return list
}

// nestMaps fits the maps of a new user namespace into those of the one that the runtime
// is in, and returns what cannot be mapped.
func (b *birth) nestMaps() []error {
	if b.opt.pid != 0 {
		return nil // an exec: they are written
	}
	var faults []error
	for _, m := range []struct {
		field string
		kind  idmap.Kind
		own   []idmap.Range
		to    *[]specs.LinuxIDMapping
	}{{"/linux/uidMappings", idmap.Users, b.host.uids, &b.uids}, {"/linux/gidMappings", idmap.Groups, b.host.gids, &b.gids}} {
		users := m.kind.File == idmap.Users.File
		if users && !b.host.fileCaps && b.mapper(m.kind, *m.to) != mapHelper {
			for i, line := range *m.to {
				if line.HostID == 0 {
					faults = append(faults, fmt.Errorf("%s/%d: mapping user 0 takes CAP_SETFCAP, which the runtime lacks (user_namespaces(7))", m.field, i))
				}
			}
		}
		lines, err := b.nested(m.kind, *m.to, m.own)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.field, err))
			continue
		}
		*m.to = lines
	}
	return faults
}

// nested fits the mappings of a user namespace into those of the one around, own, if the
// runtime is not in the initial one.
func (b *birth) nested(kind idmap.Kind, maps []specs.LinuxIDMapping, own []idmap.Range) ([]specs.LinuxIDMapping, error) {
	if b.host.initial || own == nil {
		return maps, nil
	}
	lines, missing, ok := idmap.Nest(idRanges(maps), own)
	if !ok {
		return nil, fmt.Errorf("%s %d is not mapped in the user namespace that the runtime is in: its %s has %s", kind.Noun, missing, kind.File, idmap.Text(own))
	}
	return mappingsOf(lines), nil
}

// mapUsers gives the new user namespace its ids. The maps are written by the runtime,
// or by those whom it asks: init has no rights to the ids outside.
func (b *birth) mapUsers() []plan.Step {
	if !b.ownUsers() {
		return nil
	}
	var steps []plan.Step
	if !b.host.mounts {
		steps = append(steps, plan.Step{
			By: plan.Init, Words: "allow the runtime's user to write the maps",
			Reason:   "the files of a process whose binary the user may execute but not read belong to root",
			Shell:    b.remark("the shell's own processes are"),
			Assemble: func(a *program.Assembler) { show(a) },
		})
	}
	l := b.spec.Linux
	steps = append(steps, b.writeIDMap("/linux/uidMappings", idmap.Users, b.uids))
	if b.mapper(idmap.Groups, l.GIDMappings) == mapOwn {
		steps = append(steps, plan.Step{
			Field: "/linux/gidMappings", By: plan.Runtime, Words: "give up setgroups in the user namespace",
			Reason: "without privileges, no group can be mapped before",
			Shell:  b.remark("done with the map"),
			Do:     func() (func() error, error) { return nil, idmap.DenyGroups(b.child.Pid) },
		})
	}
	return append(steps, b.writeIDMap("/linux/gidMappings", idmap.Groups, b.gids))
}

// becomeRoot makes the process root of its user namespace.
func (b *birth) becomeRoot() []plan.Step {
	if !b.inUsers() {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "become root of the user namespace",
		Reason:   "after the maps: before, no id inside means anything",
		Shell:    b.remark(b.shellUserCommand() + " did it"),
		Assemble: b.takeRoot,
	}}
}

// traceable says whether init stays within the runtime's reach: a runtime without
// privileges can't look into a process that hides, to join its namespaces for a hook or
// an exec. Nobody else is in the new pid namespace who could make use of it, and who
// comes later has the same user's rights.
func (b *birth) traceable() bool { return !b.host.mounts && b.opt.pid == 0 && !b.entersPids() }

// takeRoot takes id 0 of the user namespace that the process is in. It stays hidden, or
// within the runtime's reach, as it was; see [userns.Hide].
func (b *birth) takeRoot(a *program.Assembler) {
	if b.joinsUsers() {
		b.userEntry().Root(a)
	} else {
		b.userEntry().NewRoot(a)
	}
	if b.traceable() {
		show(a)
	}
}

// show makes the process traceable for those who have the rights, as an execve would.
func show(a *program.Assembler) {
	zero := program.Const(0)
	a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_DUMPABLE), program.Const(1), zero, zero, zero).Note("PR_SET_DUMPABLE 1")
}

// writeIDMap is the step that writes a map.
func (b *birth) writeIDMap(field string, kind idmap.Kind, maps []specs.LinuxIDMapping) plan.Step {
	ranges := idRanges(maps)
	words, write := "write "+kind.File, kind.Write
	if b.mapper(kind, maps) == mapHelper {
		words, write = "have "+kind.Helper+" write "+kind.File, kind.Help
	}
	lines := make([]string, len(ranges))
	for i, r := range ranges {
		lines[i] = fmt.Sprintf("%d %d %d", r.Inside, r.Outside, r.Size)
	}
	return plan.Step{
		Field: field, By: plan.Runtime, Words: words, Detail: strings.Join(lines, ", "),
		Shell: b.remark(b.shellMapped()),
		Do:    func() (func() error, error) { return nil, write(b.child.Pid, ranges) },
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
	field, file  string
	kind         uint32 // S_IFCHR or S_IFBLK
	major, minor int64
	tree         *tree
}

// borrowedAttributes are those of a borrowed device's mount. A device is written to
// through a read-only mount as through any other, but nobody changes the mode, the owner or
// the times of the host's node: a user namespace that maps the node's owner would permit it.
const borrowedAttributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC

// node says what is to be borrowed, for people.
func (d *borrowed) node() string {
	letter := "c"
	if d.kind == unix.S_IFBLK {
		letter = "b"
	}
	return fmt.Sprintf("%s %d:%d", letter, d.major, d.minor)
}

// makesDevices says whether the container's devices can be made.
func (b *birth) makesDevices() bool { return !b.inUsers() && b.host.initial }

// borrowDevices opens the host's nodes while they can still be named.
func (b *birth) borrowDevices() []plan.Step {
	if b.makesDevices() || b.hostDev() || !b.ownMounts() {
		return nil
	}
	borrow := func(field, file string, kind uint32, major, minor int64) {
		t := b.tree(tree{field: field, file: file, device: true, attributes: borrowedAttributes})
		b.borrowed = append(b.borrowed, &borrowed{field, file, kind, major, minor, t})
	}
	for _, d := range defaultDevices {
		borrow("", "/dev/"+d.name, unix.S_IFCHR, d.major, d.minor)
	}
	if b.spec.Linux != nil {
		for i, d := range b.spec.Linux.Devices {
			if d.Type != "p" && !isDefaultDevice(d.Path) {
				kind := uint32(unix.S_IFCHR)
				if d.Type == "b" {
					kind = unix.S_IFBLK
				}
				borrow(fmt.Sprintf("/linux/devices/%d", i), d.Path, kind, d.Major, d.Minor)
			}
		}
	}
	return []plan.Step{{
		Field: "/linux/devices", By: plan.Runtime, Words: "open the host's devices",
		Reason: "in a user namespace no device can be made",
		Shell:  b.remark("they have their names until the root changes"),
		Do: func() (func() error, error) {
			for _, d := range b.borrowed {
				if err := b.openDevice(d); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}}
}

// openDevice opens the host's node: that of the same name or, where that is something
// else or nothing, the one to which the kernel gave the number.
func (b *birth) openDevice(d *borrowed) error {
	err := b.openTree(d.tree)
	if err == nil && d.isAt(d.tree.fd) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) {
		return err // the last three say nothing about the node
	}
	if file := hostNode(d.kind, d.major, d.minor); file != "" && file != d.tree.file {
		d.tree.file = file
		if err := b.openTree(d.tree); err != nil {
			return err
		}
		if d.isAt(d.tree.fd) {
			return nil
		}
	}
	if err == nil {
		err = fmt.Errorf("the host's %s is something else", d.file)
	}
	where := d.field
	if where == "" {
		where = d.file
	}
	return fmt.Errorf("%s: %w; in a user namespace only the host's own devices can be had, and none below /dev is %s: make it there (mknod), or leave it out", where, err, d.node())
}

// isAt says whether an open file is the device.
func (d *borrowed) isAt(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == d.kind && uint64(st.Rdev) == unix.Mkdev(uint32(d.major), uint32(d.minor))
}

// hostNode is the name below /dev that the kernel gave to a device, or "" (sysfs, "dev").
func hostNode(kind uint32, major, minor int64) string {
	dir := "char"
	if kind == unix.S_IFBLK {
		dir = "block"
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/%s/%d:%d/uevent", dir, major, minor))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "DEVNAME="); ok {
			return "/dev/" + strings.TrimSpace(name)
		}
	}
	return ""
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
	var dirs []string
	for _, d := range b.borrowed {
		dir := path.Dir(path.Clean("/" + d.file))
		first := !slices.Contains(dirs, dir)
		dirs = append(dirs, dir)
		steps = append(steps, plan.Step{
			Field: d.field, By: plan.Init, Words: "bind the host's " + d.file,
			Shell: b.typed(func() []string { return shellBindDevice(d.file) }),
			Assemble: func(a *program.Assembler) {
				at := a.Reg()
				if first {
					b.makeInRoot(a, at, dir, true, unix.RESOLVE_NO_SYMLINKS)
					b.inPlace(a, at, dir)
					a.Call(program.Discard, unix.SYS_CLOSE, at.Arg())
				}
				b.makeInRoot(a, at, d.file, false, unix.RESOLVE_NO_SYMLINKS)
				attachAt(a, program.Const(d.tree.fd), at).Note(d.file)
				closeFd(a, at)
			},
		})
	}
	return steps
}
