package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/program"
)

// yard is a tmpfs in CRIU's own mount namespace in which it finds mounts that it is not to make
// itself: cgroup2. It lies over the container's state directory, so that nothing has to be
// made for it, or to be removed.
type yard struct {
	dir     string
	entries []yardEntry
	own     []int // descriptors to close
}

type yardEntry struct {
	name  string
	fd    int // of a detached mount, -1: none
	isDir bool
}

// truePath is the path of a file without any links.
func truePath(name string) (string, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// fill makes the yard, in the process that becomes CRIU.
func (y *yard) fill(a *program.Assembler) {
	a.Call(program.Discard, unix.SYS_MOUNT_SETATTR, program.Const(unix.AT_FDCWD), a.String("/"),
		program.Const(unix.AT_RECURSIVE), a.MountAttr(0, 0, unix.MS_SLAVE, 0), program.MountAttrSize).Note("/ slave")
	if len(y.entries) == 0 {
		return
	}
	top := a.Reg()
	newMount(a, top, "tmpfs", "oci-mini", &mountopt.Options{Data: []mountopt.Datum{{Key: "mode", Value: "700"}}})
	for _, e := range y.entries {
		name := a.String(e.name)
		if e.isDir {
			a.Call(program.Discard, unix.SYS_MKDIRAT, top.Arg(), name, program.Const(0o700)).Note(e.name)
		} else {
			a.Call(program.Discard, unix.SYS_MKNODAT, top.Arg(), name, program.Const(unix.S_IFREG|0o600), program.Const(0)).Note(e.name)
		}
	}
	attach(a, top.Arg(), program.Const(unix.AT_FDCWD), a.String(y.dir), unix.MOVE_MOUNT_F_EMPTY_PATH).Note(y.dir)
	for _, e := range y.entries {
		if e.fd >= 0 {
			attach(a, program.Const(e.fd), top.Arg(), a.String(e.name), unix.MOVE_MOUNT_F_EMPTY_PATH).Note(e.name)
		}
	}
	closeFd(a, top)
}

func (y *yard) close() {
	for _, fd := range y.own {
		unix.Close(fd)
	}
	y.own = nil
}

// cgroupsIgnored is the mode in which CRIU leaves cgroups alone: what it restores stays in
// the one that it is itself in, which is the container's.
const cgroupsIgnored = "ignore"

// openCgroupYard hands CRIU the host's cgroup file system, if it is to look after cgroups.
// Where CRIU mounts cgroup2 itself, it takes the host's own mount its options, such as
// nsdelegate: they are those of the one superblock.
func (r *criuRequest) openCgroupYard(y *yard) error {
	if r.ManageCgroups.Name == cgroupsIgnored {
		return nil
	}
	layout, err := cgroup.Detect()
	if err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	// A hierarchy of version 1 that is in use, but mounted nowhere here, CRIU would look for too.
	if layout.Mode != cgroup.Unified || strings.Count(string(own), "\n") > 1 {
		return fmt.Errorf("--manage-cgroups-mode %s: takes a host with cgroup2 alone; ignore leaves the container in its cgroup, without those of its own making", r.ManageCgroups.Name)
	}
	fd, err := cloneTree(cgroup.Root, false, 0)
	if err != nil {
		return err
	}
	y.own = append(y.own, fd)
	y.entries = append(y.entries, yardEntry{"cgroups", -1, true}, yardEntry{"cgroups/unified", fd, true})
	r.CgroupYard = y.dir + "/cgroups"
	return nil
}
