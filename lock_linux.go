package main

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// Mounts that come into a mount namespace from one with more rights are locked: nobody in it can
// make one writable that was read-only, nor unmount what hides something (mount_namespaces(7),
// "Restrictions on mount namespaces"). The kernel locks them when it copies a mount namespace for
// another user namespace, and not when a clone that was made outside is attached inside. So a process
// aside attaches the clones in a mount namespace of the runtime's, copies that for a user namespace,
// and clones them there; what it sends back is locked, wherever it is attached.

// locksTrees says whether that is done: root of the container's user namespace can change its mounts.
// Those of a container that is in a mount namespace by path are in none, and stay as they are.
func (b *birth) locksTrees() bool {
	return b.inUsers() && b.host.mounts && b.ownMounts() && b.mountsByPath() < 0
}

// lockTrees has the host's mounts locked.
func (b *birth) lockTrees() []plan.Step {
	if !b.locksTrees() {
		return nil
	}
	return []plan.Step{{
		By: plan.Runtime, Words: "lock the host's mounts as they are",
		Reason: "root of the user namespace could make them writable, or unmount what lies over others",
		Shell:  b.remark("what is bound inside a user namespace is locked"),
		Do:     func() (func() error, error) { return nil, b.exchangeTrees() },
	}}
}

// rightsAtOnce is how many descriptors go with one message; the kernel's limit is 253 (unix(7)).
const rightsAtOnce = 128

// exchangeTrees puts a locked clone in the place of each.
func (b *birth) exchangeTrees() error {
	if err := b.openMountSockets(); err != nil {
		return err
	}
	var trees []*tree
	for _, t := range b.trees {
		// What is shared with the host stays so: it would be a slave afterwards.
		if t.fd >= 0 && !t.shared {
			trees = append(trees, t)
		}
	}
	code, err := b.assembleLock(trees)
	if err != nil {
		return err
	}
	child, err := code.Launch(program.Options{Flags: unix.CLONE_NEWNS, CgroupFd: -1})
	if err != nil {
		return err
	}
	// The kernel takes its time to take both mount namespaces apart: nobody need wait for it.
	b.aside = append(b.aside, child)
	for len(trees) > 0 {
		if _, err := child.Next(); err != nil {
			return err
		}
		sent := trees[:min(len(trees), rightsAtOnce)]
		locked, err := receiveFds(b.mountSockets[0], len(sent), "the mounts")
		if err != nil {
			return err
		}
		for i, fd := range locked {
			if e := unix.Dup3(fd, sent[i].fd, unix.O_CLOEXEC); e != nil {
				err = fmt.Errorf("dup3: %w", e)
			}
			unix.Close(fd)
		}
		if err != nil {
			return err
		}
		if err := child.Continue(); err != nil {
			return err
		}
		trees = trees[len(sent):]
	}
	return nil
}

// assembleLock is the Program of the process aside, in a mount namespace that is still one of the
// runtime's.
func (b *birth) assembleLock(trees []*tree) (*program.Program, error) {
	a := program.NewAssembler()
	b.view.LetGo(a) // it may live longer than nobody can see the mount
	here, root := program.Const(unix.AT_FDCWD), a.String("/")
	a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, here, root,
		program.Const(unix.AT_RECURSIVE), a.MountAttr(0, 0, unix.MS_SLAVE, 0), program.MountAttrSize).Note("/ slave")
	top := a.Reg()
	newMount(a, top, "tmpfs", "", &mountopt.Options{Data: []mountopt.Datum{{Key: "mode", Value: "700"}}})
	attach(a, top.Arg(), here, root, unix.MOVE_MOUNT_F_EMPTY_PATH).Note("tmpfs")
	a.Call(program.Discard, unix.SYS_FCHDIR, top.Arg()).Note("tmpfs")
	// Who is in a chroot can make no user namespace, and beneath a mount would count as that.
	a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note("tmpfs")
	names := make([]program.Arg, len(trees))
	for i, t := range trees {
		var st unix.Stat_t
		if err := unix.Fstat(t.fd, &st); err != nil {
			return nil, fmt.Errorf("fstat of %s: %w", t.file, err)
		}
		names[i] = a.String(strconv.Itoa(i))
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			a.Call(program.Discard, unix.SYS_MKDIRAT, here, names[i], program.Const(0o700)).Note(t.file)
		} else {
			a.Call(program.Discard, unix.SYS_MKNODAT, here, names[i], program.Const(unix.S_IFREG|0o600), program.Const(0)).Note(t.file)
		}
		if t.of != nil {
			// With the runtime's rights, and to be locked too.
			setFlags(a, program.Const(t.fd), t.of)
			for _, m := range b.remountsOf(t.of) {
				setFlags(a, program.Const(t.fd), m)
			}
		}
		attach(a, program.Const(t.fd), here, names[i], unix.MOVE_MOUNT_F_EMPTY_PATH).Note(t.file)
	}
	a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWUSER|unix.CLONE_NEWNS)).Note("user and mount namespace")
	clone := a.Reg()
	for i, t := range trees {
		a.Call(clone, unix.SYS_OPEN_TREE, here, names[i],
			program.Const(int(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW|t.depth()))).Note(t.file)
		a.Call(program.Discard, unix.SYS_DUP3, clone.Arg(), program.Const(t.fd), program.Const(unix.O_CLOEXEC)).Note(t.file)
		a.Call(program.Discard, unix.SYS_CLOSE, clone.Arg())
	}
	for rest := trees; len(rest) > 0; {
		n := min(len(rest), rightsAtOnce)
		fds := make([]int, n)
		for i, t := range rest[:n] {
			fds[i] = t.fd
		}
		a.Call(program.Discard, unix.SYS_SENDMSG, program.Const(b.mountSockets[1]), rightsMessage(a, fds...), program.Const(unix.MSG_NOSIGNAL)).Note("the mounts")
		a.Sync(1)
		rest = rest[n:]
	}
	a.Exit(0)
	return a.Finish()
}

// locks says whether a bind has its flags, and those that it is to have by a remount, when it is
// locked.
func (b *birth) locks(m *mount) bool { return b.locksTrees() && !b.sharesWithHost(m) }

// remountsOf are the entries of the config that change a mount later than it is made, by the
// config's words.
func (b *birth) remountsOf(m *mount) (list []*mount) {
	for _, later := range b.mounts[m.index+1:] {
		switch {
		case later.said != m.said:
		case !later.opt.Remount:
			return list
		default:
			list = append(list, later)
		}
	}
	return list
}
