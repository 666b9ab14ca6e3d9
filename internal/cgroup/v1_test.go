package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestV1Create(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	parent := name()
	c := create(t, l, parent+"/mid/leaf")
	if got, want := len(c.made), 3*len(l.Hierarchies); got != want {
		t.Errorf("made %d directories, want %d", got, want)
	}
	for _, p := range c.Paths() {
		if !exists(p) || !strings.HasSuffix(p, parent+"/mid/leaf") {
			t.Error(p)
		}
	}
	if d := c.v1("cpuset"); d != nil {
		for _, p := range []string{d.Path, path.Dir(d.Path), path.Dir(path.Dir(d.Path))} {
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				if got, want := content(t, p, f), content(t, d.Hierarchy.Dir, f); got != want {
					t.Errorf("%s/%s is %q, want %q", p, f, got, want)
				}
			}
		}
	}

	// Again is fine, as long as nobody is inside; nothing new is made.
	again := create(t, l, parent+"/mid/leaf")
	if len(again.made) != 0 {
		t.Error("made", again.made)
	}
	// A second leaf is undone without touching the first.
	second := create(t, l, parent+"/mid/second")
	if err := second.Undo(); err != nil || exists(second.dirs[0].Path) || !exists(c.dirs[0].Path) {
		t.Error("undo:", err)
	}

	opened, err := OpenExisting(append(c.Paths(), Root+"/memory/oci-mini-missing"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if !slices.Equal(opened.Paths(), c.Paths()) {
		t.Errorf("opened %v", opened.Paths())
	}
	for i, d := range opened.dirs {
		if h := c.dirs[i].Hierarchy; d.Hierarchy.Dir != h.Dir || d.Hierarchy.Unified != h.Unified {
			t.Errorf("%+v, want %+v", d.Hierarchy, h)
		}
	}
	if _, err := OpenExisting([]string{t.TempDir()}); err == nil {
		t.Error("opened a directory that is no cgroup")
	}
}

func TestV1CreateRefuses(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	where := name()
	c := create(t, l, where)
	d, _ := l.Dirs(where, "")

	proc := start(t, nil)
	if err := c.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if lines := cgroups(t, proc.Process.Pid, where); len(lines) != len(l.Hierarchies) {
		t.Errorf("joined only %q", lines)
	}
	if _, err := d.Create(nil, nil); !errors.Is(err, ErrNotEmpty) {
		t.Error("not empty:", err)
	}
	// A process further down counts too.
	up, _ := l.Dirs(path.Dir(where+"/x"), "")
	if _, err := up.Create(nil, nil); !errors.Is(err, ErrNotEmpty) {
		t.Error("not empty below:", err)
	}
	proc.stop()

	for _, freezer := range []*openDir{c.v1("freezer"), c.unified()} {
		if freezer == nil {
			continue
		}
		file, on, off := "freezer.state", "FROZEN", "THAWED"
		if freezer.Hierarchy.Unified {
			file, on, off = "cgroup.freeze", "1", "0"
		}
		if err := writeAt(freezer.fd, file, on); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{where, where + "/new"} {
			d, _ := l.Dirs(p, "")
			if _, err := d.Create(nil, nil); !errors.Is(err, ErrFrozen) {
				t.Errorf("%s frozen: %v", p, err)
			}
			if p != where && exists(d[0].Path) {
				t.Error("left behind:", d[0].Path)
			}
		}
		if err := writeAt(freezer.fd, file, off); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := d.Create(nil, nil); err != nil {
		t.Error("thawed and empty:", err)
	} else {
		again.Close()
	}
}

func TestV1WriteAll(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	const mb = 1 << 20
	memory := func(limit, swap int64) *specs.LinuxResources {
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}}
	}
	cpu := func(quota int64, period, burst uint64) *specs.LinuxResources {
		return &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: &period, Burst: &burst}}
	}
	// Each step is refused by the kernel in one of the two orders.
	for _, step := range []struct {
		name string
		r    *specs.LinuxResources
		want map[string]string
	}{
		{"new", memory(64*mb, 96*mb), map[string]string{"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296"}},
		{"both higher", memory(128*mb, 256*mb), map[string]string{"memory.limit_in_bytes": "134217728", "memory.memsw.limit_in_bytes": "268435456"}},
		{"both lower", memory(16*mb, 16*mb), map[string]string{"memory.limit_in_bytes": "16777216", "memory.memsw.limit_in_bytes": "16777216"}},
		{"unlimited", memory(-1, -1), map[string]string{"memory.limit_in_bytes": "9223372036854771712", "memory.memsw.limit_in_bytes": "9223372036854771712"}},
		{"new cpu", cpu(50000, 100000, 10000), map[string]string{"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000", "cpu.cfs_burst_us": "10000"}},
		{"quota below the old burst", cpu(5000, 100000, 1000), map[string]string{"cpu.cfs_quota_us": "5000", "cpu.cfs_burst_us": "1000"}},
		{"burst above the old quota", cpu(80000, 100000, 60000), map[string]string{"cpu.cfs_quota_us": "80000", "cpu.cfs_burst_us": "60000"}},
		{"idle with a weight", &specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: p(int64(1)), Shares: p(uint64(512))}}, map[string]string{"cpu.idle": "1"}},
		{"another weight while idle", &specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: p(int64(0)), Shares: p(uint64(256))}}, map[string]string{"cpu.idle": "0", "cpu.shares": "256"}},
		{"the rest", &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Reservation: p(int64(mb)), Swappiness: p(uint64(7)), DisableOOMKiller: p(true)},
			Pids:   &specs.LinuxPids{Limit: p(int64(0))},
			CPU:    &specs.LinuxCPU{Cpus: "0", Mems: "0"},
		}, map[string]string{"memory.soft_limit_in_bytes": "1048576", "memory.swappiness": "7", "pids.max": "0", "cpuset.cpus": "0"}},
	} {
		writes, err := Writes(l, step.r)
		if err != nil {
			t.Fatal(step.name, err)
		}
		if err := c.WriteAll(writes); err != nil {
			t.Fatal(step.name, err)
		}
		for file, want := range step.want {
			controller, _, _ := strings.Cut(file, ".")
			if got := content(t, c.v1(controller).Path, file); got != want {
				t.Errorf("%s: %s is %s, want %s", step.name, file, got, want)
			}
		}
	}

	// A limit in a child, that the parent forbids: it is refused in the end.
	child := create(t, l, strings.TrimPrefix(c.v1("cpu").Path, c.v1("cpu").Hierarchy.Dir)+"/child")
	writes, _ := Writes(l, cpu(90000, 100000, 0))
	var refused *WriteError
	if err := child.WriteAll(writes); !errors.As(err, &refused) || !errors.Is(err, unix.EINVAL) || refused.Field != "/linux/resources/cpu/quota" {
		t.Error(err)
	} else if want := refused.Path + ": write 90000: invalid argument"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestWriteErrors(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	dir := c.v1("memory").Path
	for _, test := range []struct {
		w    Write
		want string
	}{
		{Write{Controller: "memory", File: "memory.swappiness", Value: "many"}, dir + "/memory.swappiness: write many: invalid argument"},
		{Write{Controller: "memory", File: "memory.nothing", Value: "1"}, dir + "/memory.nothing: write 1: no such file or directory"},
		{Write{Controller: "memory", File: "../memory.swappiness", Value: "1"}, dir + "/../memory.swappiness: write 1: invalid cross-device link"},
		{Write{Controller: "nothing", File: "x", Value: "1"}, "x: write 1: cgroup controller nothing: no cgroup hierarchy has it"},
		{Write{Controller: "memory", File: "memory.nothing", Optional: true}, ""},
		{Write{Controller: "memory", File: "memory.nothing", Value: "1", Else: &Write{Controller: "memory", File: "memory.swappiness", Value: "3"}}, ""},
	} {
		got := ""
		if err := c.Write(test.w); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	if got := content(t, dir, "memory.swappiness"); got != "3" {
		t.Error("the other file was not written:", got)
	}

	// Memory is charged where its user is born, not where it moves to.
	restore := enter(t, c)
	inside := start(t, nil)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	err := c.Write(Write{Controller: "memory", File: "memory.limit_in_bytes", Value: "4096"})
	if err == nil || !strings.HasPrefix(err.Error(), "unable to set memory limit to 4096 (current usage: ") || !errors.Is(err, unix.EBUSY) {
		t.Error(err)
	}
	inside.stop()
}

func TestMemoryUsage(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	if killed, err := c.OOMKilled(); err != nil || killed {
		t.Error(killed, err)
	}
	restore := enter(t, c)
	proc := start(t, nil)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	current, peak, err := c.MemoryUsage()
	if err != nil || current == 0 || peak < current {
		t.Error(current, peak, err)
	}
	proc.stop()
}

func TestOOMKilled(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	writes, err := Writes(l, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(int64(16 << 20)), Swap: p(int64(16 << 20))}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteAll(writes); err != nil {
		t.Fatal(err)
	}
	restore := enter(t, c)
	victim := exec.Command("/proc/self/exe")
	victim.Env = append(os.Environ(), asProcess+"=hog")
	err = victim.Start()
	if rerr := restore(); rerr != nil {
		t.Fatal(rerr)
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	if killed, err := c.OOMKilled(); err != nil || !killed {
		t.Error(killed, err)
	}
}
