package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/plan"
)

// What CRIU tells of at a restore, in the order of time (criu(8), action scripts).
const (
	namespacesMade = "setup-namespaces" // they are there, and nothing is in them yet
	processesMade  = "post-restore"     // all of them are there, and none runs yet
	processesReady = "pre-resume"       // they have their credentials, limits, filters and labels too
	masterOpened   = "orphan-pts-master"
)

// restorePlan is the order of a restore. CRIU makes the processes, their namespaces and
// mounts; the runtime makes what is around them, and looks whether it is what the config says.
func (b *birth) restorePlan(t *restoration) *plan.Plan {
	p := &plan.Plan{}
	p.Add(b.makeCgroup()...)
	p.Add(b.makeRdt()...)
	p.Add(b.openNamespaces()...)
	p.Add(b.openRoot()...)
	p.Add(b.openSources()...)
	p.Add(b.openMasks()...)
	p.Add(plan.Step{
		Field: "/mounts", By: plan.Runtime, Words: "make the mount points that are missing",
		Reason: "CRIU mounts on what is there",
		Do:     func() (func() error, error) { return nil, b.makePoints() },
	})

	// CRIU is told what is not in the images.
	p.Add(b.tellMounts(t)...)
	p.Add(b.tellNamespaces(t)...)
	p.Add(b.tellStreams(t)...)
	p.Add(b.tellCgroups(t)...)
	p.AddClone(b.startCriu(t))
	p.Add(b.startUnit()...)
	p.Add(b.delegateCgroup(false)...)
	p.Add(b.joinRdt()...)
	p.Add(b.tellCgroup(t)...)

	p.Add(plan.Step{By: plan.Criu, Words: "make the namespaces", Detail: "of the images in " + t.images, Name: namespacesMade})
	p.Add(b.loopbackUp()...)
	p.Add(b.runtimeHooks()...)
	p.Add(b.moveNetDevices()...)

	p.Add(plan.Step{By: plan.Criu, Words: "make the mounts and the processes, with their memory and files", Name: processesMade})
	p.Add(b.takePty(t)...)
	p.Add(plan.Step{
		By: plan.Runtime, Words: "make sure that root, mounts, masked and read-only paths are what the config says", Name: "restored mounts",
		Reason: "before any process runs: CRIU has mounted by path, and what it was told by the images",
		Do:     func() (func() error, error) { return nil, b.holdToConfig() },
	}, plan.Step{
		By: plan.Runtime, Name: "record", Words: "look in which time namespace the processes are, and which mount is their root",
		Reason: "CRIU makes the one for clocks that go on where they were; every exec is to go to both",
		Do:     func() (func() error, error) { return nil, b.noteWhere(t) },
	})
	p.Add(b.holdToCgroup()...)
	p.Add(b.limitCgroup()...)

	p.Add(plan.Step{By: plan.Criu, Words: "give the processes credentials, limits, filters and labels", Name: processesReady}, plan.Step{
		By: plan.Runtime, Words: "make sure that no process has more privileges than the config gives", Name: "restored processes",
		Do: func() (func() error, error) { return nil, b.holdPrivileges(b.child.Pid) },
	})
	p.Add(b.settle(), plan.Step{By: plan.Criu, Words: "let the processes go on"})
	return p
}

// tellMounts says where CRIU finds the rootfs and the mounts that it cannot make: where they are
// on the host. A mount that was a slave CRIU makes one by the mount that its source lies
// in, which must be as wide as the host's (do_set_group in the kernel's fs/namespace.c), so
// that names of the runtime's own would not do. What is there when CRIU mounts it is compared
// with what was opened; see holdToConfig.
func (b *birth) tellMounts(t *restoration) []plan.Step {
	steps := []plan.Step{{
		Field: "/root/path", By: plan.Runtime, Words: "tell criu that the root is " + b.rootfs,
		Do: func() (_ func() error, err error) {
			t.Root, err = truePath(b.rootfs)
			return nil, err
		},
	}}
	named := map[string]bool{}
	for _, e := range b.externals() {
		if named[e.name] {
			continue // the null device again
		}
		named[e.name] = true
		if e.mask {
			// CRIU 3.17 gives the second of several mounts of one source the attributes of
			// that source, and not its own: so the source has them.
			steps = append(steps, plan.Step{
				Field: "/linux/maskedPaths", By: plan.Runtime, Words: "give criu the null device for masked files",
				Do: func() (func() error, error) {
					t.yard.entries = append(t.yard.entries, yardEntry{"null", b.nullFd, false})
					t.External = append(t.External, "mnt["+e.name+"]:"+t.yard.dir+"/null")
					return nil, nil
				},
			})
			continue
		}
		steps = append(steps, plan.Step{
			Field: e.field, By: plan.Runtime, Words: "tell criu that " + e.from + " belongs on " + e.at,
			Do: func() (func() error, error) {
				if e.source != nil && e.source() < 0 {
					return nil, nil // a link that was copied, and is in the rootfs
				}
				file, err := e.file()
				t.External = append(t.External, "mnt["+e.name+"]:"+file)
				return nil, err
			},
		})
	}
	return steps
}

// tellNamespaces hands CRIU the namespaces that are there.
func (b *birth) tellNamespaces(t *restoration) []plan.Step {
	var steps []plan.Step
	for i, ns := range b.ns.list {
		if ns.Path == "" {
			continue
		}
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/linux/namespaces/%d/path", i), By: plan.Runtime, Words: "tell criu to use the " + string(ns.Type) + " namespace " + ns.Path,
			Do: func() (func() error, error) {
				if key := externalNamespace(ns.Type); key != "" {
					t.InheritFds = append(t.InheritFds, criu.InheritedFd{Key: key, Fd: b.nsFds[i]})
				} else {
					t.JoinNs = append(t.JoinNs, criu.JoinedNamespace{Kind: criuNamespace(ns.Type), File: ns.Path})
				}
				return nil, nil
			},
		})
	}
	return steps
}

// tellStreams hands CRIU the runtime's standard streams for those that were the host's.
func (b *birth) tellStreams(t *restoration) []plan.Step {
	var steps []plan.Step
	for fd, key := range t.streams {
		if fd > 2 || !strings.HasPrefix(key, hostPipe) && !strings.HasPrefix(key, hostFile) || slices.Contains(t.streams[:fd], key) {
			continue
		}
		steps = append(steps, plan.Step{
			By: plan.Runtime, Words: fmt.Sprintf("give criu descriptor %d in the place of the container's", fd), Detail: key,
			Do: func() (func() error, error) {
				// Not the stream itself, which CRIU closes then, and wants with --shell-job.
				again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
				if err != nil {
					return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
				}
				b.opened = append(b.opened, again)
				t.InheritFds = append(t.InheritFds, criu.InheritedFd{Key: key, Fd: again})
				return nil, nil
			},
		})
	}
	return steps
}

// tellCgroups says what CRIU does about cgroups.
func (b *birth) tellCgroups(t *restoration) []plan.Step {
	step := plan.Step{Field: "/linux/cgroupsPath", By: plan.Runtime, Words: "tell criu to leave cgroups alone"}
	if t.ManageCgroups.Name != cgroupsIgnored {
		step.Words, step.Detail = "tell criu to restore the cgroups below the container's own", "--manage-cgroups-mode "+t.ManageCgroups.Name
	}
	step.Do = func() (func() error, error) { return nil, t.openCgroupYard(&t.yard) }
	return []plan.Step{step}
}

// tellCgroup says where the cgroups of the images belong: in that of the config, wherever they were.
func (b *birth) tellCgroup(t *restoration) []plan.Step {
	if b.cgroups == nil || t.ManageCgroups.Name == cgroupsIgnored {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/cgroupsPath", By: plan.Runtime, Words: "tell criu which cgroup is the container's",
		Reason: "systemd may have made it just now",
		Do: func() (func() error, error) {
			for _, d := range b.cgroups.dirs {
				t.CgroupRoots = append(t.CgroupRoots, criu.CgroupRoot{Path: strings.TrimPrefix(d.Path, cgroup.Root)})
			}
			return nil, nil
		},
	}}
}

// holdToCgroup makes sure that nothing has come out of the container's cgroup.
func (b *birth) holdToCgroup() []plan.Step {
	if b.cgroups == nil {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/cgroupsPath", By: plan.Runtime, Words: "make sure that all processes are in the container's cgroup", Name: "restored processes",
		Do: func() (func() error, error) {
			inside, err := b.cgroup.Pids(true)
			if err != nil {
				return nil, err
			}
			return nil, eachThread(b.child.Pid, func(t *thread) error {
				if t.tid != t.pid || slices.Contains(inside, t.pid) {
					return nil
				}
				if status, err := t.read("status"); err != nil || ended(status) {
					return err
				}
				return fmt.Errorf("criu has made process %d outside of the container's cgroup", t.pid)
			})
		},
	}}
}

// takePty takes the master of the pty that the first process has for a terminal.
func (b *birth) takePty(t *restoration) []plan.Step {
	if !b.hasTerminal() {
		return nil
	}
	where := "take the pty's master"
	if b.opt.consoleSocket != "" {
		where += " and send it to " + b.opt.consoleSocket
	}
	return []plan.Step{{
		Field: "/process/terminal", By: plan.Runtime, Words: where,
		Do: func() (func() error, error) { return nil, b.useMaster(t) },
	}}
}

// noteWhere records whether CRIU has put the container into a time namespace of its own, and finds its root.
func (b *birth) noteWhere(t *restoration) (err error) {
	if b.dir.Record.CriuTime, err = b.shiftedByCriu(); err != nil {
		return err
	}
	t.root, err = rootMountOf(b.child.Pid)
	return err
}
