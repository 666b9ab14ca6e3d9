package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/spec"
)

// A mount namespace that is joined stays its owner's: nothing is mounted in it, and
// nobody's root is moved. The container's tree is built in another one, and when it is
// finished its process takes a copy of it along (open_tree(2), Linux 5.2) which is mounted
// nowhere: it is the process's root directory and else in no namespace at all. The kernel
// keeps the mounts of such a copy together until nobody has a file of it open any more
// (dissolve_on_fput in fs/namespace.c), and lets nobody change them meanwhile.

// mountsByPath is the index of the mount namespace to join, or -1.
func (b *birth) mountsByPath() int {
	return slices.IndexFunc(b.ns.list, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.MountNamespace && ns.Path != "" })
}

// mountsField is the field that names it.
func (b *birth) mountsField() string {
	return fmt.Sprintf("/linux/namespaces/%d/path", b.mountsByPath())
}

// checkJoinedMounts refuses what cannot be had where the container's mounts are in no
// namespace.
func (b *birth) checkJoinedMounts() []error {
	if b.mountsByPath() < 0 {
		return nil
	}
	var faults []error
	const alone = "%s: %s cannot be had in a mount namespace that is joined: no mount comes to the container's own or goes out from them; private and unbindable can"
	if l := b.spec.Linux; l != nil {
		if set, ok := spec.Lookup(spec.Propagations, l.RootfsPropagation); ok && spreads(set) {
			faults = append(faults, fmt.Errorf(alone, "/linux/rootfsPropagation", l.RootfsPropagation))
		}
	}
	for _, m := range b.mounts {
		for _, p := range m.opt.Propagation {
			if spreads(p.Type) {
				faults = append(faults, fmt.Errorf(alone, m.field()+"/options", "shared or slave"))
				break
			}
		}
	}
	if b.leaves() {
		faults = append(faults, errLeaves)
	}
	if p := b.spec.Process; p != nil && p.ApparmorProfile != "" && p.ApparmorProfile != unconfined {
		// d_namespace_path in security/apparmor/path.c: they are "disconnected".
		faults = append(faults, fmt.Errorf("/process/apparmorProfile: %s cannot confine a process in a mount namespace that is joined: its rules go by path, and AppArmor sees none of the container's files under theirs; leave it out, or join no mount namespace", p.ApparmorProfile))
	}
	return faults
}

// spreads says whether a propagation type lets mounts come or go.
func spreads(set uint64) bool { return set&(unix.MS_SHARED|unix.MS_SLAVE) != 0 }

// valueRoot is the first of two slots in which init publishes the number of the mount that
// its root directory is on, the lower half first.
const valueRoot = valueLent + 3

// rootMask asks statx(2) for the number of a mount: that which no other mount ever has
// (Linux 6.8) or else that which no other has as long as it is there (5.8).
const rootMask = unix.STATX_MNT_ID | unix.STATX_MNT_ID_UNIQUE

// mountNumber is where struct statx has that number (stx_mnt_id).
const mountNumber = 0x90

// joinMounts leaves the namespace that the container was built in for the one that it is to
// be in.
func (b *birth) joinMounts() []plan.Step {
	i := b.mountsByPath()
	if i < 0 {
		return nil
	}
	path, field := b.ns.list[i].Path, b.mountsField()
	steps := []plan.Step{{
		Field: field, By: plan.Init, Words: "copy the finished mounts to take them along",
		Reason: "the copy is mounted nowhere: nobody who is in a mount namespace sees it, and nothing comes to it from there",
		Shell:  b.typed(func() []string { return shellMissing("joining the mount namespace " + path) }),
		Assemble: func(a *program.Assembler) {
			// What is unbindable would not be copied, and is so again as nobody can bind
			// what is in no namespace.
			a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, b.root, a.String(""), program.Const(unix.AT_EMPTY_PATH|unix.AT_RECURSIVE),
				a.MountAttr(0, 0, unix.MS_PRIVATE, 0), program.MountAttrSize).Note("private")
			tree := a.Reg()
			a.Call(tree, unix.SYS_OPEN_TREE, b.root, a.String(""),
				program.Const(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)).Note("/")
			a.Call(program.Discard, unix.SYS_DUP3, tree.Arg(), program.Const(b.rootfsFd), program.Const(unix.O_CLOEXEC)).Note("/")
			closeFd(a, tree)
			b.root = program.Const(b.rootfsFd)
			if b.buildsAside() {
				a.Return()
				a.Bind(b.built)
			}
		},
	}}
	if !b.buildsAside() {
		steps = append(steps, plan.Step{
			Field: field, By: plan.Init, Words: "join the mount namespace " + path,
			Reason: "after all mounts: none is made in it",
			Shell:  b.remark("the script stays in the namespace that it builds in"),
			Assemble: func(a *program.Assembler) {
				a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.nsFds[i]), program.Const(unix.CLONE_NEWNS)).Note(path)
			},
		})
	}
	return append(append(steps, plan.Step{
		Field: "/root/path", By: plan.Init, Words: "change the root directory to the copy",
		Reason: "it has nothing above it: CAP_SYS_CHROOT finds no way out",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_FCHDIR, b.root).Note("/")
			a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note("/")
			b.publishRoot(a)
		},
	}), b.streamsOfConsole()...)
}

// publishRoot tells which mount the root directory is on.
func (b *birth) publishRoot(a *program.Assembler) {
	half := a.Reg()
	a.Call(program.Discard, unix.SYS_STATX, b.root, a.String(""), program.Const(unix.AT_EMPTY_PATH), program.Const(rootMask), program.Scratch(0)).Note("/")
	for n := range 2 {
		a.Load32(half, mountNumber+4*n, 1<<32-1)
		a.Publish(valueRoot+n, half.Arg())
	}
	a.Release(half)
}

// streamsOfConsole gives the process its pty as it is in the joined namespace: the slave
// that it has is a file of mounts that are gone, where ttyname(3) would not find it.
func (b *birth) streamsOfConsole() []plan.Step {
	if !b.hasTerminal() {
		return nil
	}
	return []plan.Step{b.takeTerminal(func(a *program.Assembler) {
		slave := program.Const(b.consoleSockets[0]) // see console
		console := a.Reg()
		b.openInRoot(a, console, "/dev/console", unix.O_RDWR|unix.O_NOCTTY, unix.RESOLVE_NO_SYMLINKS)
		// Who can write to the rootfs could have put something else there meanwhile.
		other, same := a.NewLabel(), a.NewLabel()
		is, want := identify(a, console.Arg()), identify(a, slave)
		for i := range is {
			a.Unless(is[i].Arg(), want[i].Arg(), other)
		}
		a.Jump(same)
		a.Bind(other)
		a.Fail(unix.EXDEV, "/dev/console is not the container's pty")
		a.Bind(same)
		useTerminal(a, console.Arg())
		closeFd(a, console)
		a.Call(program.Discard, unix.SYS_CLOSE, slave).Note("pty")
		a.Release(is[:]...)
		a.Release(want[:]...)
	})}
}

// identify leaves in registers what tells an open file from others: stx_ino, stx_dev_major
// and stx_dev_minor of struct statx.
func identify(a *program.Assembler, fd program.Arg) (id [3]program.Reg) {
	a.Call(program.Discard, unix.SYS_STATX, fd, a.String(""), program.Const(unix.AT_EMPTY_PATH), program.Const(unix.STATX_INO), program.Scratch(0)).Note("pty")
	for i, offset := range []int{0x20, 0x88, 0x8c} {
		id[i] = a.Reg()
		a.Load32(id[i], offset, 1<<32-1)
	}
	return id
}

// rootMount is what init has published.
func (b *birth) rootMount() uint64 {
	if b.leavesHostMounts() || !b.ownMounts() {
		return 0 // it is a directory below what else is mounted there
	}
	if b.restored != nil {
		return b.restored.root
	}
	return b.child.Value(valueRoot) | b.child.Value(valueRoot+1)<<32
}

// rootMountOf finds the same of a process that is in the mount namespace which its root directory
// is of, wherever in that it is.
func rootMountOf(pid int) (uint64, error) {
	id, err := process.Find(pid)
	if err != nil {
		return 0, err
	}
	root, err := openRootOf(id, 0)
	if err != nil {
		return 0, err
	}
	root, err = climb(root)
	defer unix.Close(root)
	if err != nil {
		return 0, err
	}
	var st unix.Statx_t
	err = unix.Statx(root, "", unix.AT_EMPTY_PATH, rootMask, &st)
	return st.Mnt_id, os.NewSyscallError("statx", err)
}

// rootOfInit is the root directory that init has changed to.
func (b *birth) rootOfInit() (*os.File, error) {
	id, err := process.Find(b.child.Pid)
	if err != nil {
		return nil, err
	}
	fd, err := openRootOf(id, b.rootMount())
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "root"), nil
}

// openRootOf opens the root directory of a container's first process, through the
// runtime's own /proc. With the number of the mount that it was on at first, what is opened
// is that mount's root: a process may change its own root directory to one below
// (chroot(2)), and whoever is to join the container would follow it to where it has put
// what it likes. One that has left the mount is refused.
func openRootOf(id process.ID, mount uint64) (int, error) {
	proc, err := openOwnProc()
	if err != nil {
		return -1, err
	}
	defer unix.Close(proc)
	dir, err := openInProc(proc, strconv.Itoa(id.Pid), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	// The directory stays that of the process, which is the right one if it still is.
	root, err := unix.Openat(dir, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: fmt.Sprintf("/proc/%d/root", id.Pid), Err: err}
	}
	if mount != 0 {
		root, err = climb(root)
	}
	if err == nil {
		err = holds(root, id, mount)
	}
	if err != nil {
		_ = unix.Close(root)
		return -1, err
	}
	return root, nil
}

// holds says whether a directory is on the mount, if one is given, and whether the process
// that it was opened for is still the one.
func holds(root int, id process.ID, mount uint64) error {
	if !id.Alive() {
		return unix.ESRCH
	}
	if mount == 0 {
		return nil
	}
	var st unix.Statx_t
	if err := unix.Statx(root, "", unix.AT_EMPTY_PATH, rootMask, &st); err != nil {
		return os.NewSyscallError("statx", err)
	}
	if st.Mnt_id != mount {
		return fmt.Errorf("the container's first process has left the container's root directory, which nobody can find without it: %w", unix.EXDEV)
	}
	return nil
}

// climb goes up from a directory until there is nothing above it, and closes what it leaves.
func climb(dir int) (int, error) {
	for {
		up, err := unix.Openat(dir, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return dir, &os.PathError{Op: "open", Path: "..", Err: err}
		}
		var is, above unix.Statx_t
		err = unix.Statx(dir, "", unix.AT_EMPTY_PATH, unix.STATX_INO|rootMask, &is)
		if err == nil {
			err = unix.Statx(up, "", unix.AT_EMPTY_PATH, unix.STATX_INO|rootMask, &above)
		}
		_ = unix.Close(dir)
		dir = up
		if err != nil {
			return dir, os.NewSyscallError("statx", err)
		}
		if is.Mnt_id == above.Mnt_id && is.Ino == above.Ino {
			return dir, nil
		}
	}
}
