package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/resctrl"
	"github.com/oci-mini/oci-mini/internal/resctrl/resctrltest"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/spec"
)

// rdtBirth is a container that is born on a machine with a tree like resctrl's, as far as
// the tree sees it. Its first process is called 4242.
func rdtBirth(t *testing.T, root *resctrl.Root, c specs.LinuxIntelRdt) *birth {
	t.Helper()
	s := spec.Default()
	s.Linux.IntelRdt = &c
	if err := spec.Validate(s); err != nil {
		t.Fatal(err)
	}
	h := testHost(nil, "")
	h.resctrl = func() (*resctrl.Root, error) { return root, nil }
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, h, birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.findRdt(); err != nil {
		t.Fatal(err)
	}
	b.child = &program.Child{Pid: 4242}
	b.dir = &state.Dir{Record: b.record()}
	return b
}

// rdtSteps carries out what a Plan does with the tree, up to the first failure.
func rdtSteps(b *birth, undo *undoStack) error {
	for _, s := range b.plan().Steps {
		if strings.HasPrefix(s.Field, "/linux/intelRdt") {
			if err := b.do(&s, undo); err != nil {
				return err
			}
		}
	}
	b.dir.Record.Phase, b.dir.Record.Rdt.Remove = state.Ready, b.rdt.settled()
	return nil
}

// groups are the directories of the tree's groups.
func groups(t *testing.T, root *resctrl.Root) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root.Path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == "tasks" && filepath.Dir(path) != root.Path {
			list = append(list, strings.TrimPrefix(filepath.Dir(path), root.Path+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// TestRdtLife: what is made, what is on record before it is, and what goes at delete.
func TestRdtLife(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   specs.LinuxIntelRdt
		exists   string
		group    string   // where the process is
		planned  []string // removed if the runtime dies on the way
		made     []string
		left     []string // after delete
		schemata string
	}{
		{"of its own", specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f", MemBwSchema: "MB:0=20", Schemata: []string{"L2:0=1", "L3:1=f0"}}, "", "web", []string{"web"}, []string{"web"}, nil, "L3:0=f\nMB:0=20\nL2:0=1\nL3:1=f0\n"},
		{"of its own, monitored", specs.LinuxIntelRdt{EnableMonitoring: true}, "", "web", []string{"web/mon_groups/web", "web"}, []string{"web", "web/mon_groups/web"}, nil, resctrltest.Schemata},
		{"of its own, but there before", specs.LinuxIntelRdt{L3CacheSchema: "L3:0=7ff"}, "web", "web", nil, []string{"web"}, []string{"web"}, resctrltest.Schemata},
		{"named, new", specs.LinuxIntelRdt{ClosID: "gold", MemBwSchema: "MB:0=20"}, "", "gold", []string{"gold"}, []string{"gold"}, []string{"gold"}, "MB:0=20\n"},
		{"named, there before, monitored", specs.LinuxIntelRdt{ClosID: "gold", MemBwSchema: "MB:0=100", EnableMonitoring: true}, "gold", "gold", []string{"gold/mon_groups/web"}, []string{"gold", "gold/mon_groups/web"}, []string{"gold"}, resctrltest.Schemata},
		{"prepared", specs.LinuxIntelRdt{ClosID: "gold"}, "gold", "gold", nil, []string{"gold"}, []string{"gold"}, resctrltest.Schemata},
		{"the default one, monitored", specs.LinuxIntelRdt{ClosID: "/", EnableMonitoring: true}, "", "", []string{"mon_groups/web"}, []string{"mon_groups/web"}, nil, resctrltest.Schemata},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := resctrltest.New(t)
			if c.exists != "" {
				if err := root.Mkdir(filepath.Join(root.Path, c.exists)); err != nil {
					t.Fatal(err)
				}
			}
			b := rdtBirth(t, root, c.config)
			var planned []string
			for _, dir := range b.dir.Record.Rdt.Remove {
				planned = append(planned, strings.TrimPrefix(dir, root.Path+"/"))
			}
			if !slices.Equal(planned, c.planned) {
				t.Errorf("on record are %q, should be %q", planned, c.planned)
			}
			var undo undoStack
			if err := rdtSteps(b, &undo); err != nil {
				t.Fatal(err)
			}
			if got := groups(t, root); !slices.Equal(got, c.made) {
				t.Errorf("there are %q, should be %q", got, c.made)
			}
			if got := resctrltest.Read(t, root.Path, c.group, "tasks"); got != "4242" {
				t.Errorf("the tasks are %q", got)
			}
			if c.config.EnableMonitoring {
				if got := resctrltest.Read(t, root.Path, c.group, "mon_groups/web/tasks"); got != "4242" {
					t.Errorf("the monitored tasks are %q", got)
				}
			}
			if got := resctrltest.Read(t, root.Path, c.group, "schemata"); got != c.schemata {
				t.Errorf("the schemata are %q", got)
			}
			if got := resctrltest.Read(t, root.Path, "schemata"); got != resctrltest.Schemata {
				t.Errorf("the schemata of the default group are %q", got)
			}
			if err := removeGroups(b.dir.Record, root); err != nil {
				t.Fatal(err)
			}
			if got := groups(t, root); !slices.Equal(got, c.left) {
				t.Errorf("left are %q, should be %q", got, c.left)
			}
		})
	}
}

// TestRdtFails: what was made on the way goes, what was there stays.
func TestRdtFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		config specs.LinuxIntelRdt
		exists string
		fails  string // base name of the directory that cannot be made
		words  string
	}{
		{"no prepared group", specs.LinuxIntelRdt{ClosID: "gold"}, "", "", "there is no resctrl group"},
		{"another schema", specs.LinuxIntelRdt{ClosID: "gold", L3CacheSchema: "L3:0=1"}, "gold", "", "L3:0=1 is asked for"},
		{"the default group with another schema", specs.LinuxIntelRdt{ClosID: "/", L3CacheSchema: "L3:0=1"}, "", "", "L3:0=1 is asked for"},
		{"no more groups", specs.LinuxIntelRdt{}, "", "web", "no space left"},
		{"no more monitored groups", specs.LinuxIntelRdt{EnableMonitoring: true, ClosID: "gold", L3CacheSchema: "L3:0=1"}, "", "mon_groups/web", "no space left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := resctrltest.New(t)
			var before []string
			if c.exists != "" {
				before = []string{c.exists}
				if err := root.Mkdir(filepath.Join(root.Path, c.exists)); err != nil {
					t.Fatal(err)
				}
			}
			mkdir := root.Mkdir
			root.Mkdir = func(path string) error {
				if c.fails != "" && strings.HasSuffix(path, "/"+c.fails) {
					return errors.New("no space left on device")
				}
				return mkdir(path)
			}
			b := rdtBirth(t, root, c.config)
			var undo undoStack
			err := rdtSteps(b, &undo)
			if err == nil || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "/linux/intelRdt") {
				t.Errorf("the error is %v", err)
			}
			if err := undo.unwind(); err != nil {
				t.Error(err)
			}
			if got := groups(t, root); !slices.Equal(got, before) {
				t.Errorf("left are %q, should be %q", got, before)
			}
		})
	}
}

// TestRdtOfADeadRuntime: delete removes what the record names, but no group that others
// have come to use.
func TestRdtOfADeadRuntime(t *testing.T) {
	root := resctrltest.New(t)
	b := rdtBirth(t, root, specs.LinuxIntelRdt{EnableMonitoring: true})
	if err := b.do(&b.makeRdt()[0], &undoStack{}); err != nil {
		t.Fatal(err)
	}
	resctrltest.Write(t, root.Path, map[string]string{"web/tasks": "77\n"})
	if err := removeGroups(b.dir.Record, root); err != nil || len(groups(t, root)) != 1 {
		t.Errorf("a group in use: %v, %v", err, groups(t, root))
	}
	resctrltest.Write(t, root.Path, map[string]string{"web/tasks": ""})
	if err := removeGroups(b.dir.Record, root); err != nil || len(groups(t, root)) != 0 {
		t.Errorf("a group without tasks: %v, %v", err, groups(t, root))
	}
}

// TestRdtExec: a process of exec joins the groups that are on record.
func TestRdtExec(t *testing.T) {
	root := resctrltest.New(t)
	b := rdtBirth(t, root, specs.LinuxIntelRdt{EnableMonitoring: true})
	if err := rdtSteps(b, &undoStack{}); err != nil {
		t.Fatal(err)
	}
	e := rdtBirth(t, root, specs.LinuxIntelRdt{EnableMonitoring: true})
	e.joins, e.dir, e.child.Pid, e.rdt.group = true, b.dir, 4343, nil
	joined := false
	for _, s := range e.execPlan(nil).Steps {
		if s.Field == "/linux/intelRdt" {
			joined = true
			if err := e.do(&s, &undoStack{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !joined {
		t.Error("exec has no step that joins the group")
	}
	for _, file := range []string{"web/tasks", "web/mon_groups/web/tasks"} {
		if got := resctrltest.Read(t, root.Path, file); got != "4343" {
			t.Errorf("%s is %q", file, got)
		}
	}
}

// TestRdtUpdate changes schemata, and takes the change back.
func TestRdtUpdate(t *testing.T) {
	root := resctrltest.New(t)
	b := rdtBirth(t, root, specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f", MemBwSchema: "MB:0=20"})
	if err := rdtSteps(b, &undoStack{}); err != nil {
		t.Fatal(err)
	}
	rec := b.dir.Record
	back, err := updateRdt(rec, "L3:0=ff", "MB:0=30")
	if err != nil {
		t.Fatal(err)
	}
	schemata := func() string { return resctrltest.Read(t, root.Path, "web/schemata") }
	if got := schemata(); got != "L3:0=ff\nMB:0=30\n" {
		t.Errorf("the schemata are %q", got)
	}
	if err := back(); err != nil || schemata() != "L3:0=f\nMB:0=20\n" {
		t.Errorf("taken back: %v, %q", err, schemata())
	}
	if _, err := updateRdt(rec, "", ""); err != nil {
		t.Errorf("no flag: %v", err)
	}
	for _, c := range []struct {
		rec    *state.Record
		l3, mb string
		words  string
	}{
		{rec, "MB:0=1", "", "--l3-cache-schema: must be one line that begins with L3"},
		{rec, "", "L3:0=1", "--mem-bw-schema: must be one line that begins with MB:"},
		{rec, "L3:0=1\nMB:0=1", "", "must be one line"},
		{&state.Record{}, "L3:0=1", "", "created without /linux/intelRdt"},
		{&state.Record{Rdt: &state.Rdt{Root: root.Path, Group: root.Path}}, "L3:0=1", "", "the host's"},
	} {
		if _, err := updateRdt(c.rec, c.l3, c.mb); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q, %q: %v", c.l3, c.mb, err)
		}
	}
	if got := schemata(); got != "L3:0=f\nMB:0=20\n" {
		t.Errorf("a refused update leaves %q", got)
	}
}

// TestRdtUpdateWithoutCgroup: what has nothing to do with a cgroup needs none; what has
// is refused then, and the schemata are as before.
func TestRdtUpdateWithoutCgroup(t *testing.T) {
	root := resctrltest.New(t)
	b := rdtBirth(t, root, specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f"})
	if err := rdtSteps(b, &undoStack{}); err != nil {
		t.Fatal(err)
	}
	self, err := process.Self()
	if err != nil {
		t.Fatal(err)
	}
	b.dir.Record.Init, b.dir.Record.Cgroup = state.Process(self), state.Cgroup{}
	ask := func(l3, pids string) error {
		r := &specs.LinuxResources{}
		if err := resourceFlags(r, func(name string) string { return map[string]string{"pids-limit": pids}[name] }); err != nil {
			t.Fatal(err)
		}
		return updateContainer(b.dir, r, l3, "")
	}
	schemata := func() string { return strings.Split(resctrltest.Read(t, root.Path, "web/schemata"), "\n")[0] }
	if err := ask("L3:0=ff", ""); err != nil || schemata() != "L3:0=ff" {
		t.Errorf("%v, the schemata are %q", err, schemata())
	}
	for _, l3 := range []string{"L3:0=3", ""} {
		if err := ask(l3, "5"); err == nil || !strings.Contains(err.Error(), "created without a cgroup") || schemata() != "L3:0=ff" {
			t.Errorf("with a limit of processes: %v, the schemata are %q", err, schemata())
		}
	}
	b.dir.Record.Init.StartTime-- // somebody else's pid by now
	if err := ask("L3:0=3", ""); !errors.Is(err, errNotRunning) || schemata() != "L3:0=ff" {
		t.Errorf("a stopped container: %v, the schemata are %q", err, schemata())
	}
}

// TestRdtIsFoundOnDemand: a config that does not ask for it looks for no file system.
func TestRdtIsFoundOnDemand(t *testing.T) {
	h := testHost(nil, "")
	h.resctrl = func() (*resctrl.Root, error) { t.Error("resctrl is looked for"); return nil, os.ErrNotExist }
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", spec.Default(), h, birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.findRdt(); err != nil {
		t.Error(err)
	}
	if rec := b.record(); rec.Rdt != nil {
		t.Errorf("on record is %+v", rec.Rdt)
	}
}
