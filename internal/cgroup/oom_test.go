package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// woken polls once.
func woken(t *testing.T, w *OOMWatch, milliseconds int) bool {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{w.Poll()}, milliseconds)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
}

func TestV1WatchOOM(t *testing.T) {
	l := layout(t, Legacy, Hybrid)
	c := create(t, l, name())
	if c.v1("memory") == nil {
		t.Skip("no memory controller")
	}
	writes, err := Writes(l, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: p(int64(16 << 20)), Swap: p(int64(16 << 20))}})
	if err == nil {
		err = c.WriteAll(writes)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if struck, err := w.Struck(); struck || err != nil || woken(t, w, 0) {
		t.Error("before anything happened:", struck, err)
	}
	hog(t, c)
	if !woken(t, w, 1000) {
		t.Error("not noticed")
	}
	if struck, err := w.Struck(); !struck || err != nil {
		t.Error("after the killer:", struck, err)
	}
	if struck, err := w.Struck(); struck || err != nil || woken(t, w, 0) {
		t.Error("told twice:", struck, err)
	}
	// The kernel signals the removal of the cgroup too.
	if err := unix.Rmdir(c.v1("memory").Path); err != nil {
		t.Fatal(err)
	}
	if !woken(t, w, 1000) {
		t.Error("removal not noticed")
	}
	if struck, err := w.Struck(); struck || !errors.Is(err, os.ErrNotExist) {
		t.Error("after removal:", struck, err)
	}
}

// hog runs a process in the cgroup that wants more memory than it gets.
func hog(t *testing.T, c *Cgroup) {
	t.Helper()
	restore := enter(t, c)
	victim := exec.Command("/proc/self/exe")
	victim.Env = append(os.Environ(), asProcess+"=hog")
	err := victim.Start()
	if rerr := restore(); rerr != nil {
		t.Fatal(rerr)
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Fatal("the process was not killed")
	}
}

func TestWatchOOMCounts(t *testing.T) {
	c := fake(t, fakeV2, map[string]string{"memory.events": "max 0\noom 2\noom_kill 2\noom_group_kill 9\n"})
	file := c.dirs[0].Path + "/memory.events"
	w, err := c.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// What was before the watch is not told.
	for _, step := range []struct {
		text string
		want bool
	}{
		{"max 0\noom 2\noom_kill 2\noom_group_kill 9\n", false},
		{"max 5\noom 3\noom_kill 2\noom_group_kill 9\n", false},
		{"max 5\noom 3\noom_kill 3\noom_group_kill 9\n", true},
		{"max 5\noom 3\noom_kill 3\noom_group_kill 9\n", false},
		{"max 5\noom 5\noom_kill 5\noom_group_kill 9\n", true},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Struck(); got != step.want || err != nil {
			t.Errorf("%q: %v %v", step.text, got, err)
		}
	}
	if _, err := fake(t, fakeV2, nil).WatchOOM(); !errors.Is(err, ErrNoHierarchy) {
		t.Error("without a memory controller:", err)
	}
	if _, err := (&Cgroup{}).WatchOOM(); !errors.Is(err, ErrNoHierarchy) {
		t.Error("without a cgroup:", err)
	}
}
