package netdev

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// world is two network namespaces: one that the test's thread is in, and that of a process.
type world struct {
	t     *testing.T
	route *Route
	pid   string
}

// newWorld takes the test's thread into a network namespace of its own, for ever: the
// thread ends with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace can be made: %v", err)
	}
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	pidfd, err := unix.PidfdOpen(other.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	w := &world{t: t, pid: "/proc/" + strconv.Itoa(other.Process.Pid) + "/ns/net"}
	from, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	to, err := Of(pidfd)
	if err != nil {
		t.Fatal(err)
	}
	if w.route, err = Between(from, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.route.Close)
	return w
}

// ip runs ip(8) on this side.
func (w *world) ip(args ...string) string {
	w.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// there runs ip(8) on the other side.
func (w *world) there(args ...string) string {
	w.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"--net=" + w.pid, "ip"}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("there: ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// has looks for texts.
func (w *world) has(text string, wanted ...string) {
	w.t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			w.t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// lacks is the opposite.
func (w *world) lacks(text string, unwanted ...string) {
	w.t.Helper()
	for _, not := range unwanted {
		if strings.Contains(text, not) {
			w.t.Errorf("%q is in\n%s", not, text)
		}
	}
}

// TestMoveKeeps: what a device is and the addresses that move with it.
func TestMoveKeeps(t *testing.T) {
	w := newWorld(t)
	w.ip("tuntap", "add", "a0", "mode", "tap")
	w.ip("link", "set", "a0", "mtu", "1789", "address", "02:11:22:33:44:55", "txqueuelen", "77", "up")
	w.ip("link", "property", "add", "dev", "a0", "altname", "another-name")
	w.ip("address", "add", "192.0.2.1/24", "broadcast", "192.0.2.255", "dev", "a0")
	w.ip("address", "add", "192.0.2.2/24", "label", "a0:web", "dev", "a0", "noprefixroute")
	w.ip("address", "add", "198.51.100.1", "peer", "198.51.100.2/32", "dev", "a0", "metric", "7")
	w.ip("address", "add", "203.0.113.1/24", "preferred_lft", "0", "dev", "a0")
	w.ip("address", "add", "203.0.113.9/24", "valid_lft", "600", "preferred_lft", "300", "dev", "a0")
	w.ip("address", "add", "10.0.0.1/8", "scope", "link", "dev", "a0")
	w.ip("address", "add", "2001:db8::1/64", "dev", "a0", "nodad", "preferred_lft", "0")
	w.ip("address", "add", "2001:db8::2", "peer", "2001:db8::3/128", "dev", "a0")
	m, err := w.route.Move("a0", "eth0")
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "eth0" {
		t.Errorf("it is called %q", m.Name)
	}
	link := w.there("-details", "link", "show", "eth0")
	w.has(link, "mtu 1789", "02:11:22:33:44:55", "qlen 77", ",UP", "altname another-name")
	got := w.there("address", "show", "eth0")
	w.has(got,
		"inet 192.0.2.1/24 brd 192.0.2.255 scope global eth0",
		"inet 192.0.2.2/24 scope global secondary noprefixroute eth0:web",
		"inet 198.51.100.1 peer 198.51.100.2/32 metric 7 scope global eth0",
		"inet 203.0.113.1/24 scope global deprecated eth0",
		"inet6 2001:db8::1/64 scope global nodad deprecated",
		"inet6 2001:db8::2 peer 2001:db8::3/128 scope global")
	w.lacks(got, "203.0.113.9", "10.0.0.1")
	w.lacks(w.ip("link"), "a0")

	if err := m.Back(); err != nil {
		t.Fatal(err)
	}
	w.lacks(w.there("link"), "eth0")
	w.has(w.ip("-details", "link", "show", "a0"), "mtu 1789", "02:11:22:33:44:55", ",UP")
	w.has(w.ip("address", "show", "a0"), "inet 192.0.2.2/24 scope global secondary noprefixroute a0:web", "inet6 2001:db8::2 peer 2001:db8::3/128")
}

// TestPattern: the first number that is free, whatever the device was called.
func TestPattern(t *testing.T) {
	for _, c := range []struct {
		name  string
		taken []string
		want  string
	}{
		{"a0", nil, "eth0"},
		{"eth0", nil, "eth0"},
		{"eth5", nil, "eth0"},
		{"eth0", []string{"eth0"}, "eth1"},
		{"a0", []string{"eth0", "eth1", "eth3"}, "eth2"},
		{"eth1", []string{"eth0", "eth1"}, "eth2"},
	} {
		t.Run(c.name+"-"+strings.Join(c.taken, "-"), func(t *testing.T) {
			w := newWorld(t)
			w.ip("tuntap", "add", c.name, "mode", "tap")
			w.ip("address", "add", "192.0.2.1/24", "label", c.name+":x", "dev", c.name)
			for _, name := range c.taken {
				w.there("tuntap", "add", name, "mode", "tap")
			}
			m, err := w.route.Move(c.name, "eth%d")
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != c.want {
				t.Errorf("it is called %q, should be %q", m.Name, c.want)
			}
			w.has(w.there("address", "show", m.Name), "192.0.2.1/24 scope global "+c.want+":x")
		})
	}
}

// TestIndexTaken: the other side has a device of the same index.
func TestIndexTaken(t *testing.T) {
	w := newWorld(t)
	w.ip("tuntap", "add", "a0", "mode", "tap")
	here, err := w.route.from.ByName("a0")
	if err != nil {
		t.Fatal(err)
	}
	w.there("link", "add", "index", strconv.Itoa(here.Index), "name", "taken", "type", "bridge")
	if _, err := w.route.Move("a0", "a0"); err != nil {
		t.Fatal(err)
	}
	w.has(w.there("link"), "taken", "a0")
}

// TestMoveRefused: the device stays as it was.
func TestMoveRefused(t *testing.T) {
	w := newWorld(t)
	w.ip("tuntap", "add", "a0", "mode", "tap")
	w.ip("link", "set", "a0", "up")
	w.ip("address", "add", "192.0.2.1/24", "dev", "a0")
	w.there("tuntap", "add", "eth0", "mode", "tap")
	w.there("link", "property", "add", "dev", "eth0", "altname", "another")
	for name, newName := range map[string]string{"a": "eth0", "b": "another"} {
		if m, err := w.route.Move("a0", newName); !errors.Is(err, unix.EEXIST) || m != nil {
			t.Errorf("%s: a name that is taken: %v", name, err)
		}
	}
	if m, err := w.route.Move("a1", "a1"); !errors.Is(err, unix.ENODEV) || m != nil {
		t.Errorf("a device that is missing: %v", err)
	}
	m, err := w.route.Move("lo", "other")
	var refused *Error
	if !errors.As(err, &refused) || refused.Errno != unix.EINVAL || m != nil {
		t.Errorf("the loopback device: %v", err)
	}
	w.has(w.ip("address", "show", "a0"), ",UP", "192.0.2.1/24")
	w.has(w.ip("link"), "lo:")
}

// TestSameNamespace: nothing would move.
func TestSameNamespace(t *testing.T) {
	a, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Between(a, b); err == nil {
		t.Error("a route from a namespace to itself")
	}
}
