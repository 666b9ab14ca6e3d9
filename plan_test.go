package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/spec"
)

var update = flag.Bool("update", false, "write the golden files")

var filterLength = regexp.MustCompile(`seccomp filter of [0-9]+`)

// Hosts as the Plan sees them.
var (
	unified = &cgroup.Layout{Mode: cgroup.Unified, Hierarchies: []cgroup.Hierarchy{
		{Dir: "/sys/fs/cgroup", Controllers: []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids"}, Unified: true, Own: "/user.slice/session"},
	}}
	legacy = &cgroup.Layout{Mode: cgroup.Legacy, Hierarchies: []cgroup.Hierarchy{
		{Dir: "/sys/fs/cgroup/devices", Controllers: []string{"devices"}, Own: "/"},
		{Dir: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}, Own: "/"},
		{Dir: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/"},
		{Dir: "/sys/fs/cgroup/pids", Controllers: []string{"pids"}, Own: "/"},
		{Dir: "/sys/fs/cgroup/systemd", Name: "systemd", Own: "/"},
	}}
	hybrid = &cgroup.Layout{Mode: cgroup.Hybrid, Hierarchies: append(append([]cgroup.Hierarchy(nil), legacy.Hierarchies...),
		cgroup.Hierarchy{Dir: "/sys/fs/cgroup/unified", Unified: true, Own: "/"})}
)

// testHost is a host without surprises: root, whose passwd file is the given text.
func testHost(layout *cgroup.Layout, passwd string) *host {
	return &host{
		rights: rights{initial: true, mounts: true, namespaces: true, userIDs: true, groupIDs: true, fileCaps: true, groups: true, capabilities: 1<<64 - 1}, lastCap: 40, layout: layout,
		unified: func() string { return "/sys/fs/cgroup" },
		module:  func(string) bool { return true },
		open: func(string, string) (io.ReadCloser, error) {
			if passwd == "" {
				return nil, fs.ErrNotExist
			}
			return io.NopCloser(strings.NewReader(passwd)), nil
		},
	}
}

// userHost is the same host for a user without privileges, who may write nowhere.
func userHost(layout *cgroup.Layout, passwd string) *host {
	h := testHost(layout, passwd)
	h.rights = rights{initial: true, groups: true}
	h.euid, h.egid, h.rootless = 1000, 1000, true
	h.access = func(string) error { return unix.EACCES }
	return h
}

func ptr[T any](v T) *T { return &v }

// planCase is a config as a change of the default one, and the host that it is for.
type planCase struct {
	name   string
	layout *cgroup.Layout
	opt    birthOptions
	// systemd manages the cgroups, that of user 1000 for "user".
	systemd string
	edit    func(*specs.Spec)
	user    bool // run by a user without privileges
	null    []nullStream
}

// host is what the case runs on.
func (c *planCase) host(passwd string) *host {
	if c.user {
		return userHost(c.layout, passwd)
	}
	h := testHost(c.layout, passwd)
	h.nullStreams = c.null
	h.systemd = c.systemd != ""
	if c.systemd == "user" {
		h.userSystemd, h.euid = true, 1000
	}
	return h
}

var planCases = []planCase{
	{name: "default-v2", layout: unified},
	{name: "default-v1", layout: legacy},
	{name: "null-streams", layout: unified, null: []nullStream{{0, unix.O_RDONLY, 0}, {2, unix.O_WRONLY, 0}}},
	{name: "default-hybrid", layout: hybrid},
	{name: "create", layout: unified, opt: birthOptions{wait: true}, edit: func(s *specs.Spec) { s.Process.Terminal = false }},
	{name: "create-without-process", layout: unified, opt: birthOptions{wait: true}, edit: func(s *specs.Spec) { s.Process = nil }},
	{name: "no-cgroups-no-pivot", opt: birthOptions{noPivot: true, noNewKeyring: true, preserveFds: 2}},
	{name: "bare", layout: unified, edit: func(s *specs.Spec) {
		s.Linux, s.Mounts, s.Hostname = nil, nil, ""
		s.Process.Capabilities, s.Process.Terminal, s.Root.Readonly = nil, false, false
	}},
	{name: "binds", layout: unified, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "data", Source: "/srv/data", Options: []string{"rbind", "rro", "nosuid", "rprivate"}},
			specs.Mount{Destination: "/etc/hosts", Type: "bind", Source: "hosts", Options: []string{"ro"}},
			specs.Mount{Destination: "/copy", Source: "/bundle/rootfs/data", Options: []string{"bind"}},
			specs.Mount{Destination: "/data", Options: []string{"remount", "bind", "rw"}},
		)
	}},
	{name: "devices", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{
			{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: ptr(os.FileMode(0o600)), UID: ptr(uint32(5)), GID: ptr(uint32(6))},
			{Path: "/run/pipe", Type: "p"},
			{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
		}
		s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{
			{Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(10)), Minor: ptr(int64(229)), Access: "rw"},
		}}
	}},
	{name: "resources-v2", layout: unified, edit: limitAll},
	{name: "systemd-v2", layout: unified, systemd: "system", edit: func(s *specs.Spec) {
		limitAll(s)
		s.Linux.CgroupsPath = "pods-a.slice:pre:web"
		s.Annotations = map[string]string{"org.systemd.property.TimeoutStopSec": "2.5", "other": "one"}
	}},
	{name: "systemd-v1", layout: legacy, systemd: "system", edit: limitAll},
	{name: "systemd-user", layout: unified, systemd: "user"},
	{name: "systemd-slice", layout: unified, systemd: "system", edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "::pods-web.slice" }},
	{name: "resources-v1", layout: legacy, edit: limitAll},
	{name: "cgroup-path", layout: hybrid, edit: func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/pods/one"
		s.Linux.Namespaces = s.Linux.Namespaces[:5] // no cgroup namespace: binds of the cgroup's directories
	}},
	{name: "joined-namespaces", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = []specs.LinuxNamespace{
			{Type: specs.MountNamespace},
			{Type: specs.PIDNamespace, Path: "/proc/1234/ns/pid"},
			{Type: specs.NetworkNamespace, Path: "/run/netns/web"},
			{Type: specs.IPCNamespace, Path: "/proc/1234/ns/ipc"},
			{Type: specs.UTSNamespace, Path: "/proc/1234/ns/uts"},
		}
	}},
	{name: "user", layout: unified, edit: func(s *specs.Spec) {
		p := s.Process
		p.User = specs.User{UID: 1000, GID: 100, AdditionalGids: []uint32{10, 20}, Umask: ptr(uint32(0o077))}
		p.Capabilities.Ambient, p.Capabilities.Inheritable = []string{"CAP_KILL"}, []string{"CAP_KILL"}
		p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NPROC", Soft: 10, Hard: 20}}
		p.OOMScoreAdj, p.Cwd = ptr(100), "/home/me"
		p.Env = []string{"PATH=/bin", "A=1", "A=2"}
		p.NoNewPrivileges = false
	}},
	{name: "mount-attributes", layout: unified, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/t", Type: "tmpfs", Source: "tmpfs", Options: []string{"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"}},
			specs.Mount{Destination: "/t/below", Type: "tmpfs", Source: "tmpfs", Options: []string{"sync", "dirsync", "lazytime", "silent", "iversion", "mode=700"}},
			specs.Mount{Destination: "/b", Source: "/srv", Options: []string{"bind", "ro", "strictatime"}},
		)
	}},
	{name: "mount-recursive-attributes", layout: unified, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/r", Source: "/srv", Options: []string{"rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnosymfollow"}})
	}},
	{name: "mount-propagation", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.RootfsPropagation = "rshared"
		for i, p := range []string{"private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"} {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: fmt.Sprintf("/p%d", i), Source: "/srv", Options: []string{"rbind", p}})
		}
	}},
	{name: "mount-remount", layout: unified, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/sys", Options: []string{"remount", "rw"}},
			specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Options: []string{"remount", "size=1m"}},
		)
	}},
	{name: "mount-copies-and-links", layout: unified, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/var", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "ro"}},
			specs.Mount{Destination: "/l", Source: "/srv/link", Options: []string{"bind", "copy-symlink"}},
			specs.Mount{Destination: "/m", Source: "/srv/link", Options: []string{"bind", "src-nofollow", "dest-nofollow"}},
		)
	}},
	{name: "overlay", layout: unified, opt: birthOptions{overlay: &overlay{dir: "/layer"}}},
	{name: "user-namespace", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}},
	{name: "joined-user-namespace", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces,
			specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/proc/1234/ns/user"}, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 60}}
	}},
	{name: "joined-mount-namespace", layout: unified, edit: joinMountNamespace},
	{name: "joined-mount-namespace-in-new-user-namespace", layout: unified, edit: func(s *specs.Spec) {
		mapUsers(s)
		joinMountNamespace(s)
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/hook"}}}
	}},
	{name: "joined-mount-namespace-in-user-namespace", layout: unified, user: true, edit: func(s *specs.Spec) {
		spec.Rootless(s, 1000, 1000)
		joinMountNamespace(s)
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.UserNamespace {
				s.Linux.Namespaces[i].Path = "/proc/1234/ns/user"
			}
		}
		s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
	}},
	{name: "user-namespace-in-host-network", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = []specs.LinuxNamespace{
			{Type: specs.UserNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace},
			{Type: specs.PIDNamespace, Path: "/proc/1234/ns/pid"}, {Type: specs.IPCNamespace, Path: "/run/ipc"},
		}
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}},
	{name: "idmapped-mounts", layout: unified, edit: func(s *specs.Spec) {
		m := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/own", Source: "/srv", Options: []string{"rbind", "ridmap"}, UIDMappings: m, GIDMappings: m},
			specs.Mount{Destination: "/inside", Source: "/bundle/rootfs/srv", Options: []string{"bind", "idmap=uids=0-5-1#1-100-20;gids=0-0-1"}},
			specs.Mount{Destination: "/new", Type: "tmpfs", Source: "tmpfs", Options: []string{"idmap"}, UIDMappings: m, GIDMappings: m},
		)
	}},
	{name: "idmapped-mounts-in-user-namespace", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/implied", Source: "/srv", Options: []string{"rbind", "idmap"}},
			specs.Mount{Destination: "/relative", Source: "/srv", Options: []string{"bind", "ridmap=uids=@0-5-1;gids=0-0-1#@1-1-1"}},
		)
	}},
	{name: "delegated-cgroup", layout: unified, edit: func(s *specs.Spec) {
		s.Process.User.UID = 1000
		for i := range s.Mounts {
			if s.Mounts[i].Type == "cgroup" {
				s.Mounts[i].Options = []string{"nosuid", "noexec", "nodev"}
			}
		}
	}},
	{name: "delegated-sub-cgroup", layout: unified, edit: func(s *specs.Spec) {
		mapUsers(s)
		s.Process.User.UID = 7
		s.Annotations = map[string]string{"run.oci.delegate-cgroup": "payload/one"}
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook"}}}
	}},
	{name: "time-namespace", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 86400, Nanosecs: 5}, "boottime": {Secs: -3}}
	}},
	{name: "labels", layout: unified, edit: func(s *specs.Spec) {
		s.Process.ApparmorProfile, s.Process.SelinuxLabel = "web", "system_u:system_r:container_t:s0:c1,c2"
		s.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c1,c2"
	}},
	{name: "seccomp", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActErrno, ListenerPath: "/run/agent.sock",
			Syscalls: []specs.LinuxSyscall{
				{Names: []string{"execve", "exit_group"}, Action: specs.ActAllow},
				{Names: []string{"mount"}, Action: specs.ActNotify},
			},
		}
		s.Process.NoNewPrivileges = false
	}},
	{name: "seccomp-create", layout: unified, opt: birthOptions{wait: true}, edit: func(s *specs.Spec) {
		s.Process.Terminal = false
		s.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow, ListenerPath: "/run/agent.sock",
			Syscalls: []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActNotify}},
		}
	}},
	{name: "groups-kept-no-capabilities", layout: unified, edit: func(s *specs.Spec) {
		s.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
		s.Process.Capabilities = nil
	}},
	{name: "rootless", layout: unified, user: true, edit: func(s *specs.Spec) { spec.Rootless(s, 1000, 1000) }},
	{name: "rootless-ranges", layout: legacy, user: true, edit: func(s *specs.Spec) {
		spec.Rootless(s, 1000, 1000)
		s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 100000, Size: 65536})
		s.Linux.GIDMappings = append(s.Linux.GIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 100000, Size: 65536})
		s.Process.User.AdditionalGids = []uint32{5}
	}},
	{name: "hooks", layout: unified, edit: func(s *specs.Spec) {
		h := []specs.Hook{{Path: "/bin/hook"}}
		s.Hooks = &specs.Hooks{Prestart: h, CreateRuntime: h, CreateContainer: h, StartContainer: h, Poststart: h, Poststop: h} //nolint:staticcheck // prestart is deprecated, not gone
	}},
	{name: "rdt", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.IntelRdt = &specs.LinuxIntelRdt{L3CacheSchema: "L3:0=7f0;1=1f", MemBwSchema: "MB:0=20;1=70", Schemata: []string{"L2:0=f"}, EnableMonitoring: true}
	}},
	{name: "rdt-prepared", layout: legacy, edit: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "guaranteed"} }},
	{name: "rdt-shared", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "guaranteed", L3CacheSchema: "L3:0=f"}
	}},
	{name: "net-devices", layout: unified, edit: func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth1": {}, "eth0": {Name: "net%d"}, "eth2": {Name: "web0"}}
	}},
	{name: "resources-all-v2", layout: unified, edit: resourcesOfEveryKind},
	{name: "resources-all-v1", layout: legacy, edit: resourcesOfEveryKindV1},
	{name: "kernel-parameters", layout: unified, edit: func(s *specs.Spec) {
		s.Domainname = "example"
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
		s.Linux.RootfsPropagation = "rslave"
		s.Root.Readonly = false
	}},
	{name: "scheduling", layout: unified, edit: scheduled},
	{name: "scheduling-in-user-namespace", layout: legacy, edit: func(s *specs.Spec) {
		scheduled(s)
		s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 1e6, Deadline: 2e6, Period: 3e6}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	}},
}

// joinMountNamespace gives the mount namespace a path.
func joinMountNamespace(s *specs.Spec) {
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == specs.MountNamespace {
			s.Linux.Namespaces[i].Path = "/proc/1234/ns/mnt"
		}
	}
}

// TestJoinedMountsRefused: what a container cannot have whose mounts are in no namespace.
func TestJoinedMountsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*specs.Spec)
		want string
	}{
		"root shared":  {func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" }, "/linux/rootfsPropagation: rshared cannot be had"},
		"root private": {func(s *specs.Spec) { s.Linux.RootfsPropagation = "private" }, ""},
		"slave": {func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/srv", Source: "/srv", Options: []string{"rbind", "rslave"}})
		}, "/options: shared or slave cannot be had"},
		"unbindable": {func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/srv", Source: "/srv", Options: []string{"rbind", "runbindable"}})
		}, ""},
		"AppArmor":   {func(s *specs.Spec) { s.Process.ApparmorProfile = "web" }, "/process/apparmorProfile: web cannot confine"},
		"unconfined": {func(s *specs.Spec) { s.Process.ApparmorProfile = "unconfined" }, ""},
		"SELinux":    {func(s *specs.Spec) { s.Process.SelinuxLabel = "u:r:t:s0" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec.Default()
			c.edit(s)
			build := func() string {
				if _, err := newBirth("web", "/bundle", "/bundle/rootfs", s, testHost(unified, ""), birthOptions{}); err != nil {
					return err.Error()
				}
				return ""
			}
			if got := build(); got != "" {
				t.Fatalf("refused in a new mount namespace: %s", got)
			}
			joinMountNamespace(s)
			if got := build(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// scheduled has a value for all that decides when and where a process runs.
func scheduled(s *specs.Spec) {
	p := s.Process
	p.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
	p.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 7}
	p.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0", Final: "0-1"}
	s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0-1", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
}

// TestExecPlan holds the Plan of an exec to its golden file.
func TestExecPlan(t *testing.T) {
	s := spec.Default()
	scheduled(s)
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, testHost(nil, ""), birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.joins, b.dir = true, &state.Dir{Record: &state.Record{Cgroup: state.Cgroup{Manager: "cgroupfs", Dirs: []string{"/sys/fs/cgroup/web"}}}}
	var got bytes.Buffer
	if err := b.execPlan(nil).Text(&got); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "exec.txt", got.Bytes())
}

// TestExecPlanUsers: the same in a container with a user namespace.
func TestExecPlanUsers(t *testing.T) {
	s := spec.Default()
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/proc/1234/ns/user"})
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, testHost(nil, ""), birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.joins, b.dir = true, &state.Dir{Record: &state.Record{}}
	var got bytes.Buffer
	if err := b.execPlan(nil).Text(&got); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "exec-in-user-namespace.txt", got.Bytes())
}

// compareGolden holds a text to a file of testdata/plan, but for the length of a seccomp filter:
// that is another on each architecture, and internal/seccomp has tests of it.
func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	got = filterLength.ReplaceAll(got, []byte("seccomp filter of N"))
	golden := filepath.Join("testdata", "plan", name)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the plan differs from %s (go test -run %s -update . accepts it):\n%s", golden, t.Name(), diff(string(want), string(got)))
	}
}

func limitAll(s *specs.Spec) {
	s.Linux.Resources = &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(128 << 20)), Reservation: ptr(int64(32 << 20))},
		CPU:    &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(10000)), Period: ptr(uint64(100000))},
		Pids:   &specs.LinuxPids{Limit: ptr(int64(7))},
	}
}

// resourcesOfEveryKind has a value for each chapter of /linux/resources.
func resourcesOfEveryKind(s *specs.Spec) {
	limitAll(s)
	r := s.Linux.Resources
	r.CPU.Cpus, r.CPU.Mems, r.CPU.Idle, r.CPU.Burst = "0-1", "0", ptr(int64(1)), ptr(uint64(5000))
	r.BlockIO = &specs.LinuxBlockIO{Weight: ptr(uint16(100)), ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{throttle(8, 0, 1<<20)}}
	r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 1 << 21}}
	r.Unified = map[string]string{"memory.high": "60000000"}
}

// resourcesOfEveryKindV1 is the same with what only version 1 has, and without what
// the test's hierarchies lack.
func resourcesOfEveryKindV1(s *specs.Spec) {
	limitAll(s)
	r := s.Linux.Resources
	r.Memory.Swappiness, r.Memory.DisableOOMKiller = ptr(uint64(10)), ptr(true)
	r.CPU.RealtimeRuntime, r.CPU.RealtimePeriod = ptr(int64(1000)), ptr(uint64(10000))
}

func throttle(major, minor int64, rate uint64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: rate}
	d.Major, d.Minor = major, minor
	return d
}

// TestPlan holds the Plan of each config to its golden file. The Plan is a pure
// function: no test here needs root or touches the host.
func TestPlan(t *testing.T) {
	for _, c := range planCases {
		t.Run(c.name, func(t *testing.T) {
			s := spec.Default()
			if c.edit != nil {
				c.edit(s)
			}
			if err := spec.Validate(s); err != nil {
				t.Fatalf("the config is not valid: %v", err)
			}
			b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, c.host("root:x:0:0::/root:/bin/sh\n"), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := b.plan().Text(&got); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, c.name+".txt", got.Bytes())
		})
	}
}

// TestPlansAssemble translates every Plan to instructions.
func TestPlansAssemble(t *testing.T) {
	for _, c := range planCases {
		t.Run(c.name, func(t *testing.T) {
			s := spec.Default()
			if c.edit != nil {
				c.edit(s)
			}
			b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, c.host(""), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			p := b.plan()
			code, err := assemble(p)
			if err != nil {
				t.Fatal(err)
			}
			steps := map[int]bool{}
			for _, o := range code.Origins() {
				steps[o.Step] = true
			}
			for i, s := range p.Steps[p.Clone+1:] {
				if i == 0 {
					continue // the binary, which is out of reach here
				}
				if s.By == plan.Init && !steps[p.Clone+1+i] {
					t.Errorf("step %q makes no instruction", s.Words)
				}
			}
		})
	}
}

// diff shows the lines that only one side has.
func diff(want, got string) string {
	var b strings.Builder
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	only := func(mark string, lines, others []string) {
		has := map[string]int{}
		for _, l := range others {
			has[l]++
		}
		for _, l := range lines {
			if has[l] == 0 {
				b.WriteString(mark + l)
				continue
			}
			has[l]--
		}
	}
	only("-", w, g)
	only("+", g, w)
	return b.String()
}
