package program

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
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
	// Two: each inherits what the process has open, but must not keep the other
	// from seeing that the process is gone.
	for range 2 {
		c, err := p.Launch(Options{CgroupFd: -1})
		if err != nil {
			panic(err)
		}
		if ev, err := c.Next(); err != nil || ev.Token != 's' {
			panic(fmt.Sprint(ev, err))
		}
	}
	fmt.Print("both wait")
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
	if string(out) != "both wait" {
		t.Errorf("the helper said %q", out)
	}
	if err != nil {
		t.Errorf("the children outlive their parent: %v", strings.TrimSpace(err.Error()))
	}
}
