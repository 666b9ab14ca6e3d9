package cgroup

import (
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// enter enters and leaves the goroutine locked.
func enter(t *testing.T, c *Cgroup) func() error {
	t.Helper()
	runtime.LockOSThread()
	restore, err := c.EnterThread()
	if err != nil {
		t.Fatal(err)
	}
	return restore
}

func TestEnterThread(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	where := name()
	made := create(t, l, where)
	opened, err := OpenExisting(made.Paths())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	t.Run("made", func(t *testing.T) { entering(t, l, made, where) })
	t.Run("opened", func(t *testing.T) { entering(t, l, opened, where) })
}

func entering(t *testing.T, l *Layout, c *Cgroup, where string) {
	before := content(t, "/proc/thread-self/cgroup")
	restore := enter(t, c)
	attr := &syscall.SysProcAttr{}
	if fd := c.UnifiedFd(); fd >= 0 {
		attr.UseCgroupFD, attr.CgroupFD = true, fd
	}
	child := start(t, attr)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if after := content(t, "/proc/thread-self/cgroup"); after != before {
		t.Errorf("the thread came back to\n%s\nand was in\n%s", after, before)
	}
	runtime.UnlockOSThread()
	if lines := cgroups(t, child.Process.Pid, where); len(lines) != len(l.Hierarchies) {
		t.Errorf("the child is only in %q", lines)
	}
	if lines := cgroups(t, os.Getpid(), where); len(lines) != 0 {
		t.Errorf("the parent is in %q", lines)
	}
	if pids, err := c.Pids(false); err != nil || !slices.Equal(pids, []int{child.Process.Pid}) {
		t.Error(pids, err)
	}
	for i := range c.dirs {
		if pids, err := c.dirs[i].pids(true); err != nil || !slices.Equal(pids, []int{child.Process.Pid}) {
			t.Error(c.dirs[i].Path, pids, err)
		}
	}

	// What cannot be entered is left altogether.
	gone := create(t, l, name())
	last := gone.dirs[len(gone.dirs)-1]
	if last.Hierarchy.Unified {
		last = gone.dirs[len(gone.dirs)-2]
	}
	if err := unix.Rmdir(last.Path); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := gone.EnterThread(); err == nil {
		t.Error("entered a cgroup that is gone")
	}
	if after := content(t, "/proc/thread-self/cgroup"); after != before {
		t.Errorf("the thread stayed in\n%s", after)
	}
}

// TestPidsAfterJoin: a limit of zero and a process is possible in this order.
func TestPidsAfterJoin(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	writes, err := Writes(l, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p(int64(0))}})
	if err != nil {
		t.Fatal(err)
	}
	before, after := Split(writes)
	if len(before) != 0 || len(after) != 1 {
		t.Fatal(before, after)
	}
	restore := enter(t, c)
	child := start(t, nil)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	if err := c.WriteAll(after); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error("the process did not live on:", err)
	}
}
