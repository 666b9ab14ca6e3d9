package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/dbus"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/systemd"
)

// The managers of cgroups as state.json has them.
const (
	byCgroupfs    = "cgroupfs"
	bySystemd     = "systemd"
	byUserSystemd = "systemd-user" // that of the calling user
)

// systemdProperty begins the annotations that are properties of the unit.
const systemdProperty = "org.systemd.property."

// scope is the unit of a container whose cgroup systemd manages.
type scope struct {
	systemd.Unit
	user        bool   // of the calling user's systemd
	description string // which no unit of another container has
	properties  []systemd.Property
	annotated   []string         // those of the annotations, as text
	manager     *systemd.Manager // once connected
}

// usersManager says whether the user's own systemd is asked: whoever is not root in
// the machine's user namespace has no say in that of the system.
func usersManager(euid int) bool {
	if euid != 0 {
		return true
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	// One line for all ids is the initial user namespace.
	return string(bytes.Join(bytes.Fields(text), []byte(" "))) != "0 0 4294967295"
}

// scopeOf translates /linux/cgroupsPath, the limits and the annotations for
// systemd. Every fault is reported.
func (c *cgroups) scopeOf(s *specs.Spec, id string, h *host, opt *birthOptions) []error {
	slice := "system.slice"
	if h.userSystemd {
		slice = "user.slice"
	}
	unit, err := systemd.ParsePath(c.path, id, slice, "oci-mini")
	if err != nil {
		return []error{fmt.Errorf("/linux/cgroupsPath: %w", err)}
	}
	c.scope = &scope{Unit: unit, user: h.userSystemd, description: description(id, opt.stateDir)}
	base := "/"
	if h.userSystemd {
		// Where it is mostly; systemd is asked before anything depends on it.
		base = fmt.Sprintf("/user.slice/user-%d.slice/user@%[1]d.service", h.euid)
	}
	c.place(h.layout, base)
	c.scope.properties = []systemd.Property{
		{Name: "Description", Value: dbus.String(c.scope.description)},
		{Name: "DefaultDependencies", Value: dbus.Bool(false)},
		{Name: "CollectMode", Value: dbus.String("inactive-or-failed")},
		{Name: "CPUAccounting", Value: dbus.Bool(true)},
		{Name: "MemoryAccounting", Value: dbus.Bool(true)},
		{Name: ioAccounting(h.layout), Value: dbus.Bool(true)},
		{Name: "TasksAccounting", Value: dbus.Bool(true)},
	}
	if unit.IsSlice() {
		c.scope.properties = append(c.scope.properties, systemd.Property{Name: "Wants", Value: dbus.Strings(unit.Slice)})
	} else {
		c.scope.properties = append(c.scope.properties,
			systemd.Property{Name: "Slice", Value: dbus.String(unit.Slice)},
			systemd.Property{Name: "Delegate", Value: dbus.Bool(true)})
	}
	writes := append(slices.Clone(c.before), c.after...)
	var limits []systemd.Property
	for _, w := range writes {
		limits = systemd.Merge(limits, propertiesOf(w, writes))
	}
	c.scope.properties = append(c.scope.properties, limits...)
	return append(c.scope.annotate(s.Annotations, limits), c.undelegatedBelow(h, base, writes)...)
}

// undelegatedBelow are the limits whose controllers the user's systemd was not given, if it
// keeps its units in base.
func (c *cgroups) undelegatedBelow(h *host, base string, writes []cgroup.Write) []error {
	if !h.userSystemd || !h.rootless {
		return nil
	}
	for _, l := range h.layout.Hierarchies {
		if l.Unified && h.controllers(path.Join(l.Dir, base)) != nil {
			return h.undelegated(c.dirs, writes)
		}
	}
	return nil
}

// place puts the container's directories where a systemd that lives in base makes them.
func (c *cgroups) place(l *cgroup.Layout, base string) {
	c.dirs = nil
	for _, h := range l.Hierarchies {
		c.dirs = append(c.dirs, cgroup.Dir{Hierarchy: h, Path: path.Join(h.Dir, base, c.scope.Cgroup())})
	}
}

// description names a container's unit for people, and for delete: a unit of the
// same name may be somebody else's.
func description(id, dir string) string {
	if dir == "" {
		return "oci-mini container " + id
	}
	return fmt.Sprintf("oci-mini container %s in %s", id, dir)
}

func ioAccounting(l *cgroup.Layout) string {
	if l.Mode == cgroup.Unified {
		return "IOAccounting"
	}
	return "BlockIOAccounting"
}

// propertiesOf are those that say what a write says. The quota of v1 comes in two
// files, where systemd has it in one pair as v2 does.
func propertiesOf(w cgroup.Write, all []cgroup.Write) []systemd.Property {
	if w.Unified || w.File != "cpu.cfs_quota_us" {
		return systemd.OfFile(w.Unified, w.File, w.Value)
	}
	period := "100000"
	for _, o := range all {
		if o.File == "cpu.cfs_period_us" {
			period = o.Value
		}
	}
	quota := w.Value
	if strings.HasPrefix(quota, "-") {
		quota = "max"
	}
	return systemd.OfFile(true, "cpu.max", quota+" "+period)
}

// annotate adds the properties of annotations, all of which must be good.
func (s *scope) annotate(annotations map[string]string, limits []systemd.Property) []error {
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, systemdProperty)
		if !ok {
			continue
		}
		fault := func(err error) { faults = append(faults, fmt.Errorf("/annotations/%s: %w", key, err)) }
		p, err := systemd.ParseProperty(name, annotations[key])
		if err != nil {
			fault(err)
			continue
		}
		switch {
		case systemd.Reserved(p.Name):
			fault(errors.New("the runtime sets this property itself"))
		case slices.ContainsFunc(limits, func(l systemd.Property) bool { return l.Name == p.Name }):
			fault(errors.New("/linux/resources sets this property"))
		default:
			s.properties = systemd.Merge(s.properties, []systemd.Property{p})
			s.annotated = append(s.annotated, p.String())
		}
	}
	return faults
}

// connectSystemd is done before there is anything to clean up.
func (b *birth) connectSystemd() []plan.Step {
	s := b.cgroups.scope
	of := "the system's"
	if s.user {
		of = "the user's"
	}
	return []plan.Step{{
		By: plan.Runtime, Words: "connect to " + of + " systemd",
		Reason: "a host without one is to be known before anything is made",
		Shell:  b.typed(b.shellScope),
		Do: func() (func() error, error) {
			m, err := systemd.Connect(s.user, s.Name)
			if err != nil {
				return nil, err
			}
			s.manager = m
			if !s.user {
				return nil, nil
			}
			base, err := m.Cgroup()
			if err != nil {
				return nil, err
			}
			b.cgroups.place(b.host.layout, base)
			return nil, nil
		},
	}}
}

// startUnit has systemd make the unit and move the first process into it, with all
// limits that systemd knows; the cgroup's files then get what it does not know.
func (b *birth) startUnit() []plan.Step {
	c := b.cgroups
	if c == nil || c.scope == nil {
		return nil
	}
	s := c.scope
	kind := "scope"
	if s.IsSlice() {
		kind = "slice"
	}
	var detail []string
	for _, p := range s.properties {
		detail = append(detail, p.String())
	}
	steps := []plan.Step{{
		Field: c.field(), By: plan.Runtime, Words: "start the " + kind + " " + s.Name + " in " + s.Slice,
		Detail: strings.Join(detail, ", "),
		Reason: "a unit is made of processes that run already; this one does nothing yet but wait",
		Shell:  b.remark("the script is in the unit already"),
		Do:     b.doStartUnit,
	}}
	for _, w := range c.before {
		steps = append(steps, b.cgroupWrite(w))
	}
	return append(append(steps, b.deviceSteps()...), b.delegateCgroup(true)...)
}

func (b *birth) doStartUnit() (func() error, error) {
	c, s := b.cgroups, b.cgroups.scope
	properties := slices.Clone(s.properties)
	if !s.IsSlice() {
		properties = append(properties, systemd.Property{Name: "PIDs", Value: dbus.Array("u", dbus.Uint32(uint32(b.child.Pid)))})
	}
	back := func() error {
		if b.cgroup != nil {
			_ = b.cgroup.Kill()
		}
		err := s.end()
		if b.cgroup != nil {
			err = errors.Join(err, b.cgroup.Remove())
		}
		return err
	}
	if begun, err := s.manager.Start(s.Name, properties); err != nil {
		if begun {
			_ = s.end()
		}
		return nil, s.ofAnnotations(err)
	}
	cg, err := c.dirs.Adopt(b.child.Pid, cgroup.Controllers(append(slices.Clone(c.before), c.after...)), statisticsControllers)
	if err != nil {
		return back, err
	}
	b.cgroup = cg
	if err := s.manager.Set(s.Name, c.elsewhere(cg)); err != nil {
		return back, err
	}
	return back, nil
}

// wrongType is systemd's error for a property whose value is of another type than its own.
const wrongType = "System.Error.ENXIO"

// ofAnnotations tells of the annotations along with what systemd has against a property. For
// a value of the wrong type it does not even say which one.
func (s *scope) ofAnnotations(err error) error {
	var refused *dbus.Error
	if len(s.annotated) == 0 || !errors.As(err, &refused) || refused.Name != wrongType && !strings.Contains(refused.Text, "property") {
		return err
	}
	return fmt.Errorf("%w; /annotations has %s", err, strings.Join(s.annotated, ", "))
}

func (s *scope) end() error { return endUnit(s.manager, s.Name, s.description) }

// endUnit stops a unit that has this description; another of its name is somebody else's
// and is left alone. Its processes are killed before: the first one of a container has all
// signals blocked while it waits, and systemd would give it a minute and a half to heed SIGTERM.
func endUnit(m *systemd.Manager, unit, description string) error {
	text, err := m.Description(unit)
	if err != nil || text != description {
		return err
	}
	return errors.Join(m.Kill(unit, int32(unix.SIGKILL)), m.Stop(unit))
}

// elsewhere are the properties of writes that go to another file than was thought before
// the cgroup was there: which one has the I/O weight depends on the host's schedulers.
func (c *cgroups) elsewhere(cg *cgroup.Cgroup) []systemd.Property {
	var properties []systemd.Property
	for _, w := range append(slices.Clone(c.before), c.after...) {
		if w.Else == nil {
			continue
		}
		if file, _, ok := cg.Present(w); ok && file == w.Else.File {
			properties = systemd.Merge(properties, systemd.OfFile(w.Unified, file, w.Else.Value))
		}
	}
	return properties
}

// stopUnit stops the unit of a container and forgets it.
func stopUnit(dir *state.Dir) error {
	r := dir.Record
	if r.Cgroup.Unit == "" {
		return nil
	}
	user := r.Cgroup.Manager == byUserSystemd
	m, err := systemd.Connect(user, r.Cgroup.Unit)
	if errors.Is(err, systemd.ErrNotRunning) && !systemd.Booted(user) {
		return nil // and so are its units
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return endUnit(m, r.Cgroup.Unit, description(r.ID, dir.Path))
}

// shellScope is the call that makes the scope, with the script's shell in it.
func (b *birth) shellScope() []string {
	s := b.cgroups.scope
	words := []string{"busctl"}
	if s.user {
		words = append(words, "--user")
	}
	words = append(words, "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
		"StartTransientUnit", "ssa(sv)a(sa(sv))", s.Name, "replace")
	n := len(s.properties)
	if !s.IsSlice() {
		n++
	}
	words = append(words, fmt.Sprint(n))
	for _, p := range s.properties {
		words = append(append(words, p.Name, p.Value.Signature()), p.Value.Words()...)
	}
	line := plan.Command(words...)
	if !s.IsSlice() {
		line += ` PIDs au 1 $$`
	}
	own := plan.Quote(b.cgroups.dirs[0].Path)
	lines := []string{line + " 0 >/dev/null", "until grep -qx $$ " + own + "/cgroup.procs; do sleep 0.1; done"}
	if s.IsSlice() {
		lines[1] = "echo 0 >" + own + "/cgroup.procs"
	}
	for _, w := range b.cgroups.before {
		lines = append(lines, b.cgroups.shellWrite(w))
	}
	return lines
}
