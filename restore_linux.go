package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// restoration is a container being made of images, besides what a birth is.
type restoration struct {
	*criuRequest
	file    string // the program criu
	dirs    *criuDirs
	streams []string // what the standard streams were, in CRIU's words
	yard    yard
	session *criu.Session
	held    bool   // the processes have no more privileges than the config gives them
	root    uint64 // number of the mount that the container's root is
}

// prepareRestore refuses what cannot be restored, before anything is made.
func (b *birth) prepareRestore(r *criuRequest) (*restoration, error) {
	if faults := b.uncheckpointable(); len(faults) > 0 {
		return nil, faultList(faults)
	}
	if err := b.noLinks(); err != nil {
		return nil, err
	}
	r.LogFile = "restore.log"
	r.EvasiveDevices, r.RstSibling = true, true
	t := &restoration{criuRequest: r}
	var err error
	if r.ConfigFile, err = criuConfig(b.spec, b.bundle); err != nil {
		return nil, err
	}
	if t.dirs, err = r.open(false); err != nil {
		return nil, err
	}
	if err := t.read(); err != nil {
		t.dirs.close()
		return nil, err
	}
	if t.file, err = findCriu(); err == nil {
		err = criuFeatures(t.file, criu.Features{LazyPages: r.LazyPages})
	}
	if err != nil {
		t.dirs.close()
		return nil, err
	}
	return t, nil
}

// read reads what the checkpoint left for its restore.
func (t *restoration) read() error {
	data, err := readImage(t.dirs.images, descriptorsFile)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("--image-path: there is no checkpoint in %s: %w", t.images, err)
	}
	if err == nil {
		err = json.Unmarshal(data, &t.streams)
	}
	if err != nil {
		return fmt.Errorf("--image-path: %s: %w", t.images, err)
	}
	if t.ManageCgroups == nil {
		t.ManageCgroups, err = readMode(t.dirs.images)
	}
	return err
}

// onRootfs lists the mounts that lie on the rootfs itself, and not on another mount.
func (b *birth) onRootfs() []*mount {
	var list []*mount
	for i, m := range b.mounts {
		if b.under(i) == nil && !m.opt.Remount {
			list = append(list, m)
		}
	}
	return list
}

// under is the mount that the destination of another lies in, nil for the rootfs.
func (b *birth) under(i int) *mount {
	var found *mount
	for _, m := range b.mounts[:i] {
		if m.opt.Remount || m.dest == b.mounts[i].dest || !within(b.mounts[i].dest, m.dest) {
			continue
		}
		if found == nil || len(m.dest) >= len(found.dest) {
			found = m
		}
	}
	return found
}

// noLinks refuses destinations with a symbolic link of the rootfs in them.
func (b *birth) noLinks() error {
	root, err := unix.Open(b.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/root/path: %w", &os.PathError{Op: "open", Path: b.rootfs, Err: err})
	}
	defer unix.Close(root)
	for _, m := range b.onRootfs() {
		fd, err := unix.Openat2(root, m.dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot | unix.RESOLVE_NO_SYMLINKS})
		if err == nil {
			unix.Close(fd)
		}
		if err == unix.ELOOP {
			return fmt.Errorf("%s/destination: %w", m.field(), linkError(m.dest))
		}
	}
	return nil
}

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
	}, plan.Step{
		By: plan.Runtime, Words: "start criu in the container's cgroup and a mount namespace of its own",
		Reason: "what CRIU makes is born in the one, and the other keeps its mounts from the host",
		Do:     func() (func() error, error) { return b.startCriu(t) },
	})
	p.Add(b.startUnit()...)
	p.Add(b.delegateCgroup(false)...)
	p.Add(b.joinRdt()...)
	p.Add(plan.Step{
		By: plan.Runtime, Words: "have criu restore the processes", Name: "restore from " + t.images,
		Do: func() (func() error, error) { return b.restoreProcesses(t) },
	})
	return p
}

// restore makes the container of the images.
func (b *birth) restore(t *restoration, undo *undoStack) error {
	defer b.closeOpened()
	defer t.dirs.close()
	p := b.restorePlan(t)
	for i := range p.Steps {
		if err := b.do(&p.Steps[i], undo); err != nil {
			return err
		}
	}
	return nil
}

// makePoints makes the mount points of the config that are missing in the rootfs, or in the
// source of a bind mount; CRIU itself restores those in a tmpfs.
func (b *birth) makePoints() error {
	for i, m := range b.mounts {
		if m.opt.Remount || m.opt.Bind && m.copiesLink() {
			continue
		}
		root, at := b.rootfsFd, m.dest
		if u := b.under(i); u != nil {
			if !u.opt.Bind || u.sourceFd < 0 {
				continue
			}
			root, at = u.sourceFd, strings.TrimPrefix(m.dest, strings.TrimSuffix(u.dest, "/"))
		}
		if err := makePoint(root, at, !m.opt.Bind || m.isDir); err != nil {
			return fmt.Errorf("%s/destination: %w", m.field(), err)
		}
	}
	return nil
}

// makePoint makes a directory, or an empty file, below a directory unless it is there. It
// follows no symbolic link.
func makePoint(root int, at string, directory bool) error {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(root, at, how)
	switch err {
	case nil:
		return unix.Close(fd)
	case unix.ELOOP:
		return linkError(at)
	case unix.ENOENT:
	default:
		return &os.PathError{Op: "openat2", Path: at, Err: err}
	}
	dir, err := unix.Openat2(root, "/", how)
	if err != nil {
		return &os.PathError{Op: "openat2", Path: "/", Err: err}
	}
	defer func() { unix.Close(dir) }()
	parts := splitPath(at)
	for i, name := range parts {
		made := "/" + path.Join(parts[:i+1]...)
		if i == len(parts)-1 && !directory {
			f, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
			if err != nil {
				return &os.PathError{Op: "create", Path: made, Err: err}
			}
			return unix.Close(f)
		}
		if err := unix.Mkdirat(dir, name, 0o755); err != nil && err != unix.EEXIST {
			return &os.PathError{Op: "mkdirat", Path: made, Err: err}
		}
		next, err := unix.Openat2(dir, name, how)
		if err != nil {
			return &os.PathError{Op: "openat2", Path: made, Err: err}
		}
		unix.Close(dir)
		dir = next
	}
	return nil
}

// enterAsCriu is what the process does that becomes CRIU once it is in the container's
// cgroup: what a restored process has of its caller it has of this one.
func (b *birth) enterAsCriu(a *program.Assembler, t *restoration) {
	if b.ns.isNew(unix.CLONE_NEWCGROUP) && t.ManageCgroups.Name == cgroupsIgnored {
		// A CRIU that does not look after cgroups makes no such namespace, and mounts the
		// host's hierarchy where the container had a part of it.
		a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWCGROUP)).Note("CLONE_NEWCGROUP")
	}
	for _, s := range b.keyring() {
		s.Assemble(a)
	}
	if p := b.spec.Process; p != nil && p.NoNewPrivileges {
		// CRIU restores it only since a version after 3.17. What it makes has it of this process;
		// every process of the container had it, since its first executed anything.
		a.Call(program.Discard, unix.SYS_PRCTL, program.Const(unix.PR_SET_NO_NEW_PRIVS), program.Const(1), program.Const(0), program.Const(0), program.Const(0)).
			Note("PR_SET_NO_NEW_PRIVS")
	}
}

// startCriu starts CRIU, which waits until it is in the container's cgroup.
func (b *birth) startCriu(t *restoration) (func() error, error) {
	t.yard.dir = b.opt.stateDir
	if err := b.nameMounts(t); err != nil {
		return nil, err
	}
	if err := t.openCgroupYard(&t.yard); err != nil {
		return nil, err
	}
	defer t.yard.close()
	for i, ns := range b.ns.list {
		if ns.Path == "" {
			continue
		}
		if key := externalNamespace(ns.Type); key != "" {
			t.InheritFds = append(t.InheritFds, criu.InheritedFd{Key: key, Fd: b.nsFds[i]})
		} else {
			t.JoinNs = append(t.JoinNs, criu.JoinedNamespace{Kind: criuNamespace(ns.Type), File: ns.Path})
		}
	}
	var keep []int
	for _, fd := range t.InheritFds {
		keep = append(keep, fd.Fd)
	}
	for fd, key := range t.streams {
		inherited := strings.HasPrefix(key, hostPipe) || strings.HasPrefix(key, hostFile)
		again := slices.ContainsFunc(t.InheritFds, func(o criu.InheritedFd) bool { return o.Key == key })
		if fd < 3 && inherited && !again {
			t.InheritFds = append(t.InheritFds, criu.InheritedFd{Key: key, Fd: fd})
		}
	}
	opt := program.Options{Flags: unix.CLONE_NEWNS, CgroupFd: -1}
	if b.cgroup != nil {
		opt.CgroupFd = b.cgroup.UnifiedFd()
		if b.cgroup.HasV1() {
			opt.Prepare, opt.Restore = b.prepareThread, b.restoreThread
		}
	}
	var err error
	t.session, err = (&criu.Start{Program: t.file, Options: opt, Keep: keep, Before: t.yard.fill, After: func(a *program.Assembler) { b.enterAsCriu(a, t) }}).New()
	if err != nil {
		return nil, err
	}
	b.child = t.session.Child // whom the unit and the resctrl group get; the container's processes inherit both
	return func() error {
		t.session.Close()
		return b.emptyCgroup()
	}, nil
}

// emptyCgroup ends what CRIU and its helpers have left in the cgroup, and waits until they are
// gone: a cgroup in which something is dying is not removed.
func (b *birth) emptyCgroup() error {
	if b.cgroup == nil {
		return nil
	}
	const every = 5 * time.Millisecond
	err := b.cgroup.Kill()
	for range deathTimeout / every {
		if pids, perr := b.cgroup.Pids(true); perr != nil || len(pids) == 0 {
			break
		}
		time.Sleep(every)
	}
	return err
}
