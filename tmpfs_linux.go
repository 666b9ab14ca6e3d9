package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/copyup"
)

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
