package main

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// nullStream is a standard stream of the caller's that is the null device.
type nullStream struct {
	fd    int
	mode  int    // O_ACCMODE of the open descriptor
	owner uint32 // of the device
}

// isNull says whether a file is the null device.
func isNull(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}

// ownNull puts the container's null device in the place of the host's where the caller's
// standard streams are that: through a descriptor of it, whose owner is root, a container's root
// could change its mode, owner and times (fchmod(2) asks for no more than to be the owner), which
// all programs of the host would have to live with.
func (b *birth) ownNull() []plan.Step {
	streams := b.host.nullStreams
	if len(streams) == 0 || b.hasTerminal() || b.spec.Process == nil || !b.ownMounts() || !b.host.mounts || !b.mayOwnNull() {
		return nil
	}
	return []plan.Step{{
		By: plan.Init, Words: "take the container's null device for the standard streams that are the host's",
		Reason: "its owner could change the mode of the host's by them",
		Shell:  b.remark("the caller's streams are kept"),
		Assemble: func(a *program.Assembler) {
			other, done := a.NewLabel(), a.NewLabel()
			null, name := a.Reg(), a.String("")
			// Looked at before it is opened for use: what it is instead could do anything then.
			b.openInRoot(a, null, "/dev/null", unix.O_PATH, unix.RESOLVE_NO_SYMLINKS).
				On(unix.ENOENT, other).On(unix.ELOOP, other).On(unix.ENOTDIR, other).On(unix.EACCES, other)
			unlessDevice(a, null.Arg(), name, "/dev/null", unix.AT_EMPTY_PATH, unix.S_IFCHR, 1, 3, other)
			a.Call(program.Discard, unix.SYS_CLOSE, null.Arg())
			exchanged := a.NewLabel()
			for _, s := range streams {
				b.openInRoot(a, null, "/dev/null", uint64(s.mode|unix.O_NOCTTY|unix.O_NONBLOCK), unix.RESOLVE_NO_SYMLINKS)
				unlessDevice(a, null.Arg(), name, "/dev/null", unix.AT_EMPTY_PATH, unix.S_IFCHR, 1, 3, exchanged)
				b.becomeStream(a, null, s)
			}
			a.Jump(done)
			a.Bind(exchanged)
			a.Fail(unix.EAGAIN, "/dev/null was exchanged while it was opened")

			a.Bind(other)
			if b.makesDevices() {
				b.privateNull(a, null)
			} else {
				a.Fail(unix.ENODEV, "/dev/null in the container is not the null device, and to lend it the host's as a standard stream would let its root change that")
			}
			a.Bind(done)
			a.Release(null)
		},
	}}
}

// privateNull is for a container without a null device: it gets one of a file system of its
// own, without a name.
func (b *birth) privateNull(a *program.Assembler, null program.Reg) {
	dir := a.Reg()
	name := a.String("null")
	newMount(a, dir, "tmpfs", "", b.labelled("tmpfs", mountopt.Options{
		AttrSet: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC, Data: []mountopt.Datum{{Key: "nr_inodes", Value: "2"}},
	}))
	a.Call(program.Discard, unix.SYS_MKNODAT, dir.Arg(), name, program.Const(unix.S_IFCHR|0o666), program.Const(unix.Mkdev(1, 3))).Note("null 1:3")
	a.Call(program.Discard, unix.SYS_FCHMODAT, dir.Arg(), name, program.Const(0o666)).Note("null") // whatever the umask is
	for _, s := range b.host.nullStreams {
		a.Call(null, unix.SYS_OPENAT, dir.Arg(), name, program.Const(s.mode|unix.O_CLOEXEC)).Note("null")
		b.becomeStream(a, null, s)
	}
	closeFd(a, dir)
}

// becomeStream makes an open file the stream, and closes it.
func (b *birth) becomeStream(a *program.Assembler, file program.Reg, s nullStream) {
	a.Call(program.Discard, unix.SYS_DUP3, file.Arg(), program.Const(s.fd), program.Const(0)).Note("standard stream")
	a.Call(program.Discard, unix.SYS_CLOSE, file.Arg())
}

// mayOwnNull says whether an owner of the host's null device has an id in the container.
// Where the mappings are not known yet, one may.
func (b *birth) mayOwnNull() bool {
	if !b.inUsers() || len(b.uids) == 0 {
		return true
	}
	return slices.ContainsFunc(b.host.nullStreams, func(s nullStream) bool {
		for _, m := range b.uids {
			if s.owner >= m.HostID && s.owner-m.HostID < m.Size {
				return true
			}
		}
		return false
	})
}
