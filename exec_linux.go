package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
	"github.com/oci-mini/oci-mini/spec"
)

// execPlan is the birth of another process in a container: the surroundings are
// there, so it joins them and becomes the process.
func (b *birth) execPlan(subs map[string]string) *plan.Plan {
	p := &plan.Plan{}
	p.Add(plan.Step{By: plan.Runtime, Words: "open the container's first process", Do: b.openContainer})
	p.Add(b.reachAgent()...)
	p.Add(b.checkUsersOfExec()...)
	p.Add(b.ownStreams()...)
	p.Add(b.openContainerCgroup(subs)...)
	p.Add(b.openHostProc()...)
	p.Add(b.initialAffinity()...)
	p.Add(b.openConsoleSocket()...)
	p.AddClone(plan.Step{
		By: plan.Runtime, Words: "clone a process",
	})
	p.Add(b.swapBinary()...)
	p.Add(b.forget())
	p.Add(b.oomScore()...)
	p.Add(b.hide()...)
	p.Add(b.joinContainer()...)
	// What is written below the host's /proc comes before its descriptor goes, with
	// the fork. The fork inherits it.
	p.Add(b.keyring()...)
	p.Add(b.processLabels()...)
	if !b.forksLast() {
		p.Add(b.enterPids()...)
	}
	p.Add(b.joinRdt()...)
	p.Add(b.openContainerRoot())
	if !b.forksLast() {
		p.Add(b.session())
	}
	p.Add(b.console(false)...)
	found := b.becomeProcess(p)
	p.Add(b.closeDescriptors())
	p.Add(b.resetSignals())
	p.Add(b.limitFiles()...)
	p.Add(b.installFilter()...)
	if b.forksLast() {
		p.Add(b.dropHeld()...)
		p.Add(b.enterPids()...)
		p.Add(b.session())
		p.Add(b.controllingTerminal()...)
	}
	p.Add(b.execute(found)...)
	return p
}

// joinContainer enters all namespaces of the container, and its root directory, before
// anybody in the container can see the process: that of pids is only for its children.
func (b *birth) joinContainer() []plan.Step {
	var detail string
	if b.inUsers() {
		detail = b.groupsOnEntry()
	}
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "join the container's namespaces",
		Reason: "all at once, with the runtime's rights, through the pidfd of its first process",
		Detail: detail,
		Assemble: func(a *program.Assembler) {
			var flags uint64
			for _, ns := range b.ns.list {
				flags |= cloneFlag(ns.Type)
			}
			join := func() {
				a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.containerFd), program.Const(flags)).Note("of the container")
			}
			switch {
			case flags&unix.CLONE_NEWUSER != 0:
				b.userEntry().Join(a, join)
				b.takeRoot(a)
			case flags != 0:
				join()
				b.trustMounts(a)
			}
			if b.dir.Record.NoPivot {
				// Its root is below that of its mount namespace.
				a.Call(program.Discard, unix.SYS_FCHDIR, program.Const(b.containerRoot)).Note("the container's root")
				a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note("the container's root")
			}
		},
	}}
}

// entersMounts says whether an exec goes into the container's mount namespace with the privileges
// that it has in the runtime's own user namespace.
func (b *birth) entersMounts() bool {
	return b.joins && b.ns.isNew(unix.CLONE_NEWNS) && !b.inUsers()
}

// trustMounts fails where the first process has gone on to a mount namespace that belongs to a user
// namespace of its own making. That anybody may do, without a privilege; and what is mounted there
// in place of the programs that the config's user trusts would be executed with the container's
// privileges.
func (b *birth) trustMounts(a *program.Assembler) {
	if !b.entersMounts() {
		return
	}
	dir, ns, owner, inode := a.Reg(), a.Reg(), a.Reg(), a.Reg()
	// As in enterTime: the link is the kernel's own.
	b.openProc(a, dir, "self/ns", unix.O_PATH|unix.O_DIRECTORY)
	a.Call(ns, unix.SYS_OPENAT, dir.Arg(), a.String("mnt"), program.Const(unix.O_RDONLY|unix.O_CLOEXEC)).Note("/proc/self/ns/mnt")
	trusted, own := a.NewLabel(), a.NewLabel()
	a.Call(owner, unix.SYS_IOCTL, ns.Arg(), program.Const(unix.NS_GET_USERNS)).Note("NS_GET_USERNS").On(unix.EPERM, trusted) // one above
	a.Call(program.Discard, unix.SYS_STATX, owner.Arg(), a.String(""), program.Const(unix.AT_EMPTY_PATH), program.Const(unix.STATX_INO), program.Scratch(0)).Note("user namespace")
	a.Load32(inode, 0x20, 1<<32-1) // stx_ino, of 32 bits in this file system
	foreign := a.NewLabel()
	a.Unless(inode.Arg(), program.Const(b.host.users), foreign)
	a.Jump(own)
	a.Bind(foreign)
	a.Fail(unix.EPERM, "the container's first process is in a mount namespace of a user namespace that it has made for itself: what is mounted there would be executed with the container's privileges")
	a.Bind(own)
	a.Call(program.Discard, unix.SYS_CLOSE, owner.Arg())
	a.Bind(trusted)
	closeFd(a, ns, dir)
	a.Release(owner, inode)
}

// openContainerRoot opens the root directory for what the process looks up in it.
func (b *birth) openContainerRoot() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "open the container's root directory",
		Assemble: func(a *program.Assembler) {
			root := a.Reg()
			a.Call(root, unix.SYS_OPENAT, program.Const(unix.AT_FDCWD), a.String("/"), program.Const(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Note("/")
			b.root = root.Arg()
		},
	}
}

// staysBelow refuses a path of exec --cgroup that leads out of the container's cgroup: to
// stop there, as at the root of a file system, would put the process where nobody asked.
func staysBelow(sub string) error {
	if spec.LeadsOut(sub) {
		return fmt.Errorf("--cgroup %s: leads out of the container's cgroup", sub)
	}
	return nil
}

// subCgroups reads the values of exec --cgroup: one PATH for every hierarchy, or any
// number of CONTROLLER[,CONTROLLER...]:PATH for those of cgroup v1. The result is as
// [cgroup.Cgroup.Descend] takes it.
func subCgroups(values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	paths := make(map[string]string, len(values))
	for _, value := range values {
		names, sub, found := strings.Cut(value, ":")
		if !found {
			if len(values) > 1 {
				return nil, fmt.Errorf("--cgroup %s: beside another --cgroup it must name its controllers, as CONTROLLER:PATH", value)
			}
			return map[string]string{"": value}, staysBelow(value)
		}
		for name := range strings.SplitSeq(names, ",") {
			name = strings.TrimPrefix(name, "name=") // as /proc/PID/cgroup has it
			if name == "" {
				return nil, fmt.Errorf("--cgroup %s: a controller's name is empty", value)
			}
			if _, twice := paths[name]; twice {
				return nil, fmt.Errorf("--cgroup %s: controller %s has a path already", value, name)
			}
			paths[name] = sub
		}
		if err := staysBelow(sub); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// openContainerCgroup opens the cgroup that the process is born in: the
// container's, or where its first process has gone below that, since a cgroup v2
// with children that have controllers takes no processes.
func (b *birth) openContainerCgroup(subs map[string]string) []plan.Step {
	recorded, dirs := b.dir.Record.Cgroup.Dirs, ownDirs(b.dir.Record)
	// A directory goes only when its processes have been moved elsewhere.
	gone := len(recorded) == 1 && len(dirs) == 0
	if len(dirs) == 0 && !gone && len(subs) == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/cgroupsPath", By: plan.Runtime, Words: "open the container's cgroup",
		Do: func() (func() error, error) {
			switch {
			case gone && len(subs) == 0:
				dirs = b.cgroupOfInit()
			case len(dirs) == 0 && !gone:
				return nil, errors.New("--cgroup: the container was created without a cgroup")
			case len(subs) == 0:
				dirs = b.execDirs(dirs)
			}
			cg, err := cgroup.OpenExisting(dirs)
			if err != nil {
				return nil, err
			}
			if gone && len(cg.Paths()) == 0 {
				cg.Close()
				return nil, fmt.Errorf("%s is gone, and where the first process is now cannot be seen from here: the process would have no limits: %w", recorded[0], unix.ENOENT)
			}
			b.cgroup = cg
			if len(subs) == 0 {
				return nil, nil
			}
			if err := cg.Descend(subs); err != nil {
				return nil, fmt.Errorf("--cgroup: %w", err)
			}
			return nil, nil
		},
	}}
}

// execDirs follows the first process into a sub-cgroup, on v2.
func (b *birth) execDirs(dirs []string) []string {
	own := b.unifiedPathOfInit()
	list := append([]string(nil), dirs...)
	for i, dir := range list {
		below, ok := strings.CutPrefix(dir, cgroup.Root+"/unified")
		mount := cgroup.Root + "/unified"
		if !ok {
			if len(dirs) > 1 {
				continue // a v1 hierarchy
			}
			below, mount = strings.TrimPrefix(dir, cgroup.Root), cgroup.Root
		}
		// By components: /a/bc is not below /a/b.
		if strings.HasPrefix(own, below+"/") {
			list[i] = mount + own
		}
	}
	return list
}

// cgroupOfInit is where the first process is now, on a host with cgroup2 alone, or nothing
// where that cannot be seen.
func (b *birth) cgroupOfInit() []string {
	var fs unix.Statfs_t
	own := b.unifiedPathOfInit()
	if own == "" || unix.Statfs(cgroup.Root, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	return []string{cgroup.Root + own}
}

// unifiedPathOfInit is the first process's path on cgroup2, as the caller's cgroup
// namespace has it, or "": what is outside of that begins with /.. .
func (b *birth) unifiedPathOfInit() string {
	text, err := rawfile.Read(fmt.Sprintf("/proc/%d/cgroup", b.dir.Record.Init.Pid))
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if own, ok := strings.CutPrefix(line, "0::"); ok && path.IsAbs(own) && path.Clean(own) == own {
			return own
		}
	}
	return ""
}
