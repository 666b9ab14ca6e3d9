package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// namespaces is what /linux/namespaces comes to: kinds made by clone3, and
// kinds joined through a path.
type namespaces struct {
	list  []specs.LinuxNamespace
	flags uint64 // CLONE_NEW* of all new namespaces
	// building is CLONE_NEWNS where a mount namespace is joined: the container's tree is
	// built in another one, which ends with the building; see joinMounts.
	building uint64
	late     uint64 // those of both that init makes itself, after the clone
	// staged says that init enters the user namespace itself, after the namespaces
	// that others own; see joinEarly.
	staged bool
}

func namespacesOf(s *specs.Spec) namespaces {
	var n namespaces
	if s.Linux == nil {
		return n
	}
	n.list = s.Linux.Namespaces
	for _, ns := range n.list {
		switch {
		case ns.Path == "":
			n.flags |= cloneFlag(ns.Type)
		case ns.Type == specs.MountNamespace:
			n.building = unix.CLONE_NEWNS
		}
	}
	// It is rooted at the cgroup in which it is made, and with CLONE_INTO_CGROUP
	// clone3 makes it before it moves the child.
	n.late = n.flags & unix.CLONE_NEWCGROUP
	if len(s.Linux.TimeOffsets) > 0 {
		n.late |= n.flags & unix.CLONE_NEWTIME // see shiftClocks
	}
	if n.private(unix.CLONE_NEWUSER) {
		for _, ns := range n.list {
			n.staged = n.staged || ns.Path != ""
		}
	}
	if n.staged {
		n.late = n.flags | n.building
	}
	return n
}

// cloneFlag is the CLONE_NEW* flag of a kind that validation let through.
func cloneFlag(kind specs.LinuxNamespaceType) uint64 {
	if n := spec.LookupNamespace(kind); n != nil {
		return n.Flag
	}
	return 0
}

// isNew says whether the container gets a namespace of this kind of its own.
func (n namespaces) isNew(flag uint64) bool { return n.flags&flag != 0 }

// private says whether the container is outside the host's namespace of this
// kind, be it in a new one or in one that it joins.
func (n namespaces) private(flag uint64) bool {
	for _, ns := range n.list {
		if cloneFlag(ns.Type) == flag {
			return true
		}
	}
	return false
}

// cloned are the flags for clone3 itself.
func (n namespaces) cloned() uint64 { return (n.flags | n.building) &^ n.late }

// words lists the namespaces that clone3 makes.
func (n namespaces) words() string {
	var names []string
	for _, ns := range n.list {
		if n.cloned()&cloneFlag(ns.Type) != 0 {
			names = append(names, n.name(ns.Type))
		}
	}
	if len(names) == 0 {
		return "no new namespace"
	}
	return "new namespaces: " + strings.Join(names, ", ")
}

// name is that of a kind of which a namespace is made.
func (n namespaces) name(kind specs.LinuxNamespaceType) string {
	if n.building&cloneFlag(kind) != 0 {
		return "mount (to build in)"
	}
	return string(kind)
}

// openNamespaces opens every namespace given by path, as the runtime still sees
// the host's files, and checks that each is of the kind that it is taken for.
func (b *birth) openNamespaces() []plan.Step {
	var steps []plan.Step
	b.nsFds = make([]int, len(b.ns.list))
	for i, ns := range b.ns.list {
		b.nsFds[i] = -1
		if ns.Path == "" {
			continue
		}
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/linux/namespaces/%d/path", i),
			By:    plan.Runtime,
			Words: fmt.Sprintf("open the %s namespace %s", ns.Type, ns.Path),
			Shell: b.command("test", "-e", ns.Path),
			Do: func() (func() error, error) {
				fd, err := unix.Open(ns.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					return nil, &os.PathError{Op: "open", Path: ns.Path, Err: err}
				}
				b.opened = append(b.opened, fd)
				b.nsFds[i] = fd
				if err := notOwn(fd, ns); err != nil {
					return nil, err
				}
				kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
				if err != nil {
					return nil, fmt.Errorf("%s is not a namespace: %w", ns.Path, os.NewSyscallError("ioctl NS_GET_NSTYPE", err))
				}
				if uint64(kind) != cloneFlag(ns.Type) {
					return nil, fmt.Errorf("%s is a namespace of another kind than %s", ns.Path, ns.Type)
				}
				return nil, b.keepsHost(fd, ns)
			},
		})
	}
	return steps
}

// notOwn refuses the runtime's own user namespace, which cannot be joined again (setns(2),
// EINVAL).
func notOwn(fd int, ns specs.LinuxNamespace) error {
	if ns.Type != specs.UserNamespace {
		return nil
	}
	own, err := isOwn(fd, ns)
	if own {
		return fmt.Errorf("%s is the runtime's own %s namespace: leave the entry out to stay in it", ns.Path, ns.Type)
	}
	return err
}

// isOwn says whether a namespace is the runtime's own.
func isOwn(fd int, ns specs.LinuxNamespace) (bool, error) {
	self := "/proc/self/ns/" + spec.LookupNamespace(ns.Type).File
	var own, its unix.Stat_t
	if err := unix.Stat(self, &own); err != nil {
		return false, &os.PathError{Op: "stat", Path: self, Err: err}
	}
	if err := unix.Fstat(fd, &its); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return own.Dev == its.Dev && own.Ino == its.Ino, nil
}

// keepsHost refuses to change what belongs to a namespace that is given by path and is the runtime's
// own: validation takes the entry for another one.
func (b *birth) keepsHost(fd int, ns specs.LinuxNamespace) error {
	var changes []string
	for name := range b.spec.Linux.Sysctl {
		if spec.SysctlNamespace(name) == cloneFlag(ns.Type) {
			changes = append(changes, "/linux/sysctl/"+spec.Escape(name))
		}
	}
	slices.Sort(changes)
	if ns.Type == specs.UTSNamespace {
		if b.spec.Hostname != "" {
			changes = append(changes, "/hostname")
		}
		if b.spec.Domainname != "" {
			changes = append(changes, "/domainname")
		}
	}
	if len(changes) == 0 {
		return nil
	}
	own, err := isOwn(fd, ns)
	if own {
		return fmt.Errorf("%s is the runtime's own %s namespace: %s would change the host: leave it out, or make a new namespace", ns.Path, ns.Type, strings.Join(changes, ", "))
	}
	return err
}

// joinNamespaces enters the namespaces given by path, in the order of the table
// in package spec, but for those of users, pids and mounts: see enterUsers, enterPids and
// joinMounts.
func (b *birth) joinNamespaces() []plan.Step {
	var steps []plan.Step
	for _, kind := range spec.Namespaces {
		for i, ns := range b.ns.list {
			if ns.Type != kind.Type || ns.Path == "" || ns.Type == specs.UserNamespace || ns.Type == specs.PIDNamespace || ns.Type == specs.MountNamespace {
				continue
			}
			step := plan.Step{
				Field: fmt.Sprintf("/linux/namespaces/%d/path", i),
				By:    plan.Init, Words: fmt.Sprintf("join the %s namespace %s", ns.Type, ns.Path),
				Shell:    b.remark("nsenter did it"),
				Assemble: func(a *program.Assembler) { b.join(a, i) },
			}
			if b.ns.staged {
				step.Reason = "if it is the user namespace that gives the right to"
			}
			steps = append(steps, step)
		}
	}
	return steps
}

// join enters a namespace that was given by path, unless joinEarly has.
func (b *birth) join(a *program.Assembler, i int) {
	ns := b.ns.list[i]
	setns := func() program.Call {
		return a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.nsFds[i]), program.Const(cloneFlag(ns.Type))).Note(ns.Path)
	}
	if !b.ns.staged {
		setns()
		return
	}
	late, done := a.NewLabel(), a.NewLabel()
	a.Unless(b.early[i].Arg(), program.Const(1), late)
	a.Jump(done)
	a.Bind(late)
	setns()
	a.Bind(done)
	a.Release(b.early[i])
}

// valueForked is the slot in which init publishes its pid after a fork.
const valueForked = 1

// forksIntoPids says whether the process gets into its pid namespace by a fork: into one
// that exists, or into one that init has made.
func (b *birth) forksIntoPids() bool {
	return b.entersPids() || !b.joins && b.ns.late&unix.CLONE_NEWPID != 0
}

// entersPids says whether the process goes into a pid namespace that exists.
func (b *birth) entersPids() bool {
	if b.joins {
		return b.ns.private(unix.CLONE_NEWPID)
	}
	return b.pidNamespace() >= 0
}

// pidNamespace is the index of the pid namespace to join, or -1.
func (b *birth) pidNamespace() int {
	for i, ns := range b.ns.list {
		if ns.Type == specs.PIDNamespace && ns.Path != "" {
			return i
		}
	}
	return -1
}

// enterPids enters a pid namespace that exists. setns(2) moves only children into
// it, so the process forks. It could also have been cloned by a thread that had
// joined before; but then the processes in there would see it before it has
// hidden itself and the runtime's binary, and get hold of that (CVE-2019-5736).
//
// A first process must be in its pid namespace before it mounts a procfs, so it
// still has the host's files when those who are there see it. What keeps them off is
// that it cannot be traced without CAP_SYS_PTRACE in the runtime's user namespace.
func (b *birth) enterPids() []plan.Step {
	if !b.forksIntoPids() {
		return nil
	}
	field, from := "/linux/namespaces", "the container"
	if i := b.pidNamespace(); i >= 0 && !b.joins {
		field, from = fmt.Sprintf("/linux/namespaces/%d/path", i), b.ns.list[i].Path
	}
	reason := "after the binary is out of reach and tracing forbidden: from here on others see the process"
	if b.forksLast() {
		reason = "when nothing of the runtime's is left in the process: from here on others see it, and may be allowed to trace it"
	}
	if !b.entersPids() {
		from, reason = "the user namespace", "unshare moves only children into a new one"
	}
	return []plan.Step{{
		Field: field, By: plan.Init, Words: "fork into the pid namespace of " + from,
		Reason: reason,
		Shell:  b.remark("nsenter did it"),
		Assemble: func(a *program.Assembler) {
			if b.forksLast() {
				a.Fork(valueForked, -1)
				return
			}
			if b.joins {
				// An exec has joined all else, and is in the cgroup: whoever sees the
				// fork in the container finds nothing of the host's in it.
				keep := -1
				if b.hasTerminal() {
					keep = b.consoleSockets[1] // a socket leads nowhere
				}
				a.CloseOthers(3+b.opt.preserveFds, keep)
				a.Fork(valueForked, -1)
				return
			}
			if i := b.pidNamespace(); i >= 0 {
				b.join(a, i)
			}
			cgroupFd := -1
			if b.cgroup != nil && !b.ns.staged {
				cgroupFd = b.cgroup.UnifiedFd()
			}
			a.Fork(valueForked, cgroupFd)
		},
	}}
}

// newCgroupNamespace makes the container's cgroup the root of what it sees.
func (b *birth) newCgroupNamespace() []plan.Step {
	if !b.ns.isNew(unix.CLONE_NEWCGROUP) {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init,
		Words:  "unshare the cgroup namespace",
		Reason: "it is rooted at the cgroup that the process is in, so it comes after the cgroup",
		Shell:  b.remark("unshare did it, in the cgroup"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWCGROUP)).Note("CLONE_NEWCGROUP")
		},
	}}
}

// identity sets what the new uts and network namespaces start with.
func (b *birth) identity() []plan.Step {
	var steps []plan.Step
	if name := b.spec.Hostname; name != "" {
		steps = append(steps, plan.Step{
			Field: "/hostname", By: plan.Init, Words: "set the hostname to " + name,
			Shell: b.command(plan.HostCommand, "hostname", name),
			Assemble: func(a *program.Assembler) {
				a.Call(program.Discard, unix.SYS_SETHOSTNAME, a.String(name), program.Const(len(name))).Note(name)
			},
		})
	}
	if name := b.spec.Domainname; name != "" {
		steps = append(steps, plan.Step{
			Field: "/domainname", By: plan.Init, Words: "set the NIS domain name to " + name,
			Shell: b.command(plan.HostCommand, "domainname", name),
			Assemble: func(a *program.Assembler) {
				a.Call(program.Discard, unix.SYS_SETDOMAINNAME, a.String(name), program.Const(len(name))).Note(name)
			},
		})
	}
	if b.ns.isNew(unix.CLONE_NEWNET) {
		steps = append(steps, plan.Step{
			Field: "/linux/namespaces", By: plan.Init, Words: "bring the loopback interface up",
			Shell: b.command(plan.HostCommand, "ip", "link", "set", "lo", "up"),
			Assemble: func(a *program.Assembler) {
				// struct ifreq (netdevice(7)): a name of 16 bytes, then the flags.
				ifreq := make([]byte, 40)
				copy(ifreq, "lo")
				ifreq[16] = unix.IFF_UP
				s := a.Reg()
				a.Call(s, unix.SYS_SOCKET, program.Const(unix.AF_INET), program.Const(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), program.Const(0)).Note("AF_INET")
				a.Call(program.Discard, unix.SYS_IOCTL, s.Arg(), program.Const(unix.SIOCSIFFLAGS), a.Bytes(ifreq)).Note("SIOCSIFFLAGS lo up")
				closeFd(a, s)
			},
		})
	}
	return steps
}

// closeFd closes the descriptor in a register and gives the register back.
func closeFd(a *program.Assembler, regs ...program.Reg) {
	for _, r := range regs {
		a.Call(program.Discard, unix.SYS_CLOSE, r.Arg())
		a.Release(r)
	}
}
