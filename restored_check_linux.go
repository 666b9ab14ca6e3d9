package main

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
)

// holdToConfig looks at what CRIU has mounted before any process of the container runs.
func (b *birth) holdToConfig() error {
	seen, err := seeMounts(b.child.Pid)
	if err != nil {
		return err
	}
	defer unix.Close(seen.root)
	root := mounted{at: "/"}
	var st unix.Stat_t
	if err := unix.Fstat(seen.root, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	root.dev, root.ino = st.Dev, st.Ino
	if err := root.shows(b.rootfsFd, "/root/path"); err != nil {
		return err
	}
	for _, e := range b.externals() {
		if e.mask || e.source != nil && e.source() < 0 {
			continue
		}
		m, err := seen.place(&e)
		if err == nil && e.source != nil {
			err = m.shows(e.source(), e.field)
		}
		if err != nil {
			return err
		}
	}
	return b.protected(seen)
}

// protected makes sure that what protects the host from a container is in its mounts: nothing
// that the config has read-only may have become writable, no file system may be without the
// attributes that the config has, and no masked or read-only path be bare. The bind mounts
// are externals, which [seenMounts.place] looks at.
func (b *birth) protected(seen *seenMounts) error {
	if b.spec.Root.Readonly {
		switch m, err := seen.find("/", 0); {
		case err != nil:
			return fmt.Errorf("/root/readonly: %w", err)
		case m == nil:
			return errors.New("/root/readonly: the container's root is no mount")
		default:
			if err := m.has(unix.MOUNT_ATTR_RDONLY, "/root/readonly"); err != nil {
				return err
			}
		}
	}
	for i, m := range b.mounts {
		must := b.attributes(i)
		if m.opt.Remount || m.opt.Bind || must == 0 || b.hidden(i) {
			continue
		}
		if (m.Type == "cgroup" || m.Type == "cgroup2") && b.cgroups != nil && b.cgroups.mode != cgroup.Unified {
			continue // a directory of mounts, and not one
		}
		seenAt, err := seen.find(m.dest, unix.RESOLVE_NO_SYMLINKS)
		switch {
		case errors.Is(err, unix.ELOOP):
			return fmt.Errorf("%s/destination: %w", m.field(), linkError(m.dest))
		case err != nil:
			return fmt.Errorf("%s: %w", m.field(), err)
		case seenAt == nil:
			return fmt.Errorf("%s: %s in the container: %w", m.field(), m.dest, errMoved)
		}
		if err := seenAt.has(must, m.field()); err != nil {
			return err
		}
	}
	if b.spec.Linux == nil {
		return nil
	}
	for i, p := range b.spec.Linux.MaskedPaths {
		if err := seen.covered(p, fmt.Sprintf("/linux/maskedPaths/%d", i), seen.masks); err != nil {
			return err
		}
	}
	for i, p := range b.spec.Linux.ReadonlyPaths {
		if err := seen.covered(p, fmt.Sprintf("/linux/readonlyPaths/%d", i), nil); err != nil {
			return err
		}
	}
	return nil
}

// attributes are what a mount has to be in the end, MOUNT_ATTR_*: remounts may have changed
// it.
func (b *birth) attributes(i int) uint64 {
	m := b.mounts[i]
	must := m.opt.AttrSet | m.opt.RecSet
	if m.late {
		must |= unix.MOUNT_ATTR_RDONLY
	}
	for _, o := range b.mounts[i+1:] {
		if o.opt.Remount && o.dest == m.dest {
			must = must&^(o.opt.AttrClear|o.opt.RecClear) | o.opt.AttrSet | o.opt.RecSet
		}
	}
	return must
}

// hidden says whether a mount lies behind a later one, or behind a masked path.
func (b *birth) hidden(i int) bool {
	dest := b.mounts[i].dest
	for _, o := range b.mounts[i+1:] {
		if !o.opt.Remount && within(dest, o.dest) {
			return true
		}
	}
	if b.spec.Linux != nil {
		for _, p := range b.spec.Linux.MaskedPaths {
			if within(dest, path.Clean("/"+p)) {
				return true
			}
		}
	}
	return false
}

// covered makes sure that a path is missing, or covered by a read-only mount that also is
// what is asked for.
func (s *seenMounts) covered(p, field string, is func(at string) (bool, error)) error {
	at := path.Clean("/" + p)
	m, err := s.find(at, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", field, err)
	case m == nil:
		return fmt.Errorf("%s: %s is not covered in the container, as the config has it", field, p)
	}
	if is != nil {
		masked, err := is(at)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if !masked {
			return fmt.Errorf("%s: %s is not masked in the container: what is mounted there is neither the null device nor an empty file system", field, p)
		}
	}
	return m.has(unix.MOUNT_ATTR_RDONLY, field)
}

// masks says whether a path of the container leads to the null device, or to a directory of a
// tmpfs without anything in it.
func (s *seenMounts) masks(at string) (bool, error) {
	if s.isNull(at) {
		return true, nil
	}
	fd, err := unix.Openat2(s.root, at, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: inRoot})
	if err == unix.ENOTDIR {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "openat2", Path: at, Err: err}
	}
	f := os.NewFile(uintptr(fd), at)
	defer f.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, &os.PathError{Op: "fstatfs", Path: at, Err: err}
	}
	names, err := f.Readdirnames(-1)
	return err == nil && fs.Type == unix.TMPFS_MAGIC && len(names) == 0, err
}
