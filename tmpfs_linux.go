package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/copyup"
	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/internal/program"
)

// leavesTmpfs says whether init makes a tmpfs that is to be filled: the runtime has no
// right to make a mount of its own.
func (b *birth) leavesTmpfs(m *mount) bool {
	return m.opt.CopyUp && m.Type == "tmpfs" && !b.host.mounts
}

// reserveTmpfs opens what such a tmpfs starts with, and the way by which it comes to the
// runtime; init gives its descriptor the same number.
func (b *birth) reserveTmpfs(m *mount) error {
	if err := b.openMountSockets(); err != nil {
		return err
	}
	fd, err := unix.Openat2(b.rootfsFd, m.dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inRoot})
	if err == unix.ENOENT {
		m.copiesNothing = true
		m.copyUp, err = b.reserveFd()
		return err
	}
	if err != nil {
		return &os.PathError{Op: "openat2", Path: m.dest, Err: err}
	}
	b.opened = append(b.opened, fd)
	m.copyUp = fd
	return nil
}

// fillLate has init make those tmpfs, and the runtime fill them, with the user's access
// to files. Init sends them, in their order.
func (b *birth) fillLate() []plan.Step {
	var made, filled []plan.Step
	for _, m := range b.mounts {
		if !b.leavesTmpfs(m) {
			continue
		}
		made = append(made, plan.Step{
			Field: m.field(), By: plan.Init, Words: "make the tmpfs that is to be on " + m.dest, Name: m.name(),
			Reason: "the runtime itself may not",
			Assemble: func(a *program.Assembler) {
				mnt := a.Reg()
				newMount(a, mnt, m.Type, m.Source, b.labelled(m.Type, m.opt))
				a.Call(program.Discard, unix.SYS_DUP3, mnt.Arg(), program.Const(m.copyUp), program.Const(unix.O_CLOEXEC)).Note(m.dest)
				if !m.copiesNothing {
					b.sendMount(a, m.copyUp, m.dest)
				}
				closeFd(a, mnt)
			},
		})
		filled = append(filled, plan.Step{
			Field: m.field(), By: plan.Runtime, Words: "fill it with a copy of " + m.dest, Name: m.name(),
			Do: func() (func() error, error) {
				if m.copiesNothing {
					return nil, nil
				}
				mnt, err := receiveFd(b.mountSockets[0], "the tmpfs")
				if err != nil {
					return nil, err
				}
				defer unix.Close(mnt)
				return nil, m.copyInto(mnt, m.copyUp)
			},
		})
	}
	return append(made, filled...)
}

// fillTmpfs makes a detached tmpfs that starts as a copy of what the rootfs has at
// the destination (tmpcopyup). The runtime does it, as copying is no work for a
// list of system calls; nobody else can reach the tmpfs meanwhile. What an earlier
// mount put at the destination is not seen.
func (b *birth) fillTmpfs(m *mount) error {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen tmpfs", err)
	}
	defer unix.Close(fs)
	for _, d := range b.labelled("tmpfs", m.opt).Data {
		if d.Flag {
			err = unix.FsconfigSetFlag(fs, d.Key)
		} else {
			err = unix.FsconfigSetString(fs, d.Key, d.Value)
		}
		if err != nil {
			return fmt.Errorf("fsconfig %s: %s%w", d, fsMessage(fs), err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("fsconfig create: %s%w", fsMessage(fs), err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(m.opt.AttrSet))
	if err != nil {
		return fmt.Errorf("fsmount: %s%w", fsMessage(fs), err)
	}
	b.opened = append(b.opened, mnt)
	m.copyUp = mnt

	src, err := unix.Openat2(b.rootfsFd, m.dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inRoot})
	if err == unix.ENOENT {
		return nil // there is nothing to copy
	}
	if err != nil {
		return &os.PathError{Op: "openat2", Path: m.dest, Err: err}
	}
	defer unix.Close(src)
	return m.copyInto(mnt, src)
}

// copyInto fills a tmpfs.
func (m *mount) copyInto(mnt, src int) error {
	if err := copyup.Tree(src, mnt); err != nil {
		return fmt.Errorf("copy of %s: %w", m.dest, err)
	}
	return m.explicitMode(mnt)
}

// explicitMode gives a filled tmpfs the mode that its options ask for, in place of
// that of the directory.
func (m *mount) explicitMode(mnt int) error {
	for _, d := range m.opt.Data {
		if d.Key != "mode" {
			continue
		}
		mode, err := strconv.ParseUint(d.Value, 8, 32)
		if err != nil {
			return fmt.Errorf("mode=%s: %w", d.Value, err)
		}
		top, err := unix.Openat(mnt, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("openat", err)
		}
		err = unix.Fchmod(top, uint32(mode))
		unix.Close(top)
		if err != nil {
			return os.NewSyscallError("fchmod", err)
		}
	}
	return nil
}

// fsMessage is what the kernel logged in an fs context, with a colon behind it.
func fsMessage(fs int) string {
	line := make([]byte, 1024)
	n, err := unix.Read(fs, line)
	if err != nil || n < 3 {
		return ""
	}
	return strings.TrimSpace(string(line[2:n])) + ": "
}
