package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary runs itself as a process to be put into cgroups.
const asProcess = "OCI_MINI_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) == "hog" {
		memory := make([]byte, 64<<20)
		for i := 0; i < len(memory); i += 4096 {
			memory[i] = 1
		}
		os.Exit(0)
	}
	if os.Getenv(asProcess) != "" {
		// Say hello, and live until standard input ends.
		fmt.Println("here")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// a process of the test, which dies with it.
type process struct {
	*exec.Cmd
	in io.Closer
}

func start(t testing.TB, attr *syscall.SysProcAttr) *process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asProcess+"=1")
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, in}
	t.Cleanup(p.stop)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "here\n" {
		t.Fatal("process did not start:", err)
	}
	return p
}

func (p *process) stop() {
	if p.ProcessState == nil {
		p.Process.Kill()
		p.Wait()
	}
}

// cgroups returns the lines of /proc/PID/cgroup that name a path.
func cgroups(t *testing.T, pid int, path string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasSuffix(line, ":"+path+"\n") {
			lines = append(lines, line)
		}
	}
	return lines
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make cgroups")
	}
}

var count int

// name returns a cgroup path that no other run of the tests uses.
func name() string {
	count++
	return fmt.Sprintf("/oci-mini-test-%d-%d", os.Getpid(), count)
}

// layout detects, and skips the test on a host without that mode.
func layout(t testing.TB, modes ...Mode) *Layout {
	t.Helper()
	needRoot(t)
	l, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(modes, l.Mode) {
		t.Skipf("the cgroup mode of this host is %v", l.Mode)
	}
	return l
}

// create makes a cgroup that is gone when the test ends.
func create(t testing.TB, l *Layout, path string, need ...string) *Cgroup {
	t.Helper()
	d, err := l.Dirs(path, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Create(need, nil)
	if err != nil {
		t.Fatal(err)
	}
	made := c.made
	t.Cleanup(func() {
		c.Close()
		for _, p := range slices.Backward(made) {
			if err := unix.Rmdir(p); err != nil && err != unix.ENOENT {
				t.Errorf("rmdir %s: %v", p, err)
			}
		}
	})
	return c
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// within fails the test if f takes longer.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > limit {
		t.Errorf("%s took %v", what, took)
	}
}
