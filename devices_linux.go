package main

import (
	"fmt"
	"path"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// defaultDevices are made in every container's /dev (config-linux.md, "Default
// Devices"); /dev/ptmx and /dev/console are made elsewhere.
var defaultDevices = []struct {
	name         string
	major, minor int64
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

// deviceLinks are the symbolic links of every container's /dev (runtime-linux.md,
// "Dev symbolic links").
var deviceLinks = []struct{ name, target string }{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
	{"core", "/proc/kcore"},
}

// hostDev says whether /dev is the host's own directory by a bind mount: then
// nothing may be made in it.
func (b *birth) hostDev() bool {
	for _, m := range b.mounts {
		if m.said == "/dev" && m.opt.Bind {
			return true
		}
	}
	return false
}

// devices makes the device nodes and links of /dev.
func (b *birth) devices() []plan.Step {
	if b.hostDev() || !b.ownMounts() { // nothing is left behind in a rootfs that is not mounted
		return nil
	}
	var listed []specs.LinuxDevice
	if b.spec.Linux != nil {
		listed = b.spec.Linux.Devices
	}
	var steps []plan.Step
	if !b.makesDevices() {
		steps = b.bindDevices()
	} else {
		steps = append(steps, b.makeDefaultDevices(listed))
	}
	for i, d := range listed {
		if !b.makesDevices() && d.Type != "p" {
			continue // bound
		}
		steps = append(steps, b.makeDevice(i, d))
	}
	return append(steps, b.links())
}

// makeDefaultDevices makes those default devices that the config does not list.
func (b *birth) makeDefaultDevices(listed []specs.LinuxDevice) plan.Step {
	return plan.Step{
		By: plan.Init, Words: "make the default devices null, zero, full, random, urandom and tty in /dev",
		Shell: b.typed(func() []string { return shellDefaultDevices(listed) }),
		Assemble: func(a *program.Assembler) {
			dev := a.Reg()
			b.makeInRoot(a, dev, "/dev", true, 0)
			b.inPlace(a, dev, "/dev")
			for _, d := range defaultDevices {
				if !listsDevice(listed, "/dev/"+d.name) {
					b.mknod(a, dev, d.name, unix.S_IFCHR|0o666, d.major, d.minor, 0, 0)
				}
			}
			closeFd(a, dev)
		},
	}
}

// makeDevice makes one entry of /linux/devices.
func (b *birth) makeDevice(i int, d specs.LinuxDevice) plan.Step {
	kind := map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}[d.Type]
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(*d.FileMode) & 0o7777
	}
	var uid, gid uint32
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	file := path.Clean("/" + d.Path)
	return plan.Step{
		Field: fmt.Sprintf("/linux/devices/%d", i), By: plan.Init,
		Words: fmt.Sprintf("make the device %s (%s %d:%d, mode %04o)", file, d.Type, d.Major, d.Minor, mode),
		Shell: b.typed(func() []string { return shellMknod(file, d.Type, mode, d.Major, d.Minor, uid, gid) }),
		Assemble: func(a *program.Assembler) {
			dir := a.Reg()
			b.makeInRoot(a, dir, path.Dir(file), true, 0)
			b.inPlace(a, dir, path.Dir(file))
			b.mknod(a, dir, path.Base(file), kind|mode, d.Major, d.Minor, uid, gid)
			closeFd(a, dir)
		},
	}
}

func listsDevice(list []specs.LinuxDevice, file string) bool {
	for _, d := range list {
		if path.Clean("/"+d.Path) == file {
			return true
		}
	}
	return false
}

// mknod makes a node in an open directory. One that exists is accepted only if
// it is the same device (config-linux.md, "Devices"); mknodat does not follow a
// symbolic link of that name, nor does the check.
func (b *birth) mknod(a *program.Assembler, dir program.Reg, name string, mode uint32, major, minor int64, uid, gid uint32) {
	exists, done := a.NewLabel(), a.NewLabel()
	what := fmt.Sprintf("%s %d:%d", name, major, minor)
	n := a.String(name)
	a.Call(program.Discard, unix.SYS_MKNODAT, dir.Arg(), n, program.Const(mode), program.Const(unix.Mkdev(uint32(major), uint32(minor)))).
		Note(what).On(unix.EEXIST, exists)
	if uid != 0 || gid != 0 {
		a.Call(program.Discard, unix.SYS_FCHOWNAT, dir.Arg(), n, program.Const(uid), program.Const(gid), program.Const(unix.AT_SYMLINK_NOFOLLOW)).Note(what)
	}
	a.Jump(done)
	a.Bind(exists)

	differs := a.NewLabel()
	unlessDevice(a, dir.Arg(), n, what, unix.AT_SYMLINK_NOFOLLOW, mode&unix.S_IFMT, major, minor, differs)
	a.Jump(done)
	a.Bind(differs)
	a.Fail(unix.EEXIST, name+" is there already, and it is not this device")
	a.Bind(done)
}

// unlessDevice goes on at the label unless the file is that device, or a FIFO if kind says
// so. How it is named is for statx(2).
func unlessDevice(a *program.Assembler, dir, name program.Arg, what string, flags int, kind uint32, major, minor int64, differs program.Label) {
	// struct statx: stx_mode in the word at 28, stx_rdev_major and _minor at 128.
	got := a.Reg()
	a.Call(program.Discard, unix.SYS_STATX, dir, name, program.Const(flags), program.Const(unix.STATX_TYPE), program.Scratch(0)).Note(what)
	a.Load32(got, 28, unix.S_IFMT)
	a.Unless(got.Arg(), program.Const(kind), differs)
	if kind != unix.S_IFIFO {
		a.Load32(got, 128, 1<<32-1)
		a.Unless(got.Arg(), program.Const(major), differs)
		a.Load32(got, 132, 1<<32-1)
		a.Unless(got.Arg(), program.Const(minor), differs)
	}
	a.Release(got)
}

// links makes the symbolic links of /dev. /dev/ptmx is the container's own
// multiplexer: what an image ships under that name is replaced.
func (b *birth) links() plan.Step {
	return plan.Step{
		By: plan.Init, Words: "make the links fd, stdin, stdout, stderr, core and ptmx in /dev",
		Shell: b.typed(shellLinks),
		Assemble: func(a *program.Assembler) {
			dev := a.Reg()
			b.openInRoot(a, dev, "/dev", unix.O_PATH|unix.O_DIRECTORY, 0)
			b.inPlace(a, dev, "/dev")
			for _, l := range deviceLinks {
				a.Call(program.Discard, unix.SYS_SYMLINKAT, a.String(l.target), dev.Arg(), a.String(l.name)).Note("/dev/" + l.name).Tolerate(unix.EEXIST)
			}
			ptmx := a.String("ptmx")
			a.Call(program.Discard, unix.SYS_UNLINKAT, dev.Arg(), ptmx, program.Const(0)).Note("/dev/ptmx").Tolerate(unix.ENOENT)
			a.Call(program.Discard, unix.SYS_SYMLINKAT, a.String("pts/ptmx"), dev.Arg(), ptmx).Note("/dev/ptmx")
			closeFd(a, dev)
		},
	}
}
