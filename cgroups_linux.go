package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/devfilter"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/systemd"
)

// statisticsControllers are enabled where they are available, limits or not:
// engines read their statistics.
var statisticsControllers = []string{"cpu", "cpuset", "io", "memory", "pids"}

// makeCgroup is the step as an error has it.
const makeCgroup = "make the cgroup"

// cgroups is what /linux/cgroupsPath and /linux/resources come to.
type cgroups struct {
	dirs          cgroup.Dirs
	before, after []cgroup.Write // the entry of the first process
	mode          cgroup.Mode
	deviceRules   int
	deviceFilter  *devfilter.Program // v2
	deviceLines   []cgroup.Write     // v1 and hybrid
	path          string
	scope         *scope // nil: no systemd has a part in it
}

// cgroupsOf translates for the host's hierarchies. Every fault is reported. A rootless
// container goes without a cgroup where the user may make none (refused says why), unless
// it asks for a limit.
func cgroupsOf(s *specs.Spec, id string, h *host, opt *birthOptions) (_ *cgroups, _ []error, refused error) {
	if h.layout == nil {
		return nil, nil, nil // the caller wants none
	}
	if len(h.layout.Hierarchies) == 0 {
		return nil, noHierarchy(s, h), errNoHierarchy
	}
	c := &cgroups{mode: h.layout.Mode}
	var faults []error
	var resources *specs.LinuxResources
	if s.Linux != nil {
		c.path, resources = s.Linux.CgroupsPath, s.Linux.Resources
	}
	writes, err := cgroup.Writes(h.layout, resources)
	if err != nil {
		faults = append(faults, err)
	}
	c.before, c.after = cgroup.Split(writes)
	if h.systemd {
		faults = append(faults, c.scopeOf(s, id, h, opt)...)
	} else {
		if c.dirs, err = h.layout.Dirs(c.path, id); err != nil {
			faults = append(faults, fmt.Errorf("/linux/cgroupsPath: %w", err))
		}
		if refused := h.refuses(c.dirs); refused != nil {
			for _, w := range writes {
				faults = append(faults, fmt.Errorf("%s: no limit can be set: %w", w.Field, refused))
			}
			return nil, faults, refused
		}
		faults = append(faults, h.undelegated(c.dirs, writes)...)
	}
	if h.systemd && !h.userSystemd || h.initial && h.mounts {
		faults = append(faults, c.devices(resources)...)
	}
	// Without that right no filter can be set, and none is needed: a user namespace's
	// root can make no device (mknod(2)), and opens those that the user could.
	return c, faults, nil
}

var errNoHierarchy = errors.New("no cgroup file system is mounted at " + cgroup.Root)

// noHierarchy is what a container that should have a cgroup asks for where there is none.
// Without one it would have all devices, too, which no config asks for.
func noHierarchy(s *specs.Spec, h *host) (faults []error) {
	if s.Linux != nil {
		if _, err := cgroup.Writes(h.layout, s.Linux.Resources); err != nil {
			faults = append(faults, err)
		}
	}
	if !h.rootless {
		faults = append(faults, advise(fmt.Errorf(makeCgroup+": %w", errNoHierarchy),
			"mount -t cgroup2 cgroup2 "+cgroup.Root+"; or go without limits and a device filter: --cgroup-manager disabled"))
	}
	return faults
}

// refuses says what keeps a rootless container out of its cgroup.
func (h *host) refuses(dirs cgroup.Dirs) error {
	if !h.rootless {
		return nil
	}
	return dirs.Permitted(h.access)
}

// undelegated are the limits of controllers that a rootless container's cgroup cannot get.
func (h *host) undelegated(dirs cgroup.Dirs, writes []cgroup.Write) []error {
	if !h.rootless {
		return nil
	}
	var faults []error
	for _, w := range writes {
		if why := dirs.Undelegated(w.Controller, h.access, h.controllers); w.Unified && why != "" {
			faults = append(faults, fmt.Errorf("%s: %s", w.Field, why))
		}
	}
	return faults
}

// devices translates the device rules: the config's, then those of the devices
// that every container has.
func (c *cgroups) devices(r *specs.LinuxResources) []error {
	var rules []specs.LinuxDeviceCgroup
	if r != nil {
		rules = append(rules, r.Devices...)
	}
	rules = append(rules, devfilter.DefaultRules()...)
	c.deviceRules = len(rules)
	var err error
	if c.mode == cgroup.Unified {
		c.deviceFilter, err = devfilter.Compile(rules)
	} else if c.hasController("devices") {
		var lines []devfilter.Line
		lines, err = devfilter.V1(rules)
		for _, l := range lines {
			c.deviceLines = append(c.deviceLines, cgroup.Write{Field: "/linux/resources/devices", Controller: "devices", File: l.File, Value: l.Value})
		}
		if err == nil && c.scope != nil {
			var keep []systemd.Property
			if keep, err = deviceProperties(c.deviceLines); err != nil {
				err = fmt.Errorf("/linux/resources/devices: %w", err)
			}
			c.scope.properties = systemd.Merge(c.scope.properties, keep)
		}
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

func (c *cgroups) hasController(name string) bool {
	return slices.ContainsFunc(c.dirs, func(d cgroup.Dir) bool { return slices.Contains(d.Hierarchy.Controllers, name) })
}

// unified says whether the first process can be born in its cgroup.
func (c *cgroups) unified() bool {
	return c != nil && c.mode != cgroup.Legacy && c.scope == nil
}

// field is what asks for the cgroup, if anything does.
func (c *cgroups) field() string {
	if c.path == "" {
		return ""
	}
	return "/linux/cgroupsPath"
}

// makeCgroup makes the cgroup with its limits, before anything runs in it.
func (b *birth) makeCgroup() []plan.Step {
	c := b.cgroups
	if c == nil {
		return nil
	}
	if c.scope != nil {
		return b.connectSystemd()
	}
	steps := []plan.Step{{
		Field: c.field(), By: plan.Runtime, Name: makeCgroup, Words: makeCgroup + " " + strings.Join(c.dirs.Paths(), ", "),
		Shell: b.typed(c.shellMake),
		Do: func() (func() error, error) {
			cg, err := c.dirs.Create(cgroup.Controllers(append(append([]cgroup.Write(nil), c.before...), c.after...)), statisticsControllers)
			if err != nil {
				return nil, err
			}
			b.cgroup = cg
			return func() error {
				// A hook may have left a process in it.
				return errors.Join(cg.Kill(), cg.Undo())
			}, nil
		},
	}}
	for _, w := range c.before {
		steps = append(steps, b.cgroupWrite(w))
	}
	if !b.filtersBeside() {
		steps = append(steps, b.deviceSteps()...)
	}
	return append(steps, b.delegateCgroup(true)...)
}

// filtersBeside says whether the device filter is set while init works: it counts for every
// access from then on, of whichever process, and init waits for the runtime before anything of the
// container runs. It is a program, and the kernel takes 0.3 ms to verify it.
func (b *birth) filtersBeside() bool {
	c := b.cgroups
	return c != nil && c.scope == nil && c.deviceFilter != nil && b.restored == nil
}

// filterBeside is the step of the device filter directly behind the clone.
func (b *birth) filterBeside() []plan.Step {
	if !b.filtersBeside() {
		return nil
	}
	steps := b.deviceSteps()
	for i := range steps {
		steps[i].Beside = true
		steps[i].Words += ", while init works"
	}
	return steps
}

// deviceSteps brings the device filter into force, if there is one.
func (b *birth) deviceSteps() []plan.Step {
	c := b.cgroups
	if len(c.deviceLines) == 0 && c.deviceFilter == nil {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/resources/devices", By: plan.Runtime,
		Words:  fmt.Sprintf("set the device filter of %d rules", c.deviceRules),
		Detail: "the config's rules, then those that allow the default devices",
		Reason: "an absent list denies every other device",
		Shell:  b.typed(c.shellDeviceFilter),
		Do:     func() (func() error, error) { return nil, b.filterDevices() },
	}}
}

// filterDevices brings the device filter into force: on v2 a program, on v1 and
// hybrid the devices controller.
func (b *birth) filterDevices() error {
	if b.cgroups.deviceFilter != nil {
		return b.cgroups.deviceFilter.Attach(b.cgroup.UnifiedFd())
	}
	return b.cgroup.WriteAll(b.cgroups.deviceLines)
}

// limitCgroup writes the limits that would count the runtime's own thread while
// it lends its cgroups to the clone. They are due before the container's process
// runs, and wait with the last step of the runtime for the same sync point.
func (b *birth) limitCgroup() []plan.Step {
	var steps []plan.Step
	if b.cgroups == nil {
		return nil
	}
	for _, w := range b.cgroups.after {
		steps = append(steps, b.cgroupWrite(w))
	}
	return steps
}

func (b *birth) cgroupWrite(w cgroup.Write) plan.Step {
	return plan.Step{
		Field: w.Field, By: plan.Runtime, Words: fmt.Sprintf("write %s to %s", w.Value, w.File),
		Shell: b.typed(func() []string { return b.cgroups.shellLimit(w) }),
		Do:    func() (func() error, error) { return nil, b.cgroup.WriteAll([]cgroup.Write{w}) },
	}
}

// enterCgroup moves the thread that is about to clone into the container's v1
// cgroups, so that the child is born there. Moving a single thread that moves
// itself costs no grace period of RCU; moving the finished child would.
func (b *birth) enterCgroup() error {
	if b.cgroup == nil {
		return nil
	}
	restore, err := b.cgroup.EnterThread()
	b.threadBack = restore
	return err
}

func (b *birth) leaveCgroup() error {
	if b.threadBack == nil {
		return nil
	}
	return b.threadBack()
}

// callersCgroups returns the directory of cgroup2 that a mount of it shows, if it shows what
// the caller's does: the container shares the caller's cgroup namespace, by which
// its paths in /proc/PID/cgroup count, and has the right to mount it. runc and crun
// mount it then too. Otherwise it returns "".
func (b *birth) callersCgroups() string {
	switch {
	case b.ns.private(unix.CLONE_NEWCGROUP) || b.inUsers() || !b.host.initial || !b.host.namespaces:
		return ""
	case b.cgroups == nil:
		return b.host.unified()
	}
	return b.cgroups.dirs[0].Hierarchy.Dir
}

// unifiedMount returns the directory where cgroup2 is mounted, "" if it is nowhere.
func unifiedMount() string {
	layout, err := cgroup.Detect()
	if err != nil {
		return ""
	}
	for i := range layout.Hierarchies {
		if h := &layout.Hierarchies[i]; h.Unified {
			return h.Dir
		}
	}
	return ""
}

// mountCgroup mounts what the container may see of the cgroup hierarchies: with
// a cgroup namespace of its own, mounts that begin at its cgroup, else binds of
// its cgroup's directories, or version 2 as the caller sees it.
func (b *birth) mountCgroup(a *program.Assembler, m *mount) {
	at := a.Reg()
	b.makeInRoot(a, at, m.dest, true, 0)
	b.notProc(a, at, m)
	own := b.ns.private(unix.CLONE_NEWCGROUP)
	attrs := m.opt
	attrs.Data, attrs.Super = nil, nil
	if b.cgroups == nil || b.cgroups.mode == cgroup.Unified {
		mnt := a.Reg()
		switch callers := b.callersCgroups(); {
		case callers != "":
			// A new mount from the first cgroup namespace would take nsdelegate and
			// memory_recursiveprot from the host's (apply_cgroup_root_flags of the kernel).
			bindCgroup(a, mnt, callers, m)
		case own || b.cgroups == nil:
			newMount(a, mnt, "cgroup2", "cgroup", &attrs)
		default:
			bindCgroup(a, mnt, b.cgroups.dirs[0].Path, m)
		}
		setAttributes(a, mnt.Arg(), m)
		attachAt(a, mnt.Arg(), at).Note(m.dest)
		closeFd(a, mnt, at)
		return
	}

	// v1: a tmpfs with a directory for each hierarchy, and links for
	// controllers that share one.
	top := a.Reg()
	tmpfs := mountopt.Options{
		AttrSet: attrs.AttrSet &^ unix.MOUNT_ATTR_RDONLY,
		Data:    []mountopt.Datum{{Key: "mode", Value: "755"}},
	}
	newMount(a, top, "tmpfs", "cgroup", b.labelled("tmpfs", tmpfs))
	attachAt(a, top.Arg(), at).Note(m.dest)
	for _, d := range b.cgroups.dirs {
		name := path.Base(d.Hierarchy.Dir)
		a.Call(program.Discard, unix.SYS_MKDIRAT, top.Arg(), a.String(name), program.Const(0o755)).Note(m.dest + "/" + name)
		mnt := a.Reg()
		if own {
			opt := attrs
			fstype := "cgroup"
			switch {
			case d.Hierarchy.Unified:
				fstype = "cgroup2"
			case d.Hierarchy.Name != "" && len(d.Hierarchy.Controllers) == 0:
				opt.Data = []mountopt.Datum{{Key: "none", Flag: true}, {Key: "name", Value: d.Hierarchy.Name}}
			default:
				for _, c := range d.Hierarchy.Controllers {
					opt.Data = append(opt.Data, mountopt.Datum{Key: c, Flag: true})
				}
			}
			newMount(a, mnt, fstype, "cgroup", &opt)
		} else {
			bindCgroup(a, mnt, d.Path, m)
		}
		a.Call(program.Discard, unix.SYS_MOVE_MOUNT, mnt.Arg(), a.String(""), top.Arg(), a.String(name),
			program.Const(unix.MOVE_MOUNT_F_EMPTY_PATH)).Note(m.dest + "/" + name)
		closeFd(a, mnt)
		if strings.Contains(name, ",") {
			for _, c := range d.Hierarchy.Controllers {
				a.Call(program.Discard, unix.SYS_SYMLINKAT, a.String(name), top.Arg(), a.String(c)).Note(m.dest + "/" + c)
			}
		}
	}
	if attrs.AttrSet&unix.MOUNT_ATTR_RDONLY != 0 {
		setReadonly(a, top.Arg(), 0).Note(m.dest)
	}
	closeFd(a, top, at)
}

// bindCgroup clones the host's mount at the container's own cgroup directory.
func bindCgroup(a *program.Assembler, mnt program.Reg, dir string, m *mount) {
	a.Call(mnt, unix.SYS_OPEN_TREE, program.Const(unix.AT_FDCWD), a.String(dir),
		program.Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).Note(dir)
	a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, mnt.Arg(), a.String(""), program.Const(unix.AT_EMPTY_PATH),
		a.MountAttr(m.opt.AttrSet, m.opt.AttrClear, unix.MS_SLAVE, 0), program.MountAttrSize).Note(dir)
}
