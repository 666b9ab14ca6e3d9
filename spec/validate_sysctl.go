package spec

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ipcSysctls are the names in kernel. that belong to the ipc namespace
// (ipc_namespaces(7)).
var ipcSysctls = []string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
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
		top, _, below := strings.Cut(file, "/")
		switch {
		case file == "":
		case top == "net" && below:
			c.sysctlNeeds(at, "network", unix.CLONE_NEWNET, joined)
		case strings.HasPrefix(file, "fs/mqueue/") || slices.Contains(ipcSysctls, file):
			c.sysctlNeeds(at, "ipc", unix.CLONE_NEWIPC, joined)
		case top == "user" && below:
			// Per-user limits on namespaces: without a user namespace
			// they would be raised for the whole host.
			c.sysctlNeeds(at, "user", unix.CLONE_NEWUSER, joined)
		case file == "kernel/domainname":
			c.sysctlNeeds(at, "uts", unix.CLONE_NEWUTS, joined)
			if value := s.Linux.Sysctl[name]; s.Domainname != "" && value != s.Domainname {
				c.bad(at, "must not contradict /domainname %q, is %q", s.Domainname, value)
			}
		case file == "kernel/hostname":
			c.bad(at, "must not be set: /hostname is the place for it")
		default:
			c.bad(at, "must not be set: it belongs to no namespace, so it would change the host")
		}
	}
}

func (c *checker) sysctlNeeds(at pointer, kind string, flag uint64, joined namespaces) {
	if !joined.has(flag) {
		c.bad(at, "needs a namespace of type %s in /linux/namespaces, or it would change the host", kind)
	}
}
