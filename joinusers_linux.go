package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/idmap"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/userns"
	"github.com/oci-mini/oci-mini/spec"
)

// joinEarly joins what was given by path before the process goes into a user namespace:
// a network namespace that the host owns, for one, can only be joined with the runtime's
// own rights. What they do not suffice for has to wait for those that the user
// namespace gives (user_namespaces(7), "Interaction of user namespaces and other types
// of namespaces").
//
// Whoever is in the user namespace may look at a process of it that can be traced; so
// that is forbidden before.
func (b *birth) joinEarly() []plan.Step {
	if !b.ns.staged {
		return nil
	}
	var steps []plan.Step
	b.early = make(map[int]program.Reg)
	for _, kind := range spec.Namespaces {
		for i, ns := range b.ns.list {
			if ns.Type != kind.Type || ns.Path == "" || ns.Type == specs.UserNamespace || ns.Type == specs.MountNamespace {
				continue // for the last, see joinMountsFirst
			}
			steps = append(steps, plan.Step{
				Field: fmt.Sprintf("/linux/namespaces/%d/path", i), By: plan.Init,
				Words:  fmt.Sprintf("try to join the %s namespace %s", ns.Type, ns.Path),
				Reason: "with the runtime's rights: those of the user namespace need not suffice",
				Shell:  b.remark("nsenter did it"),
				Assemble: func(a *program.Assembler) {
					joined, later := a.Reg(), a.NewLabel()
					b.early[i] = joined
					a.Set(joined, program.Const(0))
					a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.nsFds[i]), program.Const(kind.Flag)).Note(ns.Path).On(unix.EPERM, later)
					a.Set(joined, program.Const(1))
					a.Bind(later)
				},
			})
		}
	}
	return steps
}

// enterUsers joins the user namespace, or makes it, and makes all others in it: so they
// belong to it, and its root may do in them what root does.
func (b *birth) enterUsers() []plan.Step {
	if !b.ns.staged {
		return nil
	}
	var steps []plan.Step
	if i := b.usersByPath(); i >= 0 {
		path := b.ns.list[i].Path
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/linux/namespaces/%d/path", i), By: plan.Init, Words: "join the user namespace " + path,
			Reason: "before the new namespaces, which are to belong to it",
			Detail: b.groupsOnEntry(),
			Shell:  b.remark("nsenter did it"),
			Assemble: func(a *program.Assembler) {
				b.userEntry().Join(a, func() {
					a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.nsFds[i]), program.Const(unix.CLONE_NEWUSER)).Note(path)
				})
			},
		})
	}
	flags := b.ns.late &^ unix.CLONE_NEWCGROUP
	if b.buildsAside() {
		flags &^= b.ns.building
	}
	if flags == 0 {
		return steps
	}
	var names []string
	for _, kind := range spec.Namespaces {
		if flags&kind.Flag != 0 {
			names = append(names, b.ns.name(kind.Type))
		}
	}
	return append(steps, plan.Step{
		Field: "/linux/namespaces", By: plan.Init, Words: "unshare the new namespaces: " + strings.Join(names, ", "),
		Shell: b.remark("unshare did it"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(flags)).Note(strings.Join(names, ", "))
		},
	})
}

// usersByPath is the index of the user namespace to join, or -1.
func (b *birth) usersByPath() int {
	return slices.IndexFunc(b.ns.list, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace && ns.Path != "" })
}

// joinsUsers says whether the process goes into a user namespace that exists already: the
// config's by path or, for exec and for hooks of start, the container's.
func (b *birth) joinsUsers() bool { return b.usersByPath() >= 0 || b.opt.pid != 0 && b.inUsers() }

// userEntry is how every process of the container's, be it the first one, an exec's or a
// hook's, goes into a user namespace that exists.
func (b *birth) userEntry() userns.Entry {
	return userns.Entry{Keep: b.wantsGroups(), Powerless: !b.host.setsGroups()}
}

// groupsOnEntry says what becomes of the caller's groups before a user namespace is joined.
func (b *birth) groupsOnEntry() string {
	if !b.userEntry().Drops() {
		return ""
	}
	return "the caller's additional groups are dropped before: inside, setgroups(2) may be denied, and they would stay"
}

// checkJoinedUsers reads the mappings of a user namespace that init has joined: they can
// be seen only in a process. What the config says of them has to agree.
func (b *birth) checkJoinedUsers() []plan.Step {
	i := b.usersByPath()
	if i < 0 {
		return nil
	}
	path := b.ns.list[i].Path
	return []plan.Step{{
		Field: fmt.Sprintf("/linux/namespaces/%d/path", i), By: plan.Runtime, Words: "read the mappings of the user namespace " + path,
		Name:   path,
		Reason: "they can be seen only in a process that is in it",
		Shell:  b.remark("nsenter has checked them"),
		Do: func() (_ func() error, err error) {
			if err := b.readMappings(b.child.Pid); err != nil {
				return nil, err
			}
			faults := append(differing(b.spec.Linux, b.uids, b.gids), rootless(b.uids, b.gids)...)
			if len(faults) == 0 {
				faults = unmapped(b.spec.Process, "its uid_map", b.uids, "its gid_map", b.gids)
			}
			if p := b.spec.Process; p != nil && len(p.User.AdditionalGids) > 0 && !b.wantsGroups() && deniesGroups(strconv.Itoa(b.child.Pid)) {
				faults = append(faults, errors.New("/process/user/additionalGids: no groups can be set, as setgroups(2) is denied in it (user_namespaces(7)): ask for none, or for a namespace with a range of groups"))
			}
			return nil, errors.Join(faults...)
		},
	}}
}

// checkUsersOfExec holds the ids of a process that exec adds to a joined user namespace to
// its mappings; those of a namespace that the container has for itself are in the config.
func (b *birth) checkUsersOfExec() []plan.Step {
	if b.usersByPath() < 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/process/user", By: plan.Runtime, Words: "read the mappings of the container's user namespace", Name: "the container's user namespace",
		Do: func() (func() error, error) {
			if err := b.readMappings(b.dir.Record.Init.Pid); err != nil {
				return nil, err
			}
			return nil, errors.Join(unmapped(b.spec.Process, "its uid_map", b.uids, "its gid_map", b.gids)...)
		},
	}}
}

// rootless are the faults of mappings that have no root to set the container up.
func rootless(uids, gids []specs.LinuxIDMapping) []error {
	var faults []error
	if _, ok := outside(0, uids); !ok {
		faults = append(faults, fmt.Errorf("user 0, as which the container is set up, is not mapped: its uid_map has %s", mappingText(uids)))
	}
	if _, ok := outside(0, gids); !ok {
		faults = append(faults, fmt.Errorf("group 0, as which the container is set up, is not mapped: its gid_map has %s", mappingText(gids)))
	}
	return faults
}

// differing are the faults of a config that gives a joined namespace mappings which it
// does not have. Engines repeat them; none at all is as good.
func differing(l *specs.Linux, uids, gids []specs.LinuxIDMapping) []error {
	var faults []error
	for _, c := range []struct {
		field, file string
		said, is    []specs.LinuxIDMapping
	}{{"/linux/uidMappings", "uid_map", l.UIDMappings, uids}, {"/linux/gidMappings", "gid_map", l.GIDMappings, gids}} {
		if len(c.said) > 0 && !slices.Equal(joinedUp(c.said), joinedUp(c.is)) {
			faults = append(faults, fmt.Errorf("%s differ: they have %s, its %s has %s", c.field, mappingText(c.said), c.file, mappingText(c.is)))
		}
	}
	return faults
}

// joinedUp are mappings in order, with those that go on where another ends made one.
func joinedUp(maps []specs.LinuxIDMapping) []specs.LinuxIDMapping {
	sorted := slices.SortedFunc(slices.Values(maps), func(x, y specs.LinuxIDMapping) int { return cmp.Compare(x.ContainerID, y.ContainerID) })
	var list []specs.LinuxIDMapping
	for _, m := range sorted {
		if n := len(list) - 1; n >= 0 && list[n].ContainerID+list[n].Size == m.ContainerID && list[n].HostID+list[n].Size == m.HostID {
			list[n].Size += m.Size
			continue
		}
		list = append(list, m)
	}
	return list
}

// mappingText says mappings as their files have them.
func mappingText(maps []specs.LinuxIDMapping) string {
	return idmap.Text(idRanges(maps))
}

// readMappings reads the mappings of a process's user namespace, as the runtime sees the
// ids outside.
func (b *birth) readMappings(pid int) error {
	for _, f := range []struct {
		kind idmap.Kind
		to   *[]specs.LinuxIDMapping
	}{{idmap.Users, &b.uids}, {idmap.Groups, &b.gids}} {
		ranges, err := f.kind.Of(strconv.Itoa(pid))
		if err != nil {
			return err
		}
		*f.to = mappingsOf(ranges)
	}
	return nil
}
