package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperEnv makes the test binary one of the processes that tests need, so that
// they need no other program.
const helperEnv = "OCI_MINI_PROGRAM_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "args": // print what execve(2) was given, and exit with a status of its own
		fmt.Printf("%q %q", os.Args, os.Environ())
		os.Exit(7)
	case "orphan":
		orphanHelper()
	}
	os.Exit(99)
}

// assemble builds a Program, which must have no fault.
func assemble(t testing.TB, build func(*Assembler)) *Program {
	t.Helper()
	a := NewAssembler()
	build(a)
	p, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// launch starts a Program, and sees to it that nothing of it stays.
func launch(t testing.TB, p *Program, flags uint64) *Child {
	t.Helper()
	c, err := p.Launch(Options{Flags: flags, CgroupFd: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Kill()
		if _, err := c.Reap(); err == nil && !t.Failed() {
			t.Error("the test did not reap its child")
		}
		c.Release()
	})
	// A child that waits for something that never comes must not hang the tests.
	timer := time.AfterFunc(20*time.Second, func() { _ = c.Kill() })
	t.Cleanup(func() { timer.Stop() })
	return c
}

// outcome is what a Program did.
type outcome struct {
	*Child
	event  Event // the last one
	tokens []byte
	err    error
	status int
}

// run launches a Program, answers its sync points, and waits for its end.
func run(t testing.TB, flags uint64, build func(*Assembler)) outcome {
	t.Helper()
	return follow(t, launch(t, assemble(t, build), flags))
}

// follow does the same with a launched Program.
func follow(t testing.TB, c *Child) outcome {
	t.Helper()
	o := outcome{Child: c}
	for {
		o.event, o.err = c.Next()
		if o.err != nil || o.event.Token == 0 {
			break
		}
		o.tokens = append(o.tokens, o.event.Token)
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if o.status, err = c.Reap(); err != nil {
		t.Fatal(err)
	}
	return o
}

// wantExit checks that the Program ended with this status by its own will.
func (o outcome) wantExit(t testing.TB, status int) {
	t.Helper()
	if o.err != nil || !o.event.Exited || o.status != status {
		t.Fatalf("event %+v, status %d, error %v; want an exit with %d", o.event, o.status, o.err, status)
	}
}

// failure returns the Failure that the Program must have ended with.
func (o outcome) failure(t testing.TB) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(o.err, &f) {
		t.Fatalf("event %+v, status %d, error %v; want a *Failure", o.event, o.status, o.err)
	}
	return f
}

// scratchString is the scratch memory up to its first NUL.
func (o outcome) scratchString() string {
	s, _, _ := bytes.Cut(o.Scratch(), []byte{0})
	return string(s)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces and mounts")
	}
}

// pipe returns a pipe whose ends close with the test.
func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// constFd is a descriptor of the test as an operand.
func constFd(f *os.File) Arg { return Const(int(f.Fd())) }

// countFds is the number of the test's open descriptors.
func countFds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// noChildren checks that there is no child, not even a zombie.
func noChildren(t testing.TB) {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != unix.ECHILD {
		t.Errorf("waitid for any child: %v, want ECHILD", err)
	}
}

// statusField is a field of the text of /proc/<pid>/status.
func statusField(t testing.TB, status, name string) string {
	t.Helper()
	for line := range strings.SplitSeq(status, "\n") {
		if value, ok := strings.CutPrefix(line, name+":\t"); ok {
			return value
		}
	}
	t.Fatalf("no %s in %q", name, status)
	return ""
}
