package main

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// openRoot clones the tree of the rootfs while the host's files can still be
// named. The clone is detached: it is mounted nowhere until init attaches it in
// the container's mount namespace.
func (b *birth) openRoot() []plan.Step {
	var root *tree
	if b.ownMounts() {
		root = b.tree(tree{field: "/root/path", file: b.rootfs, recursive: true})
	}
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
			fd, err := b.openRootfs(root)
			if err != nil {
				return nil, err
			}
			b.root, b.rootfsFd = program.Const(fd), fd
			for _, m := range b.mounts {
				if m.resolve() != 0 {
					continue // a link is refused there, also one that dangles
				}
				if m.opt.DestNoFollow { // a link at its end is what is mounted on
					m.dest = path.Join(followDangling(fd, path.Dir(m.dest)), path.Base(m.dest))
					continue
				}
				m.dest = followDangling(fd, m.dest)
			}
			return nil, nil
		},
	}}
}

// openRootfs clones the tree of the rootfs; or opens it, where the container has
// no mount namespace that it could be attached in.
func (b *birth) openRootfs(root *tree) (int, error) {
	if root != nil {
		err := b.openTree(root)
		return root.fd, err
	}
	fd, err := unix.Open(b.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: b.rootfs, Err: err}
	}
	b.opened = append(b.opened, fd)
	return fd, nil
}

// ownMounts says whether the container has a mount namespace, be it new or
// joined. Without, nothing may be mounted: it would show up on the host.
func (b *birth) ownMounts() bool { return b.ns.private(unix.CLONE_NEWNS) }

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
			fd, err := openOwnProc()
			if err != nil {
				return nil, err
			}
			b.opened = append(b.opened, fd)
			b.procFd = fd
			return nil, nil
		},
	}}
}

// openOwnProc opens the runtime's own /proc, and makes sure that it is one. The caller is to
// close it.
func openOwnProc() (int, error) {
	fd, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	if err := isProc(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openInProc opens a file of a procfs that openOwnProc has opened, following no link and
// crossing no mount. The caller is to close it.
func openInProc(proc int, file string, flags uint64) (int, error) {
	fd, err := unix.Openat2(proc, file, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return -1, &os.PathError{Op: "openat2", Path: "/proc/" + file, Err: err}
	}
	return fd, nil
}

// isProc makes sure that a directory is the root of a procfs, which has the inode 1
// (PROC_ROOT_INO in the kernel's include/linux/proc_fs.h).
func isProc(fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if fs.Type != unix.PROC_SUPER_MAGIC || st.Ino != 1 {
		return errors.New("/proc is not a procfs, or only a part of one")
	}
	return nil
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
					b.nothingOver(a)
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
			b.nothingOver(a)
			a.Call(program.Discard, unix.SYS_FCHDIR, b.root)
			// pivot_root(".", ".") stacks the old root on the new one
			// (pivot_root(2), NOTES), where "." finds it first.
			a.Call(program.Discard, unix.SYS_PIVOT_ROOT, dot, dot)
			a.Call(program.Discard, unix.SYS_UMOUNT2, dot, program.Const(unix.MNT_DETACH)).Note("old root")
			a.Call(program.Discard, unix.SYS_CHDIR, a.String("/")).Note("/")
			b.publishRoot(a)
		},
	}}
}

// chroots says whether the root is changed by chroot(2) alone.
func (b *birth) chroots() bool { return b.opt.noPivot || !b.ownMounts() }
