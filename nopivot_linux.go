package main

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
)

// leavesHostMounts says whether the host's mounts stay in the container's mount
// namespace, below its root: without pivot_root there is no way to take them out. One
// that the container is only built in it leaves.
func (b *birth) leavesHostMounts() bool { return b.ownMounts() && b.chroots() && b.mountsByPath() < 0 }

// findBareProc looks where the host has its procfs and sysfs mounted.
func (b *birth) findBareProc() []plan.Step {
	if !b.leavesHostMounts() {
		return nil
	}
	b.bareProc = []string{"/sys", "/proc"} // as every host has them; the step finds all
	return []plan.Step{{
		By: plan.Runtime, Words: "find the host's procfs and sysfs mounts",
		Reason: "they would stay in the container's mount namespace",
		Shell:  b.remark("not in a script: see the change of the root directory"),
		Do: func() (func() error, error) {
			text, err := rawfile.Read("/proc/self/mountinfo")
			if err == nil {
				b.bareProc = kernelMounts(string(text), b.rootfs)
			}
			return nil, err
		},
	}}
}

// detachBareProc takes the host's procfs and sysfs out of the container's mount
// namespace. As long as one is there with nothing mounted over it, the kernel lets a
// user namespace in the container mount another one (mount_too_revealing), which has
// none of the container's masked and read-only paths.
func (b *birth) detachBareProc() []plan.Step {
	if !b.leavesHostMounts() {
		return nil
	}
	return []plan.Step{{
		By: plan.Init, Words: "detach the host's procfs and sysfs mounts",
		Reason: "or a user namespace inside could mount a procfs without masks",
		Shell:  b.remark("not in a script: see the change of the root directory"),
		Assemble: func(a *program.Assembler) {
			for _, at := range b.bareProc {
				cover, done := a.NewLabel(), a.NewLabel()
				a.Call(program.Discard, unix.SYS_UMOUNT2, a.String(at), program.Const(unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)).
					Note(at).On(unix.EINVAL, cover).On(unix.EPERM, cover).On(unix.ENOENT, done)
				a.Jump(done)
				a.Bind(cover) // locked, as the namespace has less rights than the host's
				a.Call(program.Discard, unix.SYS_MOUNT, a.String("tmpfs"), a.String(at), a.String("tmpfs"), program.Const(unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), program.Const(0)).
					Note(at + " tmpfs")
				a.Bind(done)
			}
		},
	}}
}

// kernelMounts lists the mount points of procfs and sysfs in a mountinfo (proc(5)) that
// are not below the rootfs, the last one mounted first.
func kernelMounts(mountinfo, rootfs string) []string {
	var list []string
	for line := range strings.SplitSeq(mountinfo, "\n") {
		// 36 35 98:0 / /proc rw,noatime shared:1 - proc proc rw
		fields, of, found := strings.Cut(line, " - ")
		f := strings.Fields(fields)
		if kind, _, _ := strings.Cut(of, " "); !found || len(f) < 5 || kind != "proc" && kind != "sysfs" {
			continue
		}
		if at := unescape(f[4]); at != rootfs && !strings.HasPrefix(at, rootfs+"/") {
			list = append(list, at)
		}
	}
	slices.Reverse(list)
	return list
}
