package main

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// inRoot keeps a path resolution below the container's root: absolute symlinks
// and `..` end there, and no magic link of a procfs leads out (openat2(2)).
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// eagainTries bounds how often a resolution is tried again that met a
// concurrent rename. An attacker may keep renaming; then it fails.
const eagainTries = 128

// openInRoot opens a path of the container from init. The path is resolved once;
// everything that follows works on the descriptor.
func (b *birth) openInRoot(a *program.Assembler, fd program.Reg, file string, flags, resolve uint64) program.Call {
	how := a.OpenHow(flags|unix.O_CLOEXEC, 0, inRoot|resolve)
	return a.Call(fd, unix.SYS_OPENAT2, b.root, a.String(file), how, program.OpenHowSize).
		Note(file).Retry(eagainTries)
}

// makeInRoot opens the path with O_PATH and makes what is missing of it: the
// directories above it, and the last component as a directory or an empty file.
// A component is made in a directory that is already open, so that no symlink is
// followed while making it (CVE-2019-18837, CVE-2024-45310).
func (b *birth) makeInRoot(a *program.Assembler, fd program.Reg, file string, directory bool, resolve uint64) {
	b.makeOpen(a, fd, file, directory, 0, resolve)
}

// makeOpen is makeInRoot with more open flags.
func (b *birth) makeOpen(a *program.Assembler, fd program.Reg, file string, directory bool, flags, resolve uint64) {
	missing, done := a.NewLabel(), a.NewLabel()
	b.openInRoot(a, fd, file, unix.O_PATH|flags, resolve).On(unix.ENOENT, missing)
	a.Jump(done)
	a.Bind(missing)

	dir := a.Reg()
	b.openInRoot(a, dir, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
	parts := splitPath(file)
	for i, name := range parts {
		last := i == len(parts)-1
		at := "/" + path.Join(parts[:i+1]...)
		if last && !directory {
			f := a.Reg()
			a.Call(f, unix.SYS_OPENAT, dir.Arg(), a.String(name),
				program.Const(unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC), program.Const(0o644)).Note("create " + at)
			closeFd(a, f)
		} else {
			a.Call(program.Discard, unix.SYS_MKDIRAT, dir.Arg(), a.String(name), program.Const(0o755)).Note(at).Tolerate(unix.EEXIST)
		}
		if last {
			a.Call(program.Discard, unix.SYS_CLOSE, dir.Arg())
			b.openInRoot(a, fd, at, unix.O_PATH|flags, resolve)
			break
		}
		next := a.Reg()
		b.openInRoot(a, next, at, unix.O_PATH|unix.O_DIRECTORY, 0)
		a.Call(program.Discard, unix.SYS_CLOSE, dir.Arg())
		a.Set(dir, next.Arg())
		a.Release(next)
	}
	a.Release(dir)
	a.Bind(done)
}

// splitPath returns the components of a path that is absolute or taken as such.
func splitPath(p string) []string {
	var parts []string
	p = path.Clean("/" + p)
	for p != "/" {
		dir, name := path.Split(p)
		parts = append([]string{name}, parts...)
		p = path.Clean(dir)
	}
	return parts
}

// openRoot clones the tree of the rootfs while the host's files can still be
// named. The clone is detached: it is mounted nowhere until init attaches it in
// the container's mount namespace.
func (b *birth) openRoot() []plan.Step {
	return []plan.Step{{
		Field: "/root/path", By: plan.Runtime, Words: "open the root file system " + b.rootfs,
		Shell: b.typed(func() []string { return []string{"root=" + plan.Quote(b.rootfs), "export root", `test -d "$root"`} }),
		Do: func() (func() error, error) {
			var st unix.Stat_t
			if err := unix.Stat(b.rootfs, &st); err != nil {
				return nil, &os.PathError{Op: "stat", Path: b.rootfs, Err: err}
			}
			if st.Mode&unix.S_IFMT != unix.S_IFDIR {
				return nil, &os.PathError{Op: "open", Path: b.rootfs, Err: unix.ENOTDIR}
			}
			fd, err := b.openRootfs()
			if err != nil {
				return nil, err
			}
			b.opened = append(b.opened, fd)
			b.root, b.rootfsFd = program.Const(fd), fd
			for _, m := range b.mounts {
				if m.Type == "proc" || m.Type == "sysfs" {
					continue // a link is refused there, also one that dangles
				}
				m.dest = followDangling(fd, m.dest)
			}
			return nil, nil
		},
	}}
}

// openRootfs clones the tree of the rootfs; or opens it, where the container has
// no mount namespace that it could be attached in.
func (b *birth) openRootfs() (int, error) {
	if b.ownMounts() {
		return cloneTree(b.rootfs, true, 0)
	}
	fd, err := unix.Open(b.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: b.rootfs, Err: err}
	}
	return fd, nil
}

// ownMounts says whether the container has a mount namespace, be it new or
// joined. Without, nothing may be mounted: it would show up on the host.
func (b *birth) ownMounts() bool { return b.ns.private(unix.CLONE_NEWNS) }

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// followDangling returns the path that a symbolic link without a target stands
// for, so that init can make it: mkdirat(2) refuses the link's name, and the
// target is taken as seen from the root. Any other path is returned as it is.
// This is a convenience, no check: init resolves what is returned inside the root.
func followDangling(root int, file string) string {
	open := func(p string, flags uint64) (int, error) {
		return unix.Openat2(root, p, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: inRoot})
	}
	for range maxLinks {
		fd, err := open(file, 0)
		if err == nil {
			unix.Close(fd)
		}
		if err != unix.ENOENT {
			return file
		}
		next, parts := "", splitPath(file)
		for i := range parts {
			prefix := "/" + path.Join(parts[:i+1]...)
			fd, err := open(prefix, unix.O_NOFOLLOW)
			if err != nil {
				return file // from here on nothing exists, or nothing can be known
			}
			target := make([]byte, unix.PathMax)
			n, err := unix.Readlinkat(fd, "", target)
			unix.Close(fd)
			if err != nil {
				continue // not a link
			}
			if exists, err := open(prefix, 0); err == nil {
				unix.Close(exists)
				continue // a link that leads somewhere
			}
			next = string(target[:n])
			if !path.IsAbs(next) {
				next = path.Join(path.Dir(prefix), next)
			}
			next = path.Join("/", next, path.Join(parts[i+1:]...))
			break
		}
		if next == "" {
			return file
		}
		file = next
	}
	return file
}

// cloneTree makes a detached copy of the mount at the path (open_tree(2)), which
// is recursive if asked, and cuts its propagation to the host: what the
// container mounts must not show up there. flags may be AT_SYMLINK_NOFOLLOW.
func cloneTree(file string, recursive bool, flags uint) (int, error) {
	fd, err := cloneShared(file, recursive, flags)
	if err != nil {
		return -1, err
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Propagation: unix.MS_SLAVE})
	if err != nil {
		_ = unix.Close(fd)
		return -1, &os.PathError{Op: "mount_setattr slave", Path: file, Err: err}
	}
	return fd, nil
}

// cloneShared is cloneTree with the propagation left as it is: mounts go both
// ways where the host's are shared.
func cloneShared(file string, recursive bool, flags uint) (int, error) {
	flags |= unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, file, flags)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: file, Err: err}
	}
	return fd, nil
}

// openHostProc opens the runtime's own /proc, for the few files of it that init
// writes, and makes sure that it is one.
func (b *birth) openHostProc() []plan.Step {
	if !b.needsProc() {
		return nil
	}
	return []plan.Step{{
		By: plan.Runtime, Words: "open the host's /proc", Reason: "the container's own could be a fake",
		Shell: b.remark("later writes go through the container's own"),
		Do: func() (func() error, error) {
			fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
			}
			b.opened = append(b.opened, fd)
			b.procFd = fd
			var st unix.Statfs_t
			if err := unix.Fstatfs(fd, &st); err != nil {
				return nil, os.NewSyscallError("fstatfs", err)
			}
			if st.Type != unix.PROC_SUPER_MAGIC {
				return nil, errors.New("/proc is not a procfs")
			}
			return nil, nil
		},
	}}
}

// openMasks clones what covers masked files: the host's /dev/null, which must be
// the real one (CVE-2025-31133).
func (b *birth) openMasks() []plan.Step {
	if b.spec.Linux == nil || len(b.spec.Linux.MaskedPaths) == 0 {
		return nil
	}
	return []plan.Step{{
		Field: "/linux/maskedPaths", By: plan.Runtime, Words: "open the host's /dev/null",
		Reason: "the image's could be anything",
		Shell:  b.command("test", "-c", "/dev/null"),
		Do: func() (func() error, error) {
			fd, err := cloneTree("/dev/null", false, 0)
			if err != nil {
				return nil, err
			}
			b.opened = append(b.opened, fd)
			b.nullFd = fd
			// It is the host's own node: through a read-only mount it can be written
			// to, like every device, but its mode and owner cannot be changed.
			attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC}
			if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
				return nil, &os.PathError{Op: "mount_setattr", Path: "/dev/null", Err: err}
			}
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				return nil, os.NewSyscallError("fstat", err)
			}
			if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
				return nil, errors.New("/dev/null is not the null device (character 1:3)")
			}
			return nil, nil
		},
	}}
}

// attachRoot mounts the rootfs on itself in the new mount namespace, where hooks of
// engines look for it. The host's tree around it is gone with pivot_root. Nothing
// depends on the path: all later steps go by descriptor.
func (b *birth) attachRoot() []plan.Step {
	if !b.ownMounts() {
		return []plan.Step{zeroUmask()}
	}
	return []plan.Step{{
		By: plan.Init, Words: "cut the propagation of mounts to the host",
		Reason: "before the first mount, or the host would see it",
		Shell:  b.command("mount", "--make-rslave", "/"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, program.Const(unix.AT_FDCWD), a.String("/"),
				program.Const(unix.AT_RECURSIVE), a.MountAttr(0, 0, unix.MS_SLAVE, 0), program.MountAttrSize).Note("/ slave")
		},
	}, zeroUmask(), {
		Field: "/root/path", By: plan.Init, Words: "attach the root file system",
		Shell: b.typed(b.shellAttachRoot),
		Assemble: func(a *program.Assembler) {
			b.overlay(a)
			atRoot, done := a.NewLabel(), a.NewLabel()
			attach(a, b.root, program.Const(unix.AT_FDCWD), a.String(b.rootfs), unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS).
				Note(b.rootfs).On(unix.EACCES, atRoot).On(unix.ENOENT, atRoot)
			a.Jump(done)
			// Root of a user namespace may not be allowed that far, and a mount
			// namespace that was joined need not have the path.
			a.Bind(atRoot)
			attach(a, b.root, program.Const(unix.AT_FDCWD), a.String("/"), unix.MOVE_MOUNT_F_EMPTY_PATH).Note("/")
			a.Bind(done)
		},
	}}
}

// zeroUmask lets what is made get exactly the mode that it is made with.
func zeroUmask() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "set the umask to 0 while the container is built",
		Shell:    []string{"# the modes are given with the commands"},
		Assemble: func(a *program.Assembler) { a.Call(program.Discard, unix.SYS_UMASK, program.Const(0)) },
	}
}

// attach puts a detached mount on its target.
func attach(a *program.Assembler, mount, dir, file program.Arg, flags int) program.Call {
	return a.Call(program.Discard, unix.SYS_MOVE_MOUNT, mount, a.String(""), dir, file, program.Const(flags))
}

// attachAt puts a detached mount on an open target.
func attachAt(a *program.Assembler, mount program.Arg, target program.Reg) program.Call {
	return attach(a, mount, target.Arg(), a.String(""), unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// enterRoot makes the rootfs the root directory and lets go of the host's tree.
func (b *birth) enterRoot() []plan.Step {
	if b.chroots() {
		return []plan.Step{{
			Field: "/root/path", By: plan.Init, Words: "change the root directory without pivot_root",
			Reason: "asked for by --no-pivot, or there is no mount namespace to pivot in",
			Shell:  b.typed(b.shellEnterRoot),
			Assemble: func(a *program.Assembler) {
				if b.ownMounts() {
					// Over the root of the namespace, so that whoever joins it finds
					// the container's files and not the host's. It may be there already.
					attach(a, b.root, program.Const(unix.AT_FDCWD), a.String("/"), unix.MOVE_MOUNT_F_EMPTY_PATH).Note("/").Tolerate(unix.EINVAL, unix.ELOOP)
				}
				a.Call(program.Discard, unix.SYS_FCHDIR, b.root)
				a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note(".")
				a.Call(program.Discard, unix.SYS_CHDIR, a.String("/")).Note("/")
			},
		}}
	}
	return []plan.Step{{
		Field: "/root/path", By: plan.Init, Words: "pivot to the root file system and detach the host's",
		Reason: "after all mounts: from here on no file of the host can be named",
		Shell:  b.typed(b.shellEnterRoot),
		Assemble: func(a *program.Assembler) {
			dot := a.String(".")
			a.Call(program.Discard, unix.SYS_FCHDIR, b.root)
			// pivot_root(".", ".") stacks the old root on the new one
			// (pivot_root(2), NOTES), where "." finds it first.
			a.Call(program.Discard, unix.SYS_PIVOT_ROOT, dot, dot)
			a.Call(program.Discard, unix.SYS_UMOUNT2, dot, program.Const(unix.MNT_DETACH)).Note("old root")
			a.Call(program.Discard, unix.SYS_CHDIR, a.String("/")).Note("/")
		},
	}}
}

// chroots says whether the root is changed by chroot(2) alone.
func (b *birth) chroots() bool { return b.opt.noPivot || !b.ownMounts() }

// cover masks paths, makes paths and the root read-only.
func (b *birth) cover() []plan.Step {
	var steps []plan.Step
	if !b.ownMounts() {
		return nil
	}
	if l := b.spec.Linux; l != nil {
		for i, p := range l.ReadonlyPaths {
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
	b.openInRoot(a, at, p, unix.O_PATH, 0).On(unix.ENOENT, skip).On(unix.ENOTDIR, skip)
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
			fs, mnt := a.Reg(), a.Reg()
			a.Call(fs, unix.SYS_FSOPEN, a.String("tmpfs"), program.Const(unix.FSOPEN_CLOEXEC)).Note("tmpfs")
			fsconfig(a, fs, unix.FSCONFIG_SET_STRING, "nr_blocks", "1")
			fsconfig(a, fs, unix.FSCONFIG_SET_STRING, "nr_inodes", "1")
			fsconfig(a, fs, unix.FSCONFIG_CMD_CREATE, "", "")
			a.Call(mnt, unix.SYS_FSMOUNT, fs.Arg(), program.Const(unix.FSMOUNT_CLOEXEC),
				program.Const(unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)).Message(fs)
			closeFd(a, fs)
			empty = cover{mnt.Arg(), a.Reg()}
			null = cover{program.Const(b.nullFd), a.Reg()}
			a.Set(empty.used, program.Const(0))
			a.Set(null.used, program.Const(0))
		},
	}}
	for i, p := range paths {
		steps = append(steps, plan.Step{
			Field: fmt.Sprintf("/linux/maskedPaths/%d", i), By: plan.Init, Words: "mask " + p,
			Shell: b.typed(func() []string { return shellMask(p) }),
			Assemble: func(a *program.Assembler) {
				file, done := a.NewLabel(), a.NewLabel()
				at := a.Reg()
				b.openInRoot(a, at, p, unix.O_PATH|unix.O_DIRECTORY, 0).On(unix.ENOENT, done).On(unix.ENOTDIR, file)
				empty.over(a, at, p)
				a.Jump(done)
				a.Bind(file)
				b.openInRoot(a, at, p, unix.O_PATH, 0).On(unix.ENOENT, done).On(unix.ENOTDIR, done)
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
