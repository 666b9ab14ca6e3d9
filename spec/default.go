package spec

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Default returns the configuration that a person starts from: a shell on a
// terminal, in the bundle's directory rootfs, as root with three capabilities, in
// namespaces of its own for all but users and clocks.
//
// No capability is inheritable: it would come back at each execve of a file that
// has it in its inheritable set (CVE-2022-29162).
func Default() *specs.Spec {
	caps := func() []string {
		return []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	}
	return &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			Terminal: true,
			Args:     []string{"sh"},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"TERM=xterm",
			},
			Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{
				Bounding:  caps(),
				Effective: caps(),
				Permitted: caps(),
			},
			Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1024, Soft: 1024}},
			NoNewPrivileges: true,
		},
		Root:     &specs.Root{Path: "rootfs", Readonly: true},
		Hostname: "oci-mini",
		Mounts:   defaultMounts(),
		Linux: &specs.Linux{
			Resources: &specs.LinuxResources{
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			},
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.CgroupNamespace},
			},
			// Parts of proc and sysfs that belong to no namespace, and tell of
			// the host or steer it.
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
				"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
				"/proc/sched_debug", "/sys/firmware", "/proc/scsi",
			},
			ReadonlyPaths: []string{
				"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
			},
		},
	}
}

func defaultMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			// Group 5 is tty in every distribution.
			Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue",
			Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs",
			Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
			Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
	}
}

// Rootless turns a configuration into one that a user other than root can run:
// root of a new user namespace that knows one user and one group, those given.
//
// There is no network namespace, since a user cannot connect a new one to
// anything. A new sysfs belongs to whoever owns the network namespace, so /sys
// becomes the host's, read-only in all its parts: with a read-only top alone the
// host's cgroups below it would be open to writing (CVE-2023-25809). Mounts lose
// their uid and gid options, which would name ids that are not mapped, and the
// resources go, because the cgroups are root's.
func Rootless(s *specs.Spec, uid, gid uint32) {
	if s.Linux == nil {
		s.Linux = new(specs.Linux)
	}
	l := s.Linux
	l.Namespaces = append(slices.DeleteFunc(l.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.NetworkNamespace || ns.Type == specs.UserNamespace
	}), specs.LinuxNamespace{Type: specs.UserNamespace})
	l.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: uid, Size: 1}}
	l.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: gid, Size: 1}}
	l.Resources = nil

	for i := range s.Mounts {
		m := &s.Mounts[i]
		if path.Clean(m.Destination) == "/sys" {
			*m = specs.Mount{Destination: "/sys", Type: "none", Source: "/sys",
				Options: []string{"rbind", "nosuid", "noexec", "nodev", "rro"}}
			continue
		}
		m.Options = slices.DeleteFunc(m.Options, func(option string) bool {
			return strings.HasPrefix(option, "uid=") || strings.HasPrefix(option, "gid=")
		})
	}
}

// HostDirs are the directories of a host that [Host] can use: programs, their
// libraries and their configuration. On most hosts all but /usr and /etc are
// symbolic links into /usr; a bind mount follows them.
var HostDirs = []string{"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// Host turns a configuration into one that needs no image: the given directories
// of the host (those of [HostDirs] that exist) are bound, read-only, into an empty
// root, with memory file systems where programs write. If term is not empty it
// becomes the TERM of the process.
//
// The root path stays as it is, but its directory must be made, empty, before the
// container is. The container's root may read in /etc what the user who runs it
// may read: it is the host's configuration, passwords and all.
func Host(s *specs.Spec, dirs []string, term string) {
	mounts := make([]specs.Mount, 0, len(dirs)+4+len(s.Mounts))
	for _, dir := range dirs {
		// Recursive, because a user namespace may not bind a directory
		// without the mounts that hide parts of it.
		mounts = append(mounts, specs.Mount{Destination: dir, Type: "none", Source: dir,
			Options: []string{"rbind", "rro", "rnosuid", "rnodev"}})
	}
	for _, x := range [...]struct{ dir, mode string }{
		{"/tmp", "mode=1777"}, {"/root", "mode=700"}, {"/run", "mode=755"}, {"/var", "mode=755"},
	} {
		mounts = append(mounts, specs.Mount{Destination: x.dir, Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "nodev", x.mode}})
	}
	s.Mounts = append(mounts, s.Mounts...)
	if s.Root == nil {
		s.Root = &specs.Root{Path: "rootfs"}
	}
	s.Root.Readonly = true
	if s.Process != nil && term != "" {
		s.Process.Env = append(slices.DeleteFunc(s.Process.Env, func(entry string) bool {
			return strings.HasPrefix(entry, "TERM=")
		}), "TERM="+term)
	}
}
