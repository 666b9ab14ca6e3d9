package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/resctrl"
	"github.com/oci-mini/oci-mini/internal/state"
)

// rdt is what /linux/intelRdt comes to (config-linux.md, "IntelRdt").
type rdt struct {
	name    string   // of the control group
	own     bool     // it is named after the container, and goes with it
	monitor string   // name of the monitored group below it, or ""
	lines   []string // of the schemata, in the order in which they are written

	group *resctrl.Group // once the file system is found
	made  bool           // the control group was not there
}

func rdtOf(s *specs.Spec, id string) *rdt {
	if s.Linux == nil || s.Linux.IntelRdt == nil {
		return nil
	}
	c := s.Linux.IntelRdt
	r := &rdt{name: c.ClosID, own: c.ClosID == ""}
	if r.own {
		r.name = id
	}
	if c.EnableMonitoring {
		r.monitor = id
	}
	for _, line := range append([]string{c.L3CacheSchema, c.MemBwSchema}, c.Schemata...) {
		if line != "" {
			r.lines = append(r.lines, line)
		}
	}
	return r
}

// findRdt looks for the resctrl file system, for a config that asks for it.
func (b *birth) findRdt() error {
	if b.rdt == nil {
		return nil
	}
	root, err := b.host.resctrl()
	if err != nil {
		return fmt.Errorf("/linux/intelRdt: %w", err)
	}
	b.rdt.group = root.Group(b.rdt.name, b.rdt.monitor)
	return nil
}

// mustExist says whether the control group is one that somebody else has prepared.
func (r *rdt) mustExist() bool { return r.name == "/" || !r.own && len(r.lines) == 0 }

// makeRdt makes the groups that the process is going to be in, before it exists.
func (b *birth) makeRdt() []plan.Step {
	if b.rdt == nil {
		return nil
	}
	r := b.rdt
	group := plan.Step{
		Field: "/linux/intelRdt", By: plan.Runtime, Words: "make the resctrl group " + r.name,
		Detail: strings.Join(r.lines, " "), Shell: b.typed(r.shellMake),
		Do: func() (undo func() error, err error) {
			r.made, err = r.group.Make(r.lines)
			if r.made {
				undo = func() error { return r.group.Root.RemoveUnused(r.group.Path) }
			}
			return undo, err
		},
	}
	switch {
	case r.mustExist():
		group.Words = "use the resctrl group " + r.name + ", which must exist"
		group.Do = func() (func() error, error) { return nil, r.group.Check(r.lines) }
	case !r.own:
		group.Words += " if it is missing"
		group.Reason = "one that exists must have these schemata"
	}
	if r.monitor == "" {
		return []plan.Step{group}
	}
	return []plan.Step{group, {
		Field: "/linux/intelRdt/enableMonitoring", By: plan.Runtime, Words: "make the monitored group " + r.monitor + " in it",
		Shell: b.typed(func() []string { return []string{plan.Command("mkdir", r.shellMonitor())} }),
		Do: func() (func() error, error) {
			if err := r.group.MakeMonitor(); err != nil {
				return nil, err
			}
			return func() error { return r.group.Root.Remove(r.group.Monitor) }, nil
		},
	}}
}

// joinRdt puts the process into its groups.
func (b *birth) joinRdt() []plan.Step {
	if b.rdt == nil {
		return nil
	}
	r := b.rdt
	return []plan.Step{{
		Field: "/linux/intelRdt", By: plan.Runtime, Words: "put the process into the resctrl group " + r.name,
		Reason: "its children will be in it as well",
		Shell:  b.typed(r.shellJoin),
		Do: func() (func() error, error) {
			if b.joins {
				r.group = groupOf(b.dir.Record)
			}
			return nil, r.group.Join(b.child.Pid)
		},
	}}
}

// record names what there is to be removed should the runtime die before it has
// finished: all that is not there yet.
func (r *rdt) record() *state.Rdt {
	if r == nil {
		return nil
	}
	rec := &state.Rdt{Root: r.group.Root.Path, Group: r.group.Path, Monitor: r.group.Monitor}
	for _, dir := range []string{r.group.Monitor, r.group.Path} {
		if _, err := os.Lstat(dir); dir != "" && os.IsNotExist(err) {
			rec.Remove = append(rec.Remove, dir)
		}
	}
	return rec
}

// settled is what goes with the container: the monitored group, and a control group that
// was made for it alone.
func (r *rdt) settled() []string {
	var dirs []string
	if r.monitor != "" {
		dirs = append(dirs, r.group.Monitor)
	}
	if r.own && r.made {
		dirs = append(dirs, r.group.Path)
	}
	return dirs
}

// groupOf is the group of a container that is on record, or nil.
func groupOf(r *state.Record) *resctrl.Group {
	if r.Rdt == nil {
		return nil
	}
	return &resctrl.Group{Root: &resctrl.Root{Path: r.Rdt.Root}, Path: r.Rdt.Group, Monitor: r.Rdt.Monitor}
}

// removeRdt removes the resctrl groups that go with a container.
func removeRdt(r *state.Record) error {
	if r.Rdt == nil {
		return nil
	}
	return removeGroups(r, &resctrl.Root{Path: r.Rdt.Root})
}

func removeGroups(r *state.Record, root *resctrl.Root) error {
	for _, dir := range r.Rdt.Remove {
		remove := root.Remove
		if r.Phase == state.Creating {
			// Not known to be this container's: others may have made it meanwhile.
			remove = root.RemoveUnused
		}
		if err := remove(dir); err != nil {
			return fmt.Errorf("/linux/intelRdt: %w", err)
		}
	}
	return nil
}

// updateRdt changes the schemata of a container's group. back restores them.
func updateRdt(r *state.Record, l3CacheSchema, memBwSchema string) (back func() error, err error) {
	var lines []string
	for _, f := range []struct{ flag, prefix, value string }{{"l3-cache-schema", "L3", l3CacheSchema}, {"mem-bw-schema", "MB:", memBwSchema}} {
		switch {
		case f.value == "":
			continue
		case !strings.HasPrefix(f.value, f.prefix) || strings.Contains(f.value, "\n"):
			return nil, fmt.Errorf("--%s: must be one line that begins with %s, is %q", f.flag, f.prefix, f.value)
		}
		lines = append(lines, f.value)
	}
	if len(lines) == 0 {
		return func() error { return nil }, nil
	}
	g := groupOf(r)
	switch {
	case g == nil:
		return nil, fmt.Errorf("--l3-cache-schema, --mem-bw-schema: the container was created without /linux/intelRdt, so that it has no resctrl group")
	case g.Path == g.Root.Path:
		return nil, fmt.Errorf("--l3-cache-schema, --mem-bw-schema: the container is in the default resctrl group, which is the host's")
	}
	before, err := g.Schemata()
	if err != nil {
		return nil, err
	}
	back = func() error { return g.SetSchemata([]string{strings.TrimSuffix(before, "\n")}) }
	return back, g.SetSchemata(lines)
}

// shellGroup is the control group's directory where the file system is by convention.
func (r *rdt) shellGroup() string { return path.Join(resctrl.DefaultMount, r.name) }

func (r *rdt) shellMonitor() string { return path.Join(r.shellGroup(), "mon_groups", r.monitor) }

// shellMake makes the control group. The script does not compare schemata.
func (r *rdt) shellMake() []string {
	if r.mustExist() {
		return []string{plan.Command("test", "-d", r.shellGroup())}
	}
	lines := []string{plan.Command("mkdir", "-p", r.shellGroup())}
	if len(r.lines) > 0 {
		lines = append(lines, plan.Command("printf", `%s\n`, strings.Join(r.lines, "\n"))+" >"+plan.Quote(r.shellGroup()+"/schemata"))
	}
	return lines
}

func (r *rdt) shellJoin() []string {
	lines := []string{"echo $$ >" + plan.Quote(r.shellGroup()+"/tasks")}
	if r.monitor != "" {
		lines = append(lines, "echo $$ >"+plan.Quote(r.shellMonitor()+"/tasks"))
	}
	return lines
}
