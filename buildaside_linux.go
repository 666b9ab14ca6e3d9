package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// Only who has CAP_SYS_ADMIN over the user namespace that a mount namespace belongs to joins
// it, and only inside its own user namespace the container's mounts can be made. If these are
// two, there is no way from one to the other: whoever is in a user namespace has no rights
// over the one around. So the first process joins the mount namespace with the runtime's rights,
// before it goes into the user namespace, and never leaves it. The tree is built aside by a
// process that shares its descriptors, in a mount namespace that begins with the host's mounts,
// as that of every other container does.

// buildsAside says whether that is done. A runtime without the right to the host's mounts could
// not do it; init may then have to it that of the user namespace that it joins.
func (b *birth) buildsAside() bool { return b.mountsByPath() >= 0 && b.ns.staged && b.host.mounts }

// openHostTree clones all that the runtime has mounted.
func (b *birth) openHostTree() []plan.Step {
	if !b.buildsAside() {
		return nil
	}
	b.hostTree = b.tree(tree{file: "/", recursive: true})
	return []plan.Step{{
		By: plan.Runtime, Words: "clone the host's mounts",
		Reason: "the container is built in a mount namespace that begins with them",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Do:     func() (func() error, error) { return nil, b.openTree(b.hostTree) },
	}}
}

// joinMountsFirst joins the mount namespace while the runtime's rights are there.
func (b *birth) joinMountsFirst() []plan.Step {
	if !b.buildsAside() {
		return nil
	}
	i := b.mountsByPath()
	path := b.ns.list[i].Path
	return []plan.Step{{
		Field: b.mountsField(), By: plan.Init, Words: "join the mount namespace " + path,
		Reason: "with the runtime's rights: a user namespace has none over those around it",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Assemble: func(a *program.Assembler) {
			a.Call(program.Discard, unix.SYS_SETNS, program.Const(b.nsFds[i]), program.Const(unix.CLONE_NEWNS)).Note(path)
		},
	}}
}

// buildAside has another process go on up to the copy of the finished mounts (joinMounts).
func (b *birth) buildAside() []plan.Step {
	if !b.buildsAside() {
		return nil
	}
	return []plan.Step{{
		Field: b.mountsField(), By: plan.Init, Words: "have a process with the same descriptors build the mounts",
		Reason: "the first process is in the mount namespace already, and could not come back to it",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Assemble: func(a *program.Assembler) {
			b.built = a.NewLabel()
			a.Aside(b.built)
		},
	}, {
		By: plan.Init, Words: "unshare a mount namespace with the host's mounts to build in",
		Reason: "what the owner of the joined one has mounted is below them",
		Shell:  b.remark("the script stays in the namespace that it builds in"),
		Assemble: func(a *program.Assembler) {
			host := program.Const(b.hostTree.fd)
			a.Call(program.Discard, unix.SYS_UNSHARE, program.Const(unix.CLONE_NEWNS)).Note("CLONE_NEWNS")
			a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, program.Const(unix.AT_FDCWD), a.String("/"),
				program.Const(unix.AT_RECURSIVE), a.MountAttr(0, 0, unix.MS_PRIVATE, 0), program.MountAttrSize).Note("/ private")
			attach(a, host, program.Const(unix.AT_FDCWD), a.String("/"), unix.MOVE_MOUNT_F_EMPTY_PATH).Note("/")
			a.Call(program.Discard, unix.SYS_FCHDIR, host).Note("/")
			a.Call(program.Discard, unix.SYS_CHROOT, a.String(".")).Note("/")
		},
	}}
}

// builder is a pidfd of the process in whose mount namespace the container is being built,
// while that waits for the runtime.
func (b *birth) builder() (int, error) {
	if !b.buildsAside() {
		return b.child.Pidfd, nil
	}
	// It is the first process's only child, and stays so until it is waited for.
	file := fmt.Sprintf("/proc/%d/task/%[1]d/children", b.child.Pid)
	text, err := rawfile.Read(file)
	if err != nil {
		return -1, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1, fmt.Errorf("%s: %w", file, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	b.opened = append(b.opened, fd)
	return fd, nil
}
