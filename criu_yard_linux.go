package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/criu"
	"github.com/oci-mini/oci-mini/internal/mountopt"
	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/rawfile"
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

// nameMounts says where CRIU finds the rootfs and the mounts that it cannot make: where they are
// on the host. A mount that was a slave CRIU makes one by the mount that its source lies
// in, which must be as wide as the host's (do_set_group in the kernel's fs/namespace.c), so
// that names of the runtime's own would not do. What is there when CRIU mounts it is compared
// with what was opened; see holdToConfig.
func (b *birth) nameMounts(t *restoration) (err error) {
	if t.Root, err = truePath(b.rootfs); err != nil {
		return fmt.Errorf("/root/path: %w", err)
	}
	named := map[string]bool{}
	for _, e := range b.externals() {
		if named[e.name] || e.source != nil && e.source() < 0 {
			continue // the null device again, or a link that was copied
		}
		named[e.name] = true
		if e.mask {
			// CRIU 3.17 gives the second of several mounts of one source the attributes of
			// that source, and not its own: so the source has them.
			t.yard.entries = append(t.yard.entries, yardEntry{"null", b.nullFd, false})
			t.External = append(t.External, "mnt["+e.name+"]:"+t.yard.dir+"/null")
			continue
		}
		file, err := e.file()
		if err != nil {
			return fmt.Errorf("%s: %w", e.field, err)
		}
		t.External = append(t.External, "mnt["+e.name+"]:"+file)
	}
	return nil
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
	if layout.Mode != cgroup.Unified {
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

// noteFile is in the directory of the images: what of the checkpoint its restore has to know
// besides what CRIU notes itself.
const noteFile = "oci-mini.json"

// note is its content.
type note struct {
	ManageCgroupsMode string `json:"manageCgroupsMode"`
}

// writeNote writes it.
func (r *criuRequest) writeNote(images int) error {
	data, err := json.Marshal(note{r.ManageCgroups.Name})
	if err != nil {
		return err
	}
	return writeImage(images, noteFile, data)
}

// writeImage writes a file beside CRIU's, for its owner alone.
func writeImage(images int, name string, data []byte) error {
	fd, err := unix.Openat(images, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "openat", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// readMode is how the checkpoint treated cgroups; one of another runtime, which leaves no
// note, as they do if nobody says otherwise.
func readMode(images int) (*criu.Choice, error) {
	n := note{"soft"}
	data, err := readImage(images, noteFile)
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("--image-path: %w", err)
	}
	return criu.Choose(criu.CgroupModes, n.ManageCgroupsMode)
}

func readImage(images int, name string) ([]byte, error) {
	fd, err := unix.Openat(images, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	defer unix.Close(fd)
	data, err := rawfile.ReadFd(fd)
	if err != nil {
		err = &os.PathError{Op: "read", Path: name, Err: err}
	}
	return data, err
}
