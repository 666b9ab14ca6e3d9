package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// execPlan is the birth of another process in a container: the surroundings are
// there, so it joins them and becomes the process. sub is a path below the
// container's cgroup, or "".
func (b *birth) execPlan(sub string) *plan.Plan {
	p := &plan.Plan{}
	p.Add(plan.Step{By: plan.Runtime, Words: "open the container's first process", Do: b.openContainer})
	p.Add(b.openContainerCgroup(sub)...)
	p.Add(b.openHostProc()...)
	p.AddClone(plan.Step{
		By: plan.Runtime, Words: "clone a process",
	})
	p.Add(b.swapBinary()...)
	p.Add(b.hide()...)
	p.Add(b.enterPids()...)
	p.Add(b.joinContainer()...)
	p.Add(b.session())
	p.Add(b.keyring()...)
	p.Add(b.console(false)...)
	found := b.becomeProcess(p)
	p.Add(b.closeDescriptors())
	p.Add(b.resetSignals())
	p.Add(b.execute(found)...)
	return p
}

// joinContainer enters all namespaces of the container but that of pids, which it
// is in already, and its root directory.
func (b *birth) joinContainer() []plan.Step {
	return []plan.Step{{
		Field: "/linux/namespaces", By: plan.Init, Words: "join the container's namespaces",
		Reason: "all at once, through the pidfd of its first process",
		Assemble: func(a *program.Assembler) {
			var flags uint64
			for _, ns := range b.ns.list {
				flags |= cloneFlag(ns.Type)
			}
			flags &^= unix.CLONE_NEWPID
			if flags != 0 {
				a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.containerFd), program.Const(flags)).Note("of the container")
			}
			if b.dir.Record.NoPivot {
				// Its root is below that of its mount namespace.
				a.Call(program.Discard, unix.SYS_FCHDIR, program.Const(b.containerRoot)).Note("the container's root")
				a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note("the container's root")
			}
			root := a.Reg()
			a.Call(root, unix.SYS_OPENAT, program.Const(unix.AT_FDCWD), a.String("/"), program.Const(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Note("/")
			b.root = root.Arg()
		},
	}}
}

// openContainerCgroup opens the cgroup that the process is born in: the
// container's, or where its first process has gone below that, since a cgroup v2
// with children that have controllers takes no processes.
func (b *birth) openContainerCgroup(sub string) []plan.Step {
	dirs := b.dir.Record.Cgroup.Dirs
	if len(dirs) == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/cgroupsPath", By: plan.Runtime, Words: "open the container's cgroup",
		Do: func() (func() error, error) {
			cg, err := cgroup.OpenExisting(b.execDirs(dirs, sub))
			if err != nil {
				return nil, err
			}
			if sub != "" {
				whole := cg
				cg, err = whole.Sub(sub)
				whole.Close()
				if err != nil {
					return nil, fmt.Errorf("--cgroup: %w", err)
				}
			}
			b.cgroup = cg
			return nil, nil
		},
	}}
}

// execDirs follows the first process into a sub-cgroup, on v2 and unless one was
// asked for.
func (b *birth) execDirs(dirs []string, sub string) []string {
	if sub != "" {
		return dirs
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", b.dir.Record.Init.Pid))
	if err != nil {
		return dirs
	}
	var own string
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			own = rest
		}
	}
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
		if strings.HasPrefix(own, below+"/") && path.Clean(own) == own {
			list[i] = mount + own
		}
	}
	return list
}
