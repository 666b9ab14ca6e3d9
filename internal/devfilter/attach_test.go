package devfilter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/oci-mini/oci-mini/internal/cgroup/cgrouptest"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The test binary runs itself as the process in the cgroup.
const inCgroup = "OCI_MINI_TEST_PROBE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(inCgroup); dir != "" {
		probe(dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// probe prints what a process may do with devices, one word a line.
func probe(dir string) {
	for _, d := range []struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"kmsg", 1, 11}} {
		for flag, name := range map[int]string{unix.O_RDONLY: "r", unix.O_WRONLY: "w", unix.O_RDWR: "rw"} {
			fd, err := unix.Open(filepath.Join(dir, d.name), flag|unix.O_NONBLOCK, 0)
			unix.Close(fd)
			fmt.Println(d.name, name, err == nil, err == unix.EPERM)
		}
		node := filepath.Join(dir, "new-"+d.name)
		err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(d.major, d.minor)))
		fmt.Println(d.name, "m", err == nil, err == unix.EPERM)
		os.Remove(node)
	}
}

// look runs probe in the cgroup and returns what it could do.
func look(t *testing.T, nodes string, cgroup *os.File) map[string]bool {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inCgroup+"="+nodes)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	// A pipe, because the default of /dev/null is not to be opened inside.
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	could := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		could[f[0]+" "+f[1]] = f[2] == "true"
		if f[2] != "true" && f[3] != "true" {
			t.Fatalf("%s failed, but not with EPERM", line)
		}
	}
	return could
}

func TestKernel(t *testing.T) {
	if !cgrouptest.V2(t) {
		return
	}
	nodes := t.TempDir()
	for name, minor := range map[string]uint32{"null": 3, "kmsg": 11} {
		if err := unix.Mknod(filepath.Join(nodes, name), unix.S_IFCHR|0o600, int(unix.Mkdev(1, minor))); err != nil {
			t.Skip("mknod:", err)
		}
	}
	dir := fmt.Sprintf("/sys/fs/cgroup/oci-mini-devfilter-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cgroup := os.NewFile(uintptr(fd), dir)
	defer cgroup.Close()

	// Without a filter everything works, or the rest proves nothing.
	for what, could := range look(t, nodes, cgroup) {
		if !could {
			t.Skip("without any filter not possible:", what)
		}
	}
	for _, c := range []struct {
		name  string
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{"absent list", nil, ""},
		{"one allow rule", list(t, "+c 1:3 rw"), "null r, null w, null rw"},
		{"defaults", append(list(t, "-a *:* rwm"), DefaultRules()...), "null r, null w, null rw, null m, kmsg m"},
		{"no writing", list(t, "+a *:* rwm", "-c 1:11 w"), "null r, null w, null rw, null m, kmsg r, kmsg m"},
		{"all", list(t, "+a *:* rwm"), "null r, null w, null rw, null m, kmsg r, kmsg w, kmsg rw, kmsg m"},
		{"denied in the end", list(t, "+c 1:3 rwm", "-a *:* rwm"), ""},
		{"many rules", many(t, 1500), "null r"},
	} {
		p, err := Compile(c.rules)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if err := p.Attach(fd); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		// One is replaced by the other, every time.
		if ids, err := attached(fd); err != nil || len(ids) != 1 {
			t.Errorf("%s: programs %v, error %v", c.name, ids, err)
		}
		for what, could := range look(t, nodes, cgroup) {
			if want := strings.Contains(", "+c.want+",", ", "+what+","); could != want {
				t.Errorf("%s: %s: %v", c.name, what, could)
			}
		}
	}

	// Of several older programs none stays.
	extra, err := Compile(list(t, "-c 7:7 r"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		prog, err := extra.load()
		if err != nil {
			t.Fatal(err)
		}
		err = attach(fd, prog, -1)
		unix.Close(prog)
		if err != nil {
			t.Fatal(err)
		}
	}
	if ids, _ := attached(fd); len(ids) != 3 {
		t.Fatalf("expected three programs: %v", ids)
	}
	p, _ := Compile(list(t, "+a *:* rwm"))
	if err := p.Attach(fd); err != nil {
		t.Fatal(err)
	}
	if ids, err := attached(fd); err != nil || len(ids) != 1 {
		t.Errorf("programs %v, error %v", ids, err)
	}
	for what, could := range look(t, nodes, cgroup) {
		if !could {
			t.Errorf("still denied: %s", what)
		}
	}
}

// many returns n rules, allowing and denying in turn, that never match, behind
// one that does: the verifier has to get through all of them.
func many(t *testing.T, n int) []specs.LinuxDeviceCgroup {
	rules := list(t, "+c 1:3 r")
	for i := range n {
		sign := string("+-"[i%2])
		rules = append(rules, r(t, fmt.Sprintf("%sb %d:%d %s", sign, i, i, accesses[i%len(accesses)])))
	}
	return rules
}

// TestV1Kernel writes lines to a real version 1 cgroup.
func TestV1Kernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a cgroup")
	}
	dir := fmt.Sprintf("/sys/fs/cgroup/devices/oci-mini-devfilter-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no version 1 devices controller:", err)
	}
	defer os.Remove(dir)
	for _, c := range []struct {
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{nil, ""},
		{list(t, "+a *:* rwm"), "a *:* rwm\n"},
		{list(t, "-a *:* rwm", "+c 1:3 rw", "+c 1:3 m", "+b 8:* r", "+a *:* m"),
			"c 1:3 rwm\nb 8:* r\nc *:* m\nb *:* m\n"},
		{append(list(t, "-a *:* rwm"), DefaultRules()...),
			"c *:* m\nb *:* m\nc 1:3 rwm\nc 1:5 rwm\nc 1:7 rwm\nc 1:8 rwm\nc 1:9 rwm\nc 5:0 rwm\nc 5:2 rwm\nc 136:* rwm\n"},
	} {
		lines, err := V1(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if err := os.WriteFile(filepath.Join(dir, l.File), []byte(l.Value), 0); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(filepath.Join(dir, "devices.list"))
		if err != nil || string(got) != c.want {
			t.Errorf("devices.list is %q, want %q (%v)", got, c.want, err)
		}
	}
}

func BenchmarkCompileDefaults(b *testing.B) {
	rules := append(list(b, "-a *:* rwm"), DefaultRules()...)
	for b.Loop() {
		if _, err := Compile(rules); err != nil {
			b.Fatal(err)
		}
	}
}
