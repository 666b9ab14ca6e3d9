package program

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestForget: the child has neither the arguments nor the environment of this process, which
// keeps both.
func TestForget(t *testing.T) {
	_, room := callersWords()
	if room == 0 {
		t.Fatal("the arguments are not found")
	}
	own := func(file string) string { return procText(t, os.Getpid(), file) }
	environ, cmdline := own("environ"), own("cmdline")
	if uintptr(len(environ)+len(cmdline)) != room {
		t.Errorf("arguments and environment are %d bytes, found were %d", len(environ)+len(cmdline), room)
	}
	long := strings.Repeat("x", int(room)+100)
	for _, title := range []string{"init of a container", "", long} {
		c := launch(t, assemble(t, func(a *Assembler) {
			a.Forget(title)
			a.Sync(1)
			a.Exit(0)
		}), 0)
		if e, err := c.Next(); err != nil || e.Token != 1 {
			t.Fatalf("event %+v, %v", e, err)
		}
		// A title that is longer than the arguments were goes on where the environment was
		// (get_mm_cmdline in the kernel's fs/proc/base.c).
		want := title[:min(len(title), int(room)-1)]
		if got := strings.TrimRight(procText(t, c.Pid, "cmdline"), "\x00"); got != want {
			t.Errorf("the command line is %.80q, want %.80q", got, want)
		}
		left := strings.Trim(procText(t, c.Pid, "environ"), "x")
		if strings.Trim(left, "\x00") != "" || title != long && left != procText(t, c.Pid, "environ") {
			t.Errorf("the environment is %.80q", left)
		}
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Reap(); err != nil {
			t.Fatal(err)
		}
	}
	if own("environ") != environ || own("cmdline") != cmdline {
		t.Error("this process has lost its own")
	}
}

// TestForgetNothing: a process whose arguments are elsewhere is not silently left as it is.
func TestForgetNothing(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	for _, os.Args = range [][]string{nil, {fmt.Sprint("elsewhere", len(args))}} {
		a := NewAssembler()
		a.Forget("title")
		a.Exit(0)
		if _, err := a.Finish(); err == nil {
			t.Errorf("no error with arguments %q", os.Args)
		}
	}
}

func procText(t *testing.T, pid int, file string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
