package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// openMasks clones what covers masked files: the host's /dev/null, which must be
// the real one (CVE-2025-31133).
func (b *birth) openMasks() []plan.Step {
	if b.spec.Linux == nil || len(b.spec.Linux.MaskedPaths) == 0 {
		return nil
	}
	// It is the host's own node: through a read-only mount it can be written to, like
	// every device, but its mode and owner cannot be changed.
	null := b.tree(tree{field: "/linux/maskedPaths", file: "/dev/null",
		attributes: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC})
	return []plan.Step{{
		Field: null.field, By: plan.Runtime, Words: "open the host's /dev/null",
		Reason: "the image's could be anything",
		Shell:  b.command("test", "-c", "/dev/null"),
		Do: func() (func() error, error) {
			if err := b.openTree(null); err != nil {
				return nil, err
			}
			b.nullFd = null.fd
			var st unix.Stat_t
			if err := unix.Fstat(b.nullFd, &st); err != nil {
				return nil, os.NewSyscallError("fstat", err)
			}
			if !isNull(&st) {
				return nil, errors.New("/dev/null is not the null device (character 1:3)")
			}
			return nil, nil
		},
	}}
}

// cover masks paths, makes paths and the root read-only.
func (b *birth) cover() []plan.Step {
	var steps []plan.Step
	if !b.ownMounts() {
		return nil
	}
	if l := b.spec.Linux; l != nil {
		for i, p := range l.ReadonlyPaths {
			if slices.Contains(l.ReadonlyPaths[:i], p) {
				continue
			}
			steps = append(steps, plan.Step{
				Field: fmt.Sprintf("/linux/readonlyPaths/%d", i), By: plan.Init, Words: "make " + p + " read-only",
				Shell:    b.typed(func() []string { return shellReadonlyPath(p) }),
				Assemble: func(a *program.Assembler) { b.readonlyPath(a, p) },
			})
		}
		steps = append(steps, b.masks()...)
		if set, ok := spec.Lookup(spec.Propagations, l.RootfsPropagation); ok {
			steps = append(steps, plan.Step{
				Field: "/linux/rootfsPropagation", By: plan.Init, Words: "make the propagation of the root " + l.RootfsPropagation,
				Shell: b.command(plan.HostCommand, "mount", "-n", "--make-"+l.RootfsPropagation, "/"),
				Assemble: func(a *program.Assembler) {
					flags := unix.AT_EMPTY_PATH
					if set&unix.MS_REC != 0 {
						flags |= unix.AT_RECURSIVE
					}
					a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, b.root, a.String(""), program.Const(flags),
						a.MountAttr(0, 0, set&^unix.MS_REC, 0), program.MountAttrSize).Note(l.RootfsPropagation)
				},
			})
		}
	}
	if b.spec.Root.Readonly {
		steps = append(steps, plan.Step{
			Field: "/root/readonly", By: plan.Init, Words: "make the root file system read-only",
			Reason: "last: mount points and devices were made in it",
			Shell:  b.command(plan.HostCommand, "mount", "-n", "-o", "remount,bind,ro", "/"),
			Assemble: func(a *program.Assembler) {
				setReadonly(a, b.root, 0).Note("/")
			},
		})
	}
	return steps
}

// setReadonly makes a mount read-only by its descriptor and leaves its other
// attributes alone, so that nothing locked is touched (CVE-2026-115521).
func setReadonly(a *program.Assembler, mount program.Arg, flags int) program.Call {
	return a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, mount, a.String(""), program.Const(unix.AT_EMPTY_PATH|flags),
		a.MountAttr(unix.MOUNT_ATTR_RDONLY, 0, 0, 0), program.MountAttrSize)
}

// readonlyPath covers a path with a read-only bind of itself. A missing one is
// nothing to protect.
func (b *birth) readonlyPath(a *program.Assembler, p string) {
	skip := a.NewLabel()
	at, tree := a.Reg(), a.Reg()
	b.openCovered(a, at, p, unix.O_PATH).On(unix.ENOENT, skip).On(unix.ENOTDIR, skip)
	a.Call(tree, unix.SYS_OPEN_TREE, at.Arg(), a.String(""),
		program.Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)).Note(p)
	setReadonly(a, tree.Arg(), 0).Note(p)
	attachAt(a, tree.Arg(), at).Note(p)
	closeFd(a, tree, at)
	a.Bind(skip)
}

// A cover is a mount that hides paths. Before Linux 6.15 only a mount that is
// attached can be cloned, so the first path to hide gets the mount itself and
// the others get clones of it.
type cover struct {
	mount program.Arg
	used  program.Reg // 1 once the mount is attached
}

// masks hides paths: a directory behind an empty file system, anything else
// behind /dev/null. A missing one is nothing to hide.
func (b *birth) masks() []plan.Step {
	paths := b.spec.Linux.MaskedPaths
	if len(paths) == 0 {
		return nil
	}
	var empty, null cover
	steps := []plan.Step{{
		Field: "/linux/maskedPaths", By: plan.Init, Words: "make an empty read-only tmpfs",
		Reason: "one for all masked directories",
		Shell:  b.remark("each gets its own below"),
		Assemble: func(a *program.Assembler) {
			mnt := a.Reg()
			newMount(a, mnt, "tmpfs", "", b.labelled("tmpfs", mountopt.Options{
				AttrSet: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
				Data:    []mountopt.Datum{{Key: "nr_blocks", Value: "1"}, {Key: "nr_inodes", Value: "1"}},
			}))
			empty = cover{mnt.Arg(), a.Reg()}
			null = cover{program.Const(b.nullFd), a.Reg()}
			a.Set(empty.used, program.Const(0))
			a.Set(null.used, program.Const(0))
		},
	}}
	for i, p := range paths {
		if slices.Contains(paths[:i], p) {
			continue // hidden once is enough
		}
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/linux/maskedPaths/%d", i), By: plan.Init, Words: "mask " + p,
			Shell: b.typed(func() []string { return shellMask(p) }),
			Assemble: func(a *program.Assembler) {
				file, done := a.NewLabel(), a.NewLabel()
				at := a.Reg()
				b.openCovered(a, at, p, unix.O_PATH|unix.O_DIRECTORY).On(unix.ENOENT, done).On(unix.ENOTDIR, file)
				empty.over(a, at, p)
				a.Jump(done)
				a.Bind(file)
				b.openCovered(a, at, p, unix.O_PATH).On(unix.ENOENT, done).On(unix.ENOTDIR, done)
				null.over(a, at, p)
				a.Bind(done)
				a.Release(at)
			},
		})
	}
	return steps
}

// over hides an open path and closes it.
func (c cover) over(a *program.Assembler, at program.Reg, p string) {
	first, done := a.NewLabel(), a.NewLabel()
	clone := a.Reg()
	a.Unless(c.used.Arg(), program.Const(1), first)
	a.Call(clone, unix.SYS_OPEN_TREE, c.mount, a.String(""),
		program.Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).Note(p)
	attachAt(a, clone.Arg(), at).Note(p)
	closeFd(a, clone)
	a.Jump(done)
	a.Bind(first)
	attachAt(a, c.mount, at).Note(p)
	a.Set(c.used, program.Const(1))
	a.Bind(done)
	a.Call(program.Discard, unix.SYS_CLOSE, at.Arg())
}
