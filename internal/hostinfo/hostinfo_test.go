package hostinfo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// able is a machine that lacks nothing.
var able = map[string]string{
	"/proc/self/ns/mnt": "", "/proc/self/ns/pid": "", "/proc/self/ns/net": "", "/proc/self/ns/ipc": "", "/proc/self/ns/uts": "",
	"/proc/self/ns/user": "", "/proc/self/ns/cgroup": "", "/proc/self/ns/time": "",
	"/proc/sys/user/max_user_namespaces":     "1000\n",
	"/proc/sys/kernel/seccomp/actions_avail": "kill_process errno allow\n",
	"/sys/kernel/security/lsm":               "capability,apparmor,selinux",
	"/proc/keys":                             "",
	"/proc/filesystems":                      "nodev\tproc\nnodev\toverlay\nnodev\tresctrl\n\text4\n",
	"/proc/self/mountinfo":                   "31 23 0:28 / /sys/fs/resctrl rw - resctrl resctrl rw\n",
	"/sys/devices/system/node/online":        "0-1\n",
	"/run/systemd/system/.keep":              "",
	"/run/dbus/system_bus_socket":            "",
	"/run/user/1000/bus":                     "",
	"/etc/passwd":                            "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n",
	"/etc/subuid":                            "other:1:1\nme:100000:65536\n",
	"/etc/subgid":                            "1000:100000:65536\nme:300000:10\n",
}

// machine makes a Host of the able machine's files with some changed; "-" takes one away.
func machine(t *testing.T, euid int, changed map[string]string) *Host {
	t.Helper()
	h := &Host{
		Root: t.TempDir(), Release: "5.14.0-1", Euid: euid, CgroupMode: "v2", Controllers: []string{"cpu", "memory", "pids"}, Delegated: true,
		Env:  func(string) string { return "/run/user/1000" },
		Look: func(name string) (string, error) { return "/usr/bin/" + name, nil },
	}
	for name, text := range able {
		if c, ok := changed[name]; ok {
			text = c
		}
		if text != "-" {
			h.write(t, name, text)
		}
	}
	for name, text := range changed {
		if _, ok := able[name]; !ok {
			h.write(t, name, text)
		}
	}
	return h
}

func (h *Host) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(h.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAbleMachine(t *testing.T) {
	for _, euid := range []int{0, 1000} {
		list := machine(t, euid, nil).Checks()
		for _, c := range list {
			if c.Status != OK || c.Remedy != "" || c.Found == "" || c.For == "" {
				t.Errorf("user %d: %+v", euid, c)
			}
		}
		if !Ready(list) {
			t.Errorf("user %d: containers cannot run", euid)
		}
		named := slices.ContainsFunc(list, func(c Check) bool { return c.Name == "subuid" })
		if named != (euid != 0) {
			t.Errorf("user %d: subuid is looked at: %v", euid, named)
		}
	}
}

// TestLacking: each thing that may be missing is found, and has a remedy.
func TestLacking(t *testing.T) {
	no := func(string) (string, error) { return "", errors.New("not found") }
	for _, c := range []struct {
		what    string
		euid    int
		changed map[string]string
		edit    func(*Host)
		check   string
		status  Status
		found   string
		remedy  string
		unready bool
	}{
		{"an old kernel", 0, nil, func(h *Host) { h.Release = "5.13.9" }, "kernel", Missing, "5.13.9", "5.14 or later", true},
		{"a very old kernel", 0, nil, func(h *Host) { h.Release = "4.18.0-553.el8" }, "kernel", Missing, "4.18", "5.14 or later", true},
		{"a release that is none", 0, nil, func(h *Host) { h.Release = "unknown" }, "kernel", Missing, "unknown", "5.14 or later", true},
		{"no time namespaces", 0, map[string]string{"/proc/self/ns/time": "-"}, nil, "namespaces", Limited, "not time", "CONFIG_TIME_NS", false},
		{"no user namespaces", 0, map[string]string{"/proc/self/ns/user": "-"}, nil, "user namespaces", Missing, "none", "CONFIG_USER_NS", false},
		{"no user namespaces, rootless", 1000, map[string]string{"/proc/self/ns/user": "-"}, nil, "user namespaces", Missing, "none", "CONFIG_USER_NS", true},
		{"a limit of none", 1000, map[string]string{"/proc/sys/user/max_user_namespaces": "0"}, nil, "user namespaces", Missing, "is 0", "sysctl -w user.max_user_namespaces=", true},
		{"Debian's switch", 1000, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, nil, "user namespaces", Missing, "unprivileged_userns_clone is 0", "unprivileged_userns_clone=1", true},
		{"Debian's switch, root", 0, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, nil, "user namespaces", Limited, "for root only", "unprivileged_userns_clone=1", false},
		{"Ubuntu's switch", 1000, map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, nil, "user namespaces", Missing, "apparmor_restrict", "profile", true},
		{"no subuid", 1000, map[string]string{"/etc/subuid": "you:100000:65536\n"}, nil, "subuid", Missing, "no range for me", "usermod --add-subuids 100000-165535 me", false},
		{"no subgid", 1000, map[string]string{"/etc/subgid": "-"}, nil, "subgid", Missing, "no range for me", "usermod --add-subgids", false},
		{"a subuid that newuidmap does not read", 1000, map[string]string{"/etc/subuid": "me:x:1\nme:100000:65536\r\n"}, nil, "subuid", Missing, `no range for me in /etc/subuid: "me:100000:65536\r" is not of the form`, "usermod --add-subuids", false},
		{"no newuidmap", 1000, nil, func(h *Host) { h.Look = no }, "subuid", Missing, "no newuidmap", "uidmap", false},
		{"no cgroups", 0, nil, func(h *Host) { h.CgroupMode, h.Controllers = "none", nil }, "cgroups", Missing, "not mounted", "mount -t cgroup2", false},
		{"cgroup v1", 0, nil, func(h *Host) { h.CgroupMode = "v1" }, "cgroups", Limited, "v1, with", "systemd.unified_cgroup_hierarchy=1", false},
		{"no memory controller", 0, nil, func(h *Host) { h.Controllers = []string{"cpu", "pids"} }, "cgroups", Limited, "not memory", "cgroup_enable=", false},
		{"no delegation", 1000, nil, func(h *Host) { h.Delegated = false }, "cgroups", Limited, "may not make any", "Delegate=yes", false},
		{"no systemd", 0, map[string]string{"/run/systemd/system/.keep": "-"}, nil, "systemd", Missing, "not the init", "cgroupfs", false},
		{"no bus", 0, map[string]string{"/run/dbus/system_bus_socket": "-"}, nil, "systemd", Limited, "/run/dbus/system_bus_socket", "dbus", false},
		{"no user's bus", 1000, map[string]string{"/run/user/1000/bus": "-"}, nil, "systemd", Limited, "/run/user/1000/bus", "linger", false},
		{"no seccomp", 0, map[string]string{"/proc/sys/kernel/seccomp/actions_avail": "-"}, nil, "seccomp", Missing, "no filters", "CONFIG_SECCOMP_FILTER", false},
		{"no SELinux", 0, map[string]string{"/sys/kernel/security/lsm": "capability,apparmor"}, nil, "selinux", Missing, "not active", "lsm=", false},
		{"no AppArmor, no securityfs", 0, map[string]string{"/sys/kernel/security/lsm": "-"}, nil, "apparmor", Missing, "not active", "lsm=", false},
		{"no keys", 0, map[string]string{"/proc/keys": "-"}, nil, "keyrings", Missing, "none", "none needed", false},
		{"no overlay", 0, map[string]string{"/proc/filesystems": "\text4\n"}, nil, "overlay", Missing, "no overlay", "modprobe overlay", false},
		{"no nodes", 0, map[string]string{"/sys/devices/system/node/online": "-"}, nil, "memory nodes", Missing, "no nodes", "CONFIG_NUMA", false},
		{"resctrl not mounted", 0, map[string]string{"/proc/self/mountinfo": ""}, nil, "resctrl", Limited, "not mounted", "mount -t resctrl", false},
		{"no resctrl", 0, map[string]string{"/proc/self/mountinfo": "", "/proc/filesystems": ""}, nil, "resctrl", Missing, "neither", "CONFIG_X86_CPU_RESCTRL", false},
		{"no CRIU", 0, nil, func(h *Host) { h.Look = no }, "criu", Missing, "not on PATH", "install criu", false},
	} {
		h := machine(t, c.euid, c.changed)
		if c.edit != nil {
			c.edit(h)
		}
		list := h.Checks()
		i := slices.IndexFunc(list, func(x Check) bool { return x.Name == c.check })
		if i < 0 {
			t.Errorf("%s: no check %s", c.what, c.check)
			continue
		}
		got := list[i]
		if got.Status != c.status || !strings.Contains(got.Found, c.found) || !strings.Contains(got.Remedy, c.remedy) {
			t.Errorf("%s: %+v", c.what, got)
		}
		if Ready(list) == c.unready {
			t.Errorf("%s: ready is %v", c.what, Ready(list))
		}
	}
}

// TestSignsWithoutSecurityfs: what else shows that a module is active.
func TestSignsWithoutSecurityfs(t *testing.T) {
	h := machine(t, 0, map[string]string{"/sys/kernel/security/lsm": "-", "/sys/module/apparmor/parameters/enabled": "Y\n", "/sys/fs/selinux/enforce": "1"})
	for _, name := range []string{"apparmor", "selinux"} {
		if c := h.module(name, ""); c.Status != OK {
			t.Errorf("%+v", c)
		}
	}
}
