package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// lentMounts are file systems that show a namespace, and that only the root of that
// namespace's owner may mount. A container in a user namespace that keeps the host's
// gets the host's own mount instead. With somebody else's, which is joined by path, it
// would see what it should not; but for sysfs, of which nothing else is to be had.
var lentMounts = []struct {
	fstype     string
	namespace  uint64
	dir        string // where the host has it
	magic      int64  // of statfs(2)
	attributes uint64 // MOUNT_ATTR_* of the host's in the container
}{
	{"sysfs", unix.CLONE_NEWNET, "/sys", unix.SYSFS_MAGIC, unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC},
	{"mqueue", unix.CLONE_NEWIPC, "/dev/mqueue", 0x19800202, unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC},
	{"proc", unix.CLONE_NEWPID, "/proc", unix.PROC_SUPER_MAGIC, unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC},
}

// valueLent is the first of the slots in which init publishes what it had to be lent:
// one for each of lentMounts.
const valueLent = 2

// lends returns the index in lentMounts of what stands in for a mount, or -1.
func (b *birth) lends(m *mount) int {
	if !b.inUsers() || m.opt.Bind || m.opt.Remount {
		return -1
	}
	for i, l := range lentMounts {
		if l.fstype == m.Type {
			if b.ns.isNew(l.namespace) || b.ns.private(l.namespace) && l.fstype != "sysfs" {
				return -1
			}
			return i
		}
	}
	return -1
}

// openLent opens what stands in for mounts that may be refused.
func (b *birth) openLent() []plan.Step {
	var steps []plan.Step
	for _, m := range b.mounts {
		i := b.lends(m)
		if i < 0 {
			continue
		}
		l := lentMounts[i]
		lent := b.tree(tree{field: m.field(), file: l.dir, recursive: true, attributes: l.attributes, optional: true})
		steps = append(steps, plan.Step{
			Field: m.field(), By: plan.Runtime, Words: "open the host's " + l.dir,
			Reason: "to stand in for a " + l.fstype + " that the container's user namespace may not mount: it does not own what that shows",
			Shell:  b.command("test", "-d", l.dir),
			Do: func() (func() error, error) {
				err := b.openTree(lent)
				if errors.Is(err, unix.ENOENT) {
					return nil, nil // the host has none
				}
				if err != nil {
					return nil, err
				}
				var fs unix.Statfs_t
				if err := unix.Fstatfs(lent.fd, &fs); err != nil {
					return nil, &os.PathError{Op: "fstatfs", Path: l.dir, Err: err}
				}
				if int64(fs.Type) != l.magic {
					lent.fd = -1
					return nil, nil // the host has none there
				}
				m.lentFd = lent.fd
				return nil, nil
			},
		})
	}
	return steps
}

// mountOrLend makes a new mount, or takes the host's where that is not permitted.
func (b *birth) mountOrLend(a *program.Assembler, mnt program.Reg, m *mount) {
	calls := newMount(a, mnt, m.Type, m.Source, b.labelled(m.Type, m.opt))
	if m.lentFd < 0 {
		return
	}
	refused, done := a.NewLabel(), a.NewLabel()
	for _, c := range calls {
		c.On(unix.EPERM, refused)
	}
	a.Jump(done)
	a.Bind(refused)
	a.Publish(valueLent+b.lends(m), program.Const(1))
	a.Set(mnt, program.Const(m.lentFd))
	if set := m.opt.AttrSet; set != 0 {
		clear := uint64(0)
		if set&unix.MOUNT_ATTR__ATIME != 0 {
			clear = unix.MOUNT_ATTR__ATIME
		}
		a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, mnt.Arg(), a.String(""), program.Const(unix.AT_EMPTY_PATH),
			a.MountAttr(set, clear, 0, 0), program.MountAttrSize).Note(m.dest)
	}
	a.Bind(done)
}

// tellLent logs what was lent: it differs from what the config says.
func (b *birth) tellLent() []plan.Step {
	var lent []*mount
	for _, m := range b.mounts {
		if b.lends(m) >= 0 {
			lent = append(lent, m)
		}
	}
	if len(lent) == 0 {
		return nil
	}
	return []plan.Step{{
		By: plan.Runtime, Words: "log which mounts the host's stand in for",
		Shell: b.remark("mount has told"),
		Do: func() (func() error, error) {
			for _, m := range lent {
				if i := b.lends(m); b.child.Value(valueLent+i) != 0 {
					log.Debug(fmt.Sprintf("%s: the container's user namespace may not mount %s: it has the host's %s", m.field(), m.name(), lentMounts[i].dir))
				}
			}
			return nil, nil
		},
	}}
}
