package spec

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// namespacedSysctls are the kernel parameters that a namespace has for itself, by
// their files below /proc/sys and the kind of namespace; one that ends in a slash
// stands for all below it (namespaces(7), ipc_namespaces(7), the kernel's
// Documentation/admin-guide/sysctl). kernel/pid_max is not among them: it is the
// host's before Linux 6.14.
var namespacedSysctls = []namespacedSysctl{
	{"net/", "network", unix.CLONE_NEWNET},
	{"fs/mqueue/", "ipc", unix.CLONE_NEWIPC},
	{"kernel/msgmax", "ipc", unix.CLONE_NEWIPC},
	{"kernel/msgmnb", "ipc", unix.CLONE_NEWIPC},
	{"kernel/msgmni", "ipc", unix.CLONE_NEWIPC},
	{"kernel/sem", "ipc", unix.CLONE_NEWIPC},
	{"kernel/shmall", "ipc", unix.CLONE_NEWIPC},
	{"kernel/shmmax", "ipc", unix.CLONE_NEWIPC},
	{"kernel/shmmni", "ipc", unix.CLONE_NEWIPC},
	{"kernel/shm_rmid_forced", "ipc", unix.CLONE_NEWIPC},
	{"kernel/msg_next_id", "ipc", unix.CLONE_NEWIPC},
	{"kernel/sem_next_id", "ipc", unix.CLONE_NEWIPC},
	{"kernel/shm_next_id", "ipc", unix.CLONE_NEWIPC},
	{"kernel/domainname", "uts", unix.CLONE_NEWUTS},
	{"kernel/ns_last_pid", "pid", unix.CLONE_NEWPID},
	{"vm/memfd_noexec", "pid", unix.CLONE_NEWPID},
	// Limits of a user on namespaces and the like: without a user namespace they
	// would change for the whole host.
	{"user/", "user", unix.CLONE_NEWUSER},
}

type namespacedSysctl struct {
	file, kind string
	flag       uint64
}

// SysctlFile returns the file of a kernel parameter, relative to /proc/sys. As in
// sysctl(8), the separator is a dot or a slash, whichever comes first in the name,
// and the other one stands for itself with the roles exchanged: both
// net.ipv4.conf.eth0/100.forwarding and net/ipv4/conf/eth0.100/forwarding are the
// parameter of the device eth0.100.
//
// The result is what the name says. It is a safe path only if [Validate] had
// nothing to say about the name.
func SysctlFile(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '/' {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// SysctlNamespace is the CLONE_NEW* flag of the kind of namespace that a kernel parameter belongs to, 0
// for one of the host's.
func SysctlNamespace(name string) uint64 {
	if i := sysctlIndex(SysctlFile(name)); i >= 0 {
		return namespacedSysctls[i].flag
	}
	return 0
}

// sysctlIndex is where a file is in namespacedSysctls, or -1.
func sysctlIndex(file string) int {
	return slices.IndexFunc(namespacedSysctls, func(n namespacedSysctl) bool {
		return file == n.file || strings.HasSuffix(n.file, "/") && strings.HasPrefix(file, n.file)
	})
}

// sysctls checks kernel parameters. Only one that belongs to a namespace of the
// container may be set; any other is the host's. (Whether a network namespace
// that is joined by path is the host's own can be told only when it is open.)
func (c *checker) sysctls(object pointer, s *specs.Spec, joined namespaces) {
	for _, name := range sortedKeys(s.Linux.Sysctl) {
		at, file := object.field(name), SysctlFile(name)
		if !c.text(at, name) {
			continue
		}
		for part := range strings.SplitSeq(file, "/") {
			if part == "" || part == "." || part == ".." {
				c.bad(at, "must be the name of a kernel parameter")
				file = ""
				break
			}
		}
		if file == "" {
			continue
		}
		if file == "kernel/hostname" {
			c.bad(at, "must not be set: /hostname is the place for it")
			continue
		}
		i := sysctlIndex(file)
		if i < 0 {
			c.bad(at, "must not be set: it belongs to no namespace, so it would change the host")
			continue
		}
		c.sysctlNeeds(at, namespacedSysctls[i].kind, namespacedSysctls[i].flag, joined)
		if value := s.Linux.Sysctl[name]; file == "kernel/domainname" && s.Domainname != "" && value != s.Domainname {
			c.bad(at, "must not contradict /domainname %q, is %q", s.Domainname, value)
		}
	}
}

func (c *checker) sysctlNeeds(at pointer, kind string, flag uint64, joined namespaces) {
	if !joined.has(flag) {
		c.bad(at, "needs a namespace of type %s in /linux/namespaces, or it would change the host", kind)
	}
}
