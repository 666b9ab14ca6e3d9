package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// onRootfs lists the mounts that lie on the rootfs itself, and not on another mount.
func (b *birth) onRootfs() []*mount {
	var list []*mount
	for i, m := range b.mounts {
		if b.under(i) == nil && !m.opt.Remount {
			list = append(list, m)
		}
	}
	return list
}

// under is the mount that the destination of another lies in, nil for the rootfs.
func (b *birth) under(i int) *mount {
	var found *mount
	for _, m := range b.mounts[:i] {
		if m.opt.Remount || m.dest == b.mounts[i].dest || !within(b.mounts[i].dest, m.dest) {
			continue
		}
		if found == nil || len(m.dest) >= len(found.dest) {
			found = m
		}
	}
	return found
}

// noLinks refuses destinations with a symbolic link of the rootfs in them.
func (b *birth) noLinks() error {
	root, err := unix.Open(b.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/root/path: %w", &os.PathError{Op: "open", Path: b.rootfs, Err: err})
	}
	defer unix.Close(root)
	for _, m := range b.onRootfs() {
		fd, err := unix.Openat2(root, m.dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot | unix.RESOLVE_NO_SYMLINKS})
		if err == nil {
			unix.Close(fd)
		}
		if err == unix.ELOOP {
			return fmt.Errorf("%s/destination: %w", m.field(), linkError(m.dest))
		}
	}
	return nil
}

// makePoints makes the mount points of the config that are missing in the rootfs, or in the
// source of a bind mount; CRIU itself restores those in a tmpfs.
func (b *birth) makePoints() error {
	for i, m := range b.mounts {
		if m.opt.Remount || m.opt.Bind && m.copiesLink() {
			continue
		}
		root, at := b.rootfsFd, m.dest
		if u := b.under(i); u != nil {
			if !u.opt.Bind || u.sourceFd < 0 {
				continue
			}
			root, at = u.sourceFd, strings.TrimPrefix(m.dest, strings.TrimSuffix(u.dest, "/"))
		}
		if err := makePoint(root, at, !m.opt.Bind || m.isDir); err != nil {
			return fmt.Errorf("%s/destination: %w", m.field(), err)
		}
	}
	return nil
}

// makePoint makes a directory, or an empty file, below a directory unless it is there. It
// follows no symbolic link.
func makePoint(root int, at string, directory bool) error {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(root, at, how)
	switch err {
	case nil:
		return unix.Close(fd)
	case unix.ELOOP:
		return linkError(at)
	case unix.ENOENT:
	default:
		return &os.PathError{Op: "openat2", Path: at, Err: err}
	}
	dir, err := unix.Openat2(root, "/", how)
	if err != nil {
		return &os.PathError{Op: "openat2", Path: "/", Err: err}
	}
	defer func() { unix.Close(dir) }()
	parts := splitPath(at)
	for i, name := range parts {
		made := "/" + path.Join(parts[:i+1]...)
		if i == len(parts)-1 && !directory {
			f, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
			if err != nil {
				return &os.PathError{Op: "create", Path: made, Err: err}
			}
			return unix.Close(f)
		}
		if err := unix.Mkdirat(dir, name, 0o755); err != nil && err != unix.EEXIST {
			return &os.PathError{Op: "mkdirat", Path: made, Err: err}
		}
		next, err := unix.Openat2(dir, name, how)
		if err != nil {
			return &os.PathError{Op: "openat2", Path: made, Err: err}
		}
		unix.Close(dir)
		dir = next
	}
	return nil
}
