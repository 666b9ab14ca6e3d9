package program

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoHeap launches beside eight megabytes of heap, which the child must not have,
// while it keeps its registers and its arena, also beyond the fork that is its own.
func TestNoHeap(t *testing.T) {
	ballast := make([]byte, 8<<20)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	a := NewAssembler()
	r := a.Reg()
	a.Set(r, Const(4711))
	a.Fork(1, -1)
	a.Sync(1)
	a.Publish(0, r.Arg())
	a.Call(Discard, unix.SYS_FACCESSAT, Const(unix.AT_FDCWD), a.String("/"), Const(unix.F_OK))
	a.Exit(0)
	p, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Launch(Options{CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if e, err := c.Next(); err != nil || e.Token != 1 {
		t.Fatalf("event %+v, %v", e, err)
	}
	own, its := rollup(t, os.Getpid(), "Anonymous"), rollup(t, c.Pid, "Anonymous")
	if own-its < len(ballast)>>10 {
		t.Errorf("the child has %d KiB of the parent's %d", its, own)
	}
	if err := c.Continue(); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Next(); err != nil || !e.Exited {
		t.Fatalf("event %+v, %v", e, err)
	}
	if got := c.Value(0); got != 4711 {
		t.Errorf("the register holds %d in the child", got)
	}
	if _, err := c.Reap(); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(ballast)
}

// rollup reads a sum of a process's memory in KiB.
func rollup(t *testing.T, pid int, key string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in smaps_rollup", key)
	return 0
}
