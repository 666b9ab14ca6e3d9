package program

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// orphanHelper is a runtime that dies while its children wait for it. The
// children hold its standard output, so that whoever reads that sees their end.
func orphanHelper() {
	a := NewAssembler()
	a.Sync('s')
	a.Exit(0)
	p, err := a.Finish()
	if err != nil {
		panic(err)
	}
	// Many at once: each inherits what the process has open at that moment, but
	// must not keep another from seeing that the process is gone.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := p.Launch(Options{CgroupFd: -1})
			if err != nil {
				panic(err)
			}
			if ev, err := c.Next(); err != nil || ev.Token != 's' {
				panic(fmt.Sprint(ev, err))
			}
		})
	}
	wg.Wait()
	fmt.Print("all wait")
	os.Exit(0)
}

// TestParentDies: a child whose parent is gone ends at its sync point.
func TestParentDies(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	cmd := exec.Command(self)
	cmd.Env = []string{helperEnv + "=orphan"}
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if string(out) != "all wait" {
		t.Errorf("the helper said %q", out)
	}
	if err != nil {
		t.Errorf("the children outlive their parent: %v", strings.TrimSpace(err.Error()))
	}
}
