package main

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// tree is a part of the host's file system that the container gets: its root, the
// source of a bind mount, a device. It is a clone of the host's mounts that is
// attached nowhere until init puts it in its place.
//
// The runtime makes the clone, while the host's names can still be followed. Where it
// has no right to (see rights), it opens the file all the same, to find out what it is;
// and init, which is root of its own mount namespace by then, makes the clone
// and gives it the number of the runtime's descriptor. So nobody else needs to know.
type tree struct {
	field, file string
	recursive   bool
	flags       uint   // AT_SYMLINK_NOFOLLOW or none
	shared      bool   // mounts go both ways where the host's are shared
	attributes  uint64 // MOUNT_ATTR_* to set, on the mounts below as well if it is recursive
	device      bool   // of /dev
	optional    bool   // it need not be opened
	of          *mount // the bind mount that it is for, or nil
	via         string // the name by which the runtime opens it, if that is another
	fd          int    // -1 while it is not open
}

// tree registers a tree for the Plan.
func (b *birth) tree(t tree) *tree {
	t.fd = -1
	b.trees = append(b.trees, &t)
	return &t
}

// openTree opens a tree, as a clone if the runtime may make one.
func (b *birth) openTree(t *tree) (err error) {
	name := t.file
	if t.via != "" {
		name = t.via
	}
	switch {
	case !b.host.mounts:
		flags := unix.O_PATH | unix.O_CLOEXEC
		if t.flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
			flags |= unix.O_NOFOLLOW
		}
		if t.fd, err = unix.Open(name, flags, 0); err != nil {
			return &os.PathError{Op: "open", Path: t.file, Err: err}
		}
	case t.shared:
		t.fd, err = cloneShared(name, t.recursive, t.flags)
	default:
		t.fd, err = cloneTree(name, t.recursive, t.flags)
	}
	if err != nil {
		return err
	}
	b.opened = append(b.opened, t.fd)
	if b.host.mounts && t.attributes != 0 {
		if err := unix.MountSetattr(t.fd, "", unix.AT_EMPTY_PATH|t.depth(), &unix.MountAttr{Attr_set: t.attributes}); err != nil {
			return &os.PathError{Op: "mount_setattr", Path: t.file, Err: err}
		}
	}
	return nil
}

// depth is AT_RECURSIVE for a tree of several mounts.
func (t *tree) depth() uint {
	if t.recursive {
		return unix.AT_RECURSIVE
	}
	return 0
}

// adoptTrees has init make the clones that the runtime may not make.
func (b *birth) adoptTrees() []plan.Step {
	if b.host.mounts || !b.ownMounts() {
		return nil
	}
	reason := "the runtime itself may not; init is root of its mount namespace, and still has the user's access to files"
	var steps []plan.Step
	for rest := b.trees; len(rest) > 0; reason = "" {
		n := 1
		for n < len(rest) && rest[n].device && rest[0].device {
			n++
		}
		list := rest[:n]
		rest = rest[n:]
		words, field := "clone the mounts at "+list[0].file, list[0].field
		if list[0].device {
			words, field = "clone the mounts of the host's devices", "/linux/devices"
		}
		steps = append(steps, plan.Step{
			Field: field, By: plan.Init, Words: words, Reason: reason,
			Shell: b.remark("mount --bind does it, below"),
			Assemble: func(a *program.Assembler) {
				for _, t := range list {
					t.adopt(a)
				}
			},
		})
	}
	return steps
}

// adopt makes the clone under the number of the runtime's descriptor.
func (t *tree) adopt(a *program.Assembler) {
	if t.fd < 0 && t.optional {
		return
	}
	flags := t.flags | t.depth() | unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	clone := a.Reg()
	setattr := func(flags int, set, propagation uint64) {
		a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, clone.Arg(), a.String(""), program.Const(unix.AT_EMPTY_PATH|flags),
			a.MountAttr(set, 0, propagation, 0), program.MountAttrSize).Note(t.file)
	}
	a.Call(clone, unix.SYS_OPEN_TREE, program.Const(unix.AT_FDCWD), a.String(t.file), program.Const(int(flags))).Note(t.file)
	if !t.shared {
		setattr(unix.AT_RECURSIVE, 0, unix.MS_SLAVE)
	}
	if t.attributes != 0 {
		setattr(int(t.depth()), t.attributes, 0)
	}
	a.Call(program.Discard, unix.SYS_DUP3, clone.Arg(), program.Const(t.fd), program.Const(unix.O_CLOEXEC)).Note(t.file)
	closeFd(a, clone)
}
