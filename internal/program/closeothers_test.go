package program

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
)

// TestCloseOthers looks at the descriptors of a child that has closed all but some.
func TestCloseOthers(t *testing.T) {
	var files []*os.File
	for range 20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	low, high := int(files[0].Fd()), int(files[19].Fd())
	for _, keep := range []int{-1, low, low + 7, high} {
		for _, first := range []int{3, low + 2, high + 100} {
			t.Run(fmt.Sprintf("from %d keep %d", first, keep), func(t *testing.T) {
				a := NewAssembler()
				a.Sync(1)
				a.CloseOthers(first, keep)
				a.Sync(2)
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
				var seen [2][]int
				for i := range seen {
					if e, err := c.Next(); err != nil || e.Token != byte(i+1) {
						t.Fatalf("event %+v, %v", e, err)
					}
					seen[i] = descriptors(t, c.Pid)
					if err := c.Continue(); err != nil {
						t.Fatal(err)
					}
				}
				if e, err := c.Next(); err != nil || !e.Exited {
					t.Fatalf("event %+v, %v", e, err)
				}
				// What is left from first up is keep and one socket: that of the sync.
				sockets := 0
				for _, fd := range seen[1] {
					switch {
					case fd < first, fd == keep:
					default:
						sockets++
					}
				}
				if sockets > 1 {
					t.Errorf("left open: %v", seen[1])
				}
				for _, fd := range seen[0] {
					if (fd < first || fd == keep) && !slices.Contains(seen[1], fd) {
						t.Errorf("%d was closed: %v", fd, seen[1])
					}
				}
				if _, err := c.Reap(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func descriptors(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}
