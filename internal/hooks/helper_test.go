package hooks

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// seen is what a hook finds when it starts.
type seen struct {
	Args, Env  []string
	Stdin      string
	Dir, Host  string
	Fds        []string
	Pid, Pgid  int
	Sid        int
	Soft       uint64
	Blocked    string
	Namespaces map[string]string
	Err        string // what 2 is
}

const reportHelper = "report" // as args[0]

// TestMain lets the test binary be a hook. args[0] tells, because the environment is
// what some tests are about.
func TestMain(m *testing.M) {
	if os.Args[0] != reportHelper {
		os.Exit(m.Run())
	}
	var s seen
	s.Args = os.Args
	// Not os.Environ, which leaves out what is there twice.
	env, _ := os.ReadFile("/proc/self/environ")
	for v := range strings.SplitSeq(strings.TrimSuffix(string(env), "\x00"), "\x00") {
		if v != "" {
			s.Env = append(s.Env, v)
		}
	}
	in, _ := io.ReadAll(os.Stdin)
	s.Stdin = string(in)
	s.Dir, _ = os.Getwd()
	s.Host, _ = os.Hostname()
	s.Err, _ = os.Readlink("/proc/self/fd/2")
	s.Pid, s.Pgid = os.Getpid(), unix.Getpgrp()
	s.Sid, _ = unix.Getsid(0)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.SplitSeq(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":\t")
		if name == "SigBlk" {
			s.Blocked = value
		}
	}
	s.Namespaces = map[string]string{}
	for _, ns := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		s.Namespaces[ns], _ = os.Readlink("/proc/self/ns/" + ns)
	}
	// The Go runtime of this process has raised the limit; sh has not.
	out, _ := exec.Command("/bin/sh", "-c", "ulimit -Sn; ls -l /proc/self/fd").Output()
	soft, rest, _ := strings.Cut(string(out), "\n")
	_ = json.Unmarshal([]byte(soft), &s.Soft)
	for line := range strings.SplitSeq(rest, "\n") {
		if f := strings.Fields(line); len(f) > 3 && f[len(f)-2] == "->" {
			s.Fds = append(s.Fds, f[len(f)-3])
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		os.Exit(99)
	}
	os.Exit(0)
}

// executable is the test binary.
func executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// outFile is a file for what a hook writes.
func outFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t testing.TB, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// report runs the test binary as a hook that tells what it sees.
func report(t testing.TB, r Runner, h specs.Hook, state string) seen {
	t.Helper()
	out := outFile(t)
	r.Stdout = out
	if h.Path == "" {
		h.Path = executable(t)
	}
	if h.Args == nil {
		h.Args = []string{reportHelper}
	}
	if err := r.Run(h, []byte(state)); err != nil {
		t.Fatal(err)
	}
	var s seen
	if err := json.Unmarshal([]byte(content(t, out)), &s); err != nil {
		t.Fatalf("%v in %q", err, content(t, out))
	}
	return s
}

// script writes an executable sh script and returns its path.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// within fails the test if f takes longer than limit.
func within(t testing.TB, limit time.Duration, f func()) time.Duration {
	t.Helper()
	start := time.Now()
	f()
	took := time.Since(start)
	if took > limit {
		t.Errorf("it took %v, want at most %v", took, limit)
	}
	return took
}

func seconds(n int) *int { return &n }

// noChildren checks that nothing, not even a zombie, is left of a hook.
func noChildren(t testing.TB) {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != unix.ECHILD {
		t.Errorf("waitid for any child: %v, want ECHILD", err)
	}
}

// gone waits a little for the process to be dead, and reports whether it is.
func gone(pid int) bool {
	for range 100 {
		b, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func countFds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes and joins namespaces")
	}
}

// neighbour is a process in new namespaces, which has run the script there.
func neighbour(t testing.TB, attr *syscall.SysProcAttr, text string) (pidfd, pid int) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", text+"\necho ready; exec sleep 60")
	cmd.SysProcAttr = attr
	cmd.SysProcAttr.PidFD = &pidfd
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		unix.Close(pidfd)
	})
	var line [6]byte
	if _, err := io.ReadFull(out, line[:]); err != nil || string(line[:]) != "ready\n" {
		t.Fatalf("the process in new namespaces said %q, %v", line, err)
	}
	return pidfd, cmd.Process.Pid
}
