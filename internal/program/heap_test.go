package program

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestNoHeap launches beside eight megabytes of heap, which the child must not have,
// while it keeps its registers and its arena, also beyond the fork that is its own.
func TestNoHeap(t *testing.T) {
	ballast := newBallast(t)
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
	// What earlier tests have left goes now, as far as it can: the cleanups that unmap
	// workspaces may run at any time after a collection. So the parent is measured
	// before, and half of the ballast is enough.
	runtime.GC()
	debug.FreeOSMemory()
	own := rollup(t, os.Getpid(), "Anonymous")
	c, err := p.Launch(Options{CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if e, err := c.Next(); err != nil || e.Token != 1 {
		t.Fatalf("event %+v, %v", e, err)
	}
	its := rollup(t, c.Pid, "Anonymous")
	if own-its < len(ballast)>>10/2 {
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

// newBallast makes eight megabytes of heap in the window that is kept from the child.
// Go begins the heap anywhere in a chunk, so that it may reach into the next one.
func newBallast(t *testing.T) []byte {
	t.Helper()
	start, end := heapWindow()
	var others [][]byte
	for range 8 {
		b := make([]byte, 8<<20)
		first := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if first >= start && first+uintptr(len(b)) <= end {
			for i := range b {
				b[i] = byte(i)
			}
			return b
		}
		others = append(others, b)
	}
	runtime.KeepAlive(others)
	t.Skip("the heap begins so near to the end of its chunk that eight megabytes do not fit in")
	return nil
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
