package main

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// What the runtime makes and removes by itself, device nodes and links, belongs into the file
// system that the config has at their path: a new one, or the rootfs. A link in the image can
// lead elsewhere, from /dev into a volume, or bring a volume's mount onto /dev. Then the nodes
// would be made in a directory of the host's, and its ptmx removed (CVE-2026-41579). So
// the mount that an open directory is on is held to the one that the config means.

// place is the mount that a directory is in by the config's words, which is the last of those on
// it or above it; nil is the rootfs.
func (b *birth) place(dir string) *mount {
	for _, m := range slices.Backward(b.mounts) {
		if !m.opt.Remount && within(dir, m.said) {
			return m
		}
	}
	return nil
}

// kernelTree says whether a mount shows the kernel's own files, of which some are covered, and is there
// to be covered by descriptor: a name could lead elsewhere by then, as whoever may write to the rootfs may
// rename the directory under a mount as long as it is not one of theirs.
func (m *mount) kernelTree() bool {
	switch {
	case m.opt.Remount:
		return false
	case m.opt.Bind:
		return !m.leftToInit() && (m.said == "/proc" || m.said == "/sys")
	}
	return m.Type == "proc" || m.Type == "sysfs"
}

// kernelTreeOf is the mount of that kind by which a path is reached, or nil.
func (b *birth) kernelTreeOf(file string) *mount {
	top := len(file) + 1 // what is deeper than a later mount is hidden by that
	for _, m := range slices.Backward(b.mounts) {
		if m.opt.Remount || !within(file, m.said) || len(m.said) >= top {
			continue
		}
		if m.kernelTree() {
			return m
		}
		top = len(m.said)
	}
	return nil
}

// hasCovers says whether a path that the config covers is in the mount.
func (b *birth) hasCovers(m *mount) bool {
	if !m.kernelTree() || b.spec.Linux == nil {
		return false
	}
	in := func(p string) bool { return b.kernelTreeOf(path.Clean("/"+p)) == m }
	return slices.ContainsFunc(b.spec.Linux.MaskedPaths, in) || slices.ContainsFunc(b.spec.Linux.ReadonlyPaths, in)
}

// openCovered opens a path that is to be covered.
func (b *birth) openCovered(a *program.Assembler, fd program.Reg, p string, flags uint64) program.Call {
	file := path.Clean("/" + p)
	m := b.kernelTreeOf(file)
	if m == nil {
		return b.openInRoot(a, fd, p, flags, 0)
	}
	below := path.Clean("/" + strings.TrimPrefix(file, m.said))
	return a.Call(fd, unix.SYS_OPENAT2, m.mount, a.String(below), a.OpenHow(flags|unix.O_CLOEXEC, 0, inRoot), program.OpenHowSize).
		Note(p).Retry(eagainTries)
}

// nothingOver fails if a mount lies over the container's root, where a link in the rootfs has led it:
// whoever joins the container would be in that.
func (b *birth) nothingOver(a *program.Assembler) {
	top, is, want := a.Reg(), a.Reg(), a.Reg()
	// There is nothing above, and the kernel goes on to what is mounted there.
	b.openInRoot(a, top, "..", unix.O_PATH|unix.O_DIRECTORY, 0)
	numberOfMount(a, is, top.Arg(), "/")
	numberOfMount(a, want, b.root, "/")
	over, clear := a.NewLabel(), a.NewLabel()
	a.Unless(is.Arg(), want.Arg(), over)
	a.Jump(clear)
	a.Bind(over)
	a.Fail(unix.EXDEV, "a link in the rootfs has led a mount of the config's over the root of all")
	a.Bind(clear)
	closeFd(a, top)
	a.Release(is, want)
}

// places are the directories in which the runtime makes something.
func (b *birth) places() []string {
	list := []string{"/dev"}
	if b.spec.Linux != nil {
		for _, d := range b.spec.Linux.Devices {
			list = append(list, path.Dir(path.Clean("/"+d.Path)))
		}
	}
	return list
}

// rememberMount keeps the number of a new mount, if one of those directories is in it.
func (b *birth) rememberMount(a *program.Assembler, mnt program.Arg, m *mount) {
	if slices.ContainsFunc(b.places(), func(dir string) bool { return b.place(dir) == m }) {
		id := a.Reg()
		numberOfMount(a, id, mnt, m.dest)
		m.number = &id
	}
}

// inPlace fails unless an open directory is in the mount that the config has at its path. A bind
// mount there is where the config itself wants things to be made.
func (b *birth) inPlace(a *program.Assembler, at program.Reg, dir string) {
	is, want := a.Reg(), a.Reg()
	defer a.Release(is, want)
	switch m := b.place(dir); {
	case m == nil:
		numberOfMount(a, want, b.root, "/")
	case m.number != nil:
		a.Set(want, m.number.Arg())
	default:
		return
	}
	numberOfMount(a, is, at.Arg(), dir)
	other, same := a.NewLabel(), a.NewLabel()
	a.Unless(is.Arg(), want.Arg(), other)
	a.Jump(same)
	a.Bind(other)
	a.Fail(unix.EXDEV, dir+" is in another mount than the config has there, to which a link in the rootfs leads, or which the rootfs brings along: nothing is made in that; a bind mount of the config's on "+dir+" says that it is meant")
	a.Bind(same)
}

// numberOfMount leaves the number of the mount that an open file is on in the register. Those
// that statx(2) gives without being asked for unique ones have 32 bits.
func numberOfMount(a *program.Assembler, number program.Reg, fd program.Arg, what string) {
	a.Call(program.Discard, unix.SYS_STATX, fd, a.String(""), program.Const(unix.AT_EMPTY_PATH), program.Const(unix.STATX_MNT_ID), program.Scratch(0)).Note(what)
	a.Load32(number, mountNumber, 1<<32-1)
}
