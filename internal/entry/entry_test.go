package entry

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const callers = 61234 // ns, of timer slack

// TestEntry executes a program that is linked as the runtime is, for each architecture that
// can be executed here.
func TestEntry(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "riscv64"} {
		t.Run(arch, func(t *testing.T) {
			run := []string{}
			if arch != runtime.GOARCH {
				name := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}[arch]
				qemu, err := exec.LookPath("qemu-" + name + "-static")
				if err != nil {
					t.Skip("no qemu for it: ", err)
				}
				run = append(run, qemu)
			}
			binary := link(t, arch, "-E github.com/oci-mini/oci-mini/internal/entry.entry")
			for _, args := range [][]string{{}, {"one"}, {"", "two words", ""}, slices.Repeat([]string{"many", ""}, 300)} {
				more := []string{}
				if len(args) > 0 { // the caller's own, which is nothing to this program
					more = append(more, "GOMAXPROCS=7")
				}
				began := begin(t, len(run) > 0, append(append(run[:len(run):len(run)], binary), args...), more)
				began.check(t, append([]string{binary}, args...), more, arch == runtime.GOARCH)
				if began.Processors != 1 || began.Added != 3 || began.Slack != callers {
					t.Errorf("%d processors, then %d, timer slack %d; want 1, 3, %d", began.Processors, began.Added, began.Slack, callers)
				}
				if arch != runtime.GOARCH {
					continue // qemu has threads of its own
				}
				if began.Begin != "10000000" {
					t.Errorf("the timer slack at the beginning is %s", began.Begin)
				}
				if os.Geteuid() == 0 && !slices.Contains(began.Tasks, "10000000") { // others need CAP_SYS_NICE to see it
					t.Errorf("the timer slack of the other threads is %q", began.Tasks)
				}
			}
		})
	}
}

// TestWithout: a program that begins elsewhere keeps its timer slack and environment.
func TestWithout(t *testing.T) {
	binary := link(t, runtime.GOARCH, "")
	began := begin(t, false, []string{binary, "one"}, nil)
	began.check(t, []string{binary, "one"}, nil, true)
	if began.Slack != 0 || began.Begin != fmt.Sprint(callers) {
		t.Errorf("timer slack %d, %s at the beginning", began.Slack, began.Begin)
	}
}

// began is what testdata/begun prints.
type began struct {
	Args, Env, Tasks        []string
	Page, Processors, Added int
	Slack                   int
	Begin, Restored, Child  string
}

func (b *began) check(t *testing.T, args, more []string, native bool) {
	t.Helper()
	if !slices.Equal(b.Args, args) {
		t.Errorf("the arguments are %d: %.60q; want %d: %.60q", len(b.Args), b.Args, len(args), args)
	}
	env := slices.DeleteFunc(b.Env, func(e string) bool { return e == "EMULATED=1" })
	slices.Sort(env) // an emulator turns the order round
	if want := append([]string{"BEGUN=1", "EMPTY="}, more...); !slices.Equal(env, append(want, "LAST=3")) {
		t.Errorf("the environment is %q", env)
	}
	if native && b.Page != os.Getpagesize() {
		t.Errorf("the page size is %d", b.Page) // which the auxiliary vector tells
	}
	if want := fmt.Sprint(callers); native && (b.Restored != want || b.Child != want) {
		t.Errorf("the timer slack is restored to %s, that of a child is %s; want %s", b.Restored, b.Child, want)
	}
}

// link builds testdata/begun.
func link(t *testing.T, arch, flags string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "begun")
	cmd := exec.Command("go", "build", "-o", binary, "-ldflags", flags, "./testdata/begun")
	cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// begin executes the program with a timer slack that is not the usual one, and more variables
// in its environment.
func begin(t *testing.T, emulated bool, args, more []string) *began {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(before), 0, 0, 0)
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, callers, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append([]string{"BEGUN=1", "EMPTY=", "LAST=3"}, more...)
	if emulated {
		cmd.Env = append(cmd.Env, "EMULATED=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := new(began)
	if err := json.Unmarshal(out, b); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}
