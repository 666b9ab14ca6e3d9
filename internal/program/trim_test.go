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

// TestTrim drops a megabyte of heap in the child, which must keep its registers
// and its arena.
func TestTrim(t *testing.T) {
	ballast := make([]byte, 1<<20)
	for i := range ballast {
		ballast[i] = byte(i)
	}
	a := NewAssembler()
	r := a.Reg()
	a.Set(r, Const(4711))
	a.Sync(1)
	a.Trim()
	a.Sync(2)
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
	var anonymous [2]int
	for i := range anonymous {
		if e, err := c.Next(); err != nil || e.Token != byte(i+1) {
			t.Fatalf("event %+v, %v", e, err)
		}
		anonymous[i] = rollup(t, c.Pid, "Anonymous")
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := c.Next(); err != nil || !e.Exited {
		t.Fatalf("event %+v, %v", e, err)
	}
	if got := c.Value(0); got != 4711 {
		t.Errorf("the register holds %d after Trim", got)
	}
	if freed := anonymous[0] - anonymous[1]; freed < 1024 {
		t.Errorf("%d KiB before, %d KiB after", anonymous[0], anonymous[1])
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
