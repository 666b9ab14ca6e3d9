package cgroup

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oci-mini/oci-mini/internal/cgroup/cgrouptest"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestV2Detect(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	l := layout(t, Unified)
	if len(l.Hierarchies) != 1 || l.Hierarchies[0].Dir != Root || !l.Hierarchies[0].Unified {
		t.Errorf("%+v", l)
	}
	if want := strings.Fields(content(t, Root, "cgroup.controllers")); !slices.Equal(l.Hierarchies[0].Controllers, want) {
		t.Errorf("%+v, want %v", l, want)
	}
}

// huge skips without the hugetlb controller, and puts the root back as it was.
func huge(t *testing.T, l *Layout) {
	t.Helper()
	if !l.Hierarchies[0].has("hugetlb") {
		t.Skip("no hugetlb controller")
	}
	if !strings.Contains(content(t, Root, "cgroup.subtree_control"), "hugetlb") {
		t.Cleanup(func() {
			if err := os.WriteFile(Root+"/cgroup.subtree_control", []byte("-hugetlb"), 0); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestV2Controllers(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	l := layout(t, Unified)
	huge(t, l)
	where := name()
	size := ""
	c := create(t, l, where+"/mid/leaf", "hugetlb", "nothing")
	leaf := c.unified().Path
	if got := content(t, leaf, "cgroup.controllers"); got != "hugetlb" {
		t.Errorf("controllers of the leaf: %q", got)
	}
	if got := content(t, leaf, "cgroup.subtree_control"); got != "" {
		t.Errorf("the leaf passes on %q", got)
	}
	names, _ := os.ReadDir(leaf)
	for _, n := range names {
		if s, ok := strings.CutSuffix(n.Name(), ".rsvd.max"); ok {
			size = strings.TrimPrefix(s, "hugetlb.")
		}
	}
	writes, err := Writes(l, &specs.LinuxResources{
		HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: size, Limit: 4 << 30}},
		Unified:        map[string]string{"cgroup.max.depth": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteAll(writes); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"hugetlb." + size + ".max": "4294967296", "hugetlb." + size + ".rsvd.max": "4294967296", "cgroup.max.depth": "7",
	} {
		if got := content(t, leaf, file); got != want {
			t.Errorf("%s is %s", file, got)
		}
	}
	// A controller that nobody passed on, and one that is there.
	err = c.Write(Write{Controller: "memory", Unified: true, File: "memory.max", Value: "1"})
	if want := leaf + "/memory.max: write 1: cgroup controller memory is not enabled here: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	err = c.Write(Write{Controller: "hugetlb", Unified: true, File: "hugetlb.nothing", Value: "1"})
	if want := leaf + "/hugetlb.nothing: write 1: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}

	// Without a need nothing is enabled.
	if got := content(t, create(t, l, where+"/plain/leaf").unified().Path, "cgroup.controllers"); got != "" {
		t.Errorf("enabled without need: %q", got)
	}
	// Below a cgroup with a process nothing can be.
	full := create(t, l, where+"/full")
	proc := start(t, nil)
	if err := full.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	d, _ := l.Dirs(where+"/full/leaf", "")
	_, err = d.Create([]string{"hugetlb"}, nil)
	want := full.unified().Path + "/cgroup.subtree_control: write +hugetlb: a cgroup that has processes cannot pass on controllers: device or resource busy"
	if err == nil || err.Error() != want || !errors.Is(err, unix.EBUSY) {
		t.Errorf("%v, want %s", err, want)
	}
	if exists(d[0].Path) {
		t.Error("left behind:", d[0].Path)
	}
	// Unless it was only a wish.
	if c, err := d.Create(nil, []string{"hugetlb"}); err != nil {
		t.Error(err)
	} else if err := errors.Join(c.Undo(), proc.Process.Kill()); err != nil {
		t.Error(err)
	}
	proc.Wait()
}

// Once its controller is on, a file says what no write has changed yet.
func TestV2TurnOn(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	l := layout(t, Unified)
	huge(t, l)
	c := create(t, l, name()+"/leaf")
	// Optional: which sizes there are is not asked.
	w := Write{Controller: "hugetlb", Unified: true, File: "hugetlb.2MB.max", Value: "0", Optional: true}
	if _, text, ok := c.Present(w); ok {
		t.Fatalf("there before: %q", text)
	}
	if err := c.TurnOn([]Write{w}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, c.unified().Path, "cgroup.controllers"); got != "hugetlb" {
		t.Errorf("controllers: %q", got)
	}
	if _, text, ok := c.Present(w); exists(c.unified().Path+"/"+w.File) && (!ok || text == "0\n") {
		t.Errorf("it says %q", text)
	}

	// Below a cgroup with a process it is refused, and says for whom.
	full := create(t, l, name()+"/full")
	leaf := create(t, l, strings.TrimPrefix(full.unified().Path, Root)+"/leaf")
	proc := start(t, nil)
	if err := full.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	w.Field = "/hugepageLimits/0/limit"
	var refused *WriteError
	if err := leaf.TurnOn([]Write{{Field: "/unified/cgroup.x", Controller: "cgroup", Unified: true}, w}); !errors.As(err, &refused) ||
		!errors.Is(err, unix.EBUSY) || refused.Field != w.Field {
		t.Errorf("%v of %+v, want EBUSY of %s", err, refused, w.Field)
	}
	if err := proc.Process.Kill(); err != nil {
		t.Error(err)
	}
	proc.Wait()
}

func TestV2Processes(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	l := layout(t, Unified)
	where := name()
	c := create(t, l, where)
	proc := start(t, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.UnifiedFd()})
	if pids, err := c.Pids(false); err != nil || !slices.Equal(pids, []int{proc.Process.Pid}) {
		t.Error(pids, err)
	}
	d, _ := l.Dirs(where, "")
	if _, err := d.Create(nil, nil); !errors.Is(err, ErrNotEmpty) {
		t.Error(err)
	}
	proc.stop()
	freezeAndKill(t, c)

	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{where, where + "/new"} {
		d, _ := l.Dirs(p, "")
		if _, err := d.Create(nil, nil); !errors.Is(err, ErrFrozen) {
			t.Errorf("%s frozen: %v", p, err)
		}
	}
	// A child stands still with its parent, but was not told to.
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	child := create(t, l, where+"/child")
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	if frozen, err := child.Frozen(); frozen || err != nil {
		t.Error(frozen, err)
	}
	if stopped, err := child.unified().stopped(); !stopped || err != nil {
		t.Error(stopped, err)
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}

	// There is nothing to enter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := content(t, "/proc/thread-self/cgroup")
	restore, err := c.EnterThread()
	if err != nil || content(t, "/proc/thread-self/cgroup") != before {
		t.Error(err)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
}

func TestV2Remove(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	removal(t, layout(t, Unified))
}

// TestV2KillBelow: the processes of child cgroups are killed with the rest.
func TestV2KillBelow(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	c := create(t, layout(t, Unified), name())
	proc := start(t, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: c.UnifiedFd()})
	sub := create(t, layout(t, Unified), strings.TrimPrefix(c.Paths()[0], Root)+"/sub")
	deep := start(t, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: sub.UnifiedFd()})
	within(t, 2*time.Second, "kill", func() {
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		proc.Wait()
		deep.Wait()
	})
	if err := c.Remove(); err != nil {
		t.Error(err)
	}
}

func TestV2KillRefusesRoot(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	c, err := OpenExisting([]string{Root})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Kill(); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}
