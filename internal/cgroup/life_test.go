package cgroup

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestV1FreezeAndKill(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	whole := create(t, l, name())
	// The same cgroup as a host without the version 2 hierarchy has it.
	legacy := &Cgroup{}
	for _, d := range whole.dirs {
		if !d.Hierarchy.Unified {
			legacy.dirs = append(legacy.dirs, d)
		}
	}
	for name, c := range map[string]*Cgroup{"hybrid": whole, "v1": legacy} {
		t.Run(name, func(t *testing.T) { freezeAndKill(t, c) })
	}
	if err := whole.Remove(); err != nil {
		t.Error(err)
	}
}

// freezeAndKill is for every mode.
func freezeAndKill(t *testing.T, c *Cgroup) {
	frozen := func(want bool) {
		t.Helper()
		if got, err := c.Frozen(); got != want || err != nil {
			t.Errorf("frozen: %v, %v", got, err)
		}
	}
	for _, killFrozen := range []bool{false, true} {
		a, b := start(t, nil), start(t, nil)
		for _, proc := range []*process{a, b} {
			if err := c.Join(proc.Process.Pid); err != nil {
				t.Fatal(err)
			}
		}
		want := []int{a.Process.Pid, b.Process.Pid}
		pids, err := c.Pids(true)
		slices.Sort(pids)
		if err != nil || !slices.Equal(pids, want) {
			t.Fatalf("%v, want %v: %v", pids, want, err)
		}
		frozen(false)
		within(t, 2*time.Second, "freeze", func() {
			if err := c.Freeze(); err != nil {
				t.Fatal(err)
			}
		})
		frozen(true)
		// It does not answer the end of its input.
		a.in.Close()
		time.Sleep(20 * time.Millisecond)
		if !alive(a.Process.Pid) {
			t.Error("a frozen process ran")
		}
		if !killFrozen {
			if err := c.Thaw(); err != nil {
				t.Fatal(err)
			}
			frozen(false)
			if err := a.Wait(); err != nil {
				t.Error(err)
			}
		}
		within(t, 2*time.Second, "kill", func() {
			if err := c.Kill(); err != nil {
				t.Fatal(err)
			}
			for _, proc := range []*process{a, b} {
				if proc.ProcessState == nil {
					proc.Wait()
				}
			}
		})
		if s := b.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != unix.SIGKILL {
			t.Error(b.ProcessState)
		}
		if err := c.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKillEscaped: a process that left in the version 2 hierarchy alone does
// not get away.
func TestKillEscaped(t *testing.T) {
	l := layout(t, Hybrid)
	c := create(t, l, name())
	proc := start(t, nil)
	if err := c.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	root := openDir{Dir{Path: c.unified().Hierarchy.Dir}, -1}
	var err error
	if root, err = open(root.Dir); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root.fd)
	if err := root.join(itoa(proc.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "kill", func() {
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		proc.Wait()
	})
}

// TestRoot asks only, and does not try Kill: if it failed, nobody would be
// left to report it.
func TestRoot(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	for _, d := range c.dirs {
		top, err := open(Dir{Hierarchy: d.Hierarchy, Path: d.Hierarchy.Dir})
		if err != nil {
			t.Fatal(err)
		}
		if !top.root() {
			t.Errorf("%s is not taken for a root", top.Path)
		}
		if d.root() {
			t.Errorf("%s is taken for a root", d.Path)
		}
		unix.Close(top.fd)
	}
}

func TestV1Remove(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	removal(t, l)
}

// removal is for every mode.
func removal(t *testing.T, l *Layout) {
	where := name()
	c := create(t, l, where)
	sub := create(t, l, where+"/a/b")
	create(t, l, where+"/c")

	descend := func(paths map[string]string) ([]string, error) {
		t.Helper()
		got, err := OpenExisting(c.Paths())
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		err = got.Descend(paths)
		return got.Paths(), err
	}
	if got, err := descend(map[string]string{"": "/../a/b"}); err != nil || !slices.Equal(got, sub.Paths()) {
		t.Error(got, err)
	}
	if _, err := descend(map[string]string{"": "missing"}); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
	if _, err := descend(map[string]string{"no-such-controller": "a"}); !errors.Is(err, ErrNoHierarchy) {
		t.Error(err)
	}
	for i := range c.dirs {
		h := &c.dirs[i].Hierarchy
		if h.Unified || len(h.Controllers) == 0 {
			continue
		}
		want := c.Paths()
		want[i] += "/a"
		if got, err := descend(map[string]string{h.Controllers[0]: "a"}); err != nil || !slices.Equal(got, want) {
			t.Error(h.Controllers, got, err)
		}
		if len(h.Controllers) > 1 {
			if got, err := descend(map[string]string{h.Controllers[0]: "a", h.Controllers[1]: "c"}); err == nil {
				t.Error("one hierarchy, two places:", got)
			}
		}
	}

	proc := start(t, nil)
	if err := sub.Join(proc.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if pids, err := c.Pids(false); err != nil || len(pids) != 0 {
		t.Error(pids, err)
	}
	if pids, err := c.Pids(true); err != nil || !slices.Equal(pids, []int{proc.Process.Pid}) {
		t.Error(pids, err)
	}
	within(t, 5*time.Second, "removal with a living process", func() {
		if err := c.Remove(); !errors.Is(err, ErrNotEmpty) || !errors.Is(err, unix.EBUSY) {
			t.Error(err)
		}
	})
	// Nobody waits for the process before the removal begins.
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "removal with a dying process", func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	for _, p := range append(c.Paths(), sub.Paths()...) {
		if exists(p) {
			t.Error("still there:", p)
		}
	}
	// All of it again, on nothing.
	if err := c.Remove(); err != nil {
		t.Error(err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	if pids, err := c.Pids(true); err != nil || len(pids) != 0 {
		t.Error(pids, err)
	}
	if killed, err := c.OOMKilled(); err != nil || killed {
		t.Error(killed, err)
	}
	if frozen, err := c.Frozen(); err != nil || frozen {
		t.Error(frozen, err)
	}
}
