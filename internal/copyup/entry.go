package copyup

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// entry copies one name of a directory.
func (c *copier) entry(l *level, name string) error {
	fd, err := unix.Openat2(l.src, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: resolve})
	switch {
	case err == unix.ENOENT:
		return nil
	case err == unix.EXDEV:
		return c.mountPoint(l, name)
	case err != nil:
		return c.fault("openat2", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return c.fault("fstat", name, err)
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR {
		return c.directory(l, name, fd)
	}
	if kind == unix.S_IFSOCK {
		return nil
	}
	if st.Nlink > 1 {
		if done, err := c.link(l, name, &st); done || err != nil {
			return err
		}
	}
	if kind == unix.S_IFREG {
		return c.file(l, name, fd)
	}
	return c.special(l, name, fd, &st)
}

// directory makes a directory; its entries come with the next steps.
func (c *copier) directory(l *level, name string, fd int) error {
	switch err := unix.Mkdirat(l.dst, name, 0o700); {
	case err == unix.EEXIST:
		return nil
	case err != nil:
		return c.fault("mkdirat", name, err)
	}
	return c.push(fd, l.dst, ".", name)
}

// mountPoint puts an empty entry where something is mounted. Its attributes are
// those that are known without asking the file system, which may be a slow one.
func (c *copier) mountPoint(l *level, name string) error {
	var sx unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	switch err := unix.Statx(l.src, name, flags, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_UID|unix.STATX_GID, &sx); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return c.fault("statx", name, err)
	case sx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && sx.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0:
		return nil // it vanished, and the name is another's now
	}
	var err error
	switch sx.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		err = unix.Mkdirat(l.dst, name, 0o700)
	case unix.S_IFREG:
		err = unix.Mknodat(l.dst, name, unix.S_IFREG|0o600, 0)
	default:
		return nil
	}
	switch {
	case err == unix.EEXIST:
		return nil
	case err != nil:
		return c.fault("make a mount point's copy", name, err)
	}
	if err := unix.Fchownat(l.dst, name, int(sx.Uid), int(sx.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return c.fault("fchownat", name, err)
	}
	if err := unix.Fchmodat(l.dst, name, uint32(sx.Mode)&0o7777, 0); err != nil {
		return c.fault("fchmodat", name, err)
	}
	return nil
}

// special copies what has no content: symbolic links, pipes and devices.
func (c *copier) special(l *level, name string, fd int, st *unix.Stat_t) error {
	var err error
	op, object := "mknodat", name
	symlink := st.Mode&unix.S_IFMT == unix.S_IFLNK
	if symlink {
		var target [unix.PathMax]byte
		n, rerr := unix.Readlinkat(fd, "", target[:])
		if rerr != nil {
			return c.fault("readlinkat", name, rerr)
		}
		op, err = "symlinkat", unix.Symlinkat(string(target[:n]), l.dst, name)
	} else {
		err = unix.Mknodat(l.dst, name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
	}
	switch {
	case err == unix.EEXIST:
		return nil
	case err != nil && st.Rdev != 0:
		return c.fault(op, object, fmt.Errorf("%s: %w", device(st), err))
	case err != nil:
		return c.fault(op, object, err)
	}
	if err := unix.Fchownat(l.dst, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return c.fault("fchownat", name, err)
	}
	copied, err := unix.Openat(l.dst, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return c.fault("openat of the copy", name, err)
	}
	defer unix.Close(copied)
	if err := c.copyXattrs(byPath(fd), byPath(copied), name); err != nil {
		return err
	}
	if err := c.times(l.dst, name, st); err != nil {
		return err
	}
	if !symlink {
		if err := unix.Fchmodat(l.dst, name, st.Mode&0o7777, 0); err != nil {
			return c.fault("fchmodat", name, err)
		}
	}
	return nil
}

// file copies a regular file. Its O_PATH descriptor becomes a readable one through
// its magic link, which is the file itself, not its name.
func (c *copier) file(l *level, name string, path int) error {
	src, err := unix.Openat(c.proc, strconv.Itoa(path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return c.fault("openat", name, err)
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return c.fault("fstat", name, err)
	}
	dst, err := unix.Openat(l.dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	switch {
	case err == unix.EEXIST:
		return nil
	case err != nil:
		return c.fault("openat of the copy", name, err)
	}
	defer unix.Close(dst)
	if op, err := c.content(src, dst, &st); err != nil {
		return c.fault(op, name, err)
	}
	// A change of owner takes the set-id bits and the file capabilities away, and
	// attributes of a read-only file cannot be set by everybody: hence this order.
	if err := unix.Fchown(dst, int(st.Uid), int(st.Gid)); err != nil {
		return c.fault("fchown", name, err)
	}
	if err := c.copyXattrs(byFd(src), byFd(dst), name); err != nil {
		return err
	}
	if err := c.times(l.dst, name, &st); err != nil {
		return err
	}
	if err := unix.Fchmod(dst, st.Mode&0o7777); err != nil {
		return c.fault("fchmod", name, err)
	}
	return nil
}

// inode names a file of the source. On overlayfs, its files can be of several devices.
type inode struct{ dev, ino uint64 }

// link is the first copy of a file with several names.
type link struct {
	path []string // below dst
	left uint64   // names not met yet
}

// link makes a hard link to the copy of the file, if there is one. Otherwise it
// notes that there will be one under this name.
func (c *copier) link(l *level, name string, st *unix.Stat_t) (done bool, err error) {
	id := inode{uint64(st.Dev), st.Ino}
	first := c.links[id]
	if first == nil {
		path := make([]string, 0, len(c.stack))
		for _, up := range c.stack[1:] {
			path = append(path, up.name)
		}
		if c.links == nil {
			c.links = make(map[inode]*link)
		}
		c.links[id] = &link{append(path, name), uint64(st.Nlink) - 1}
		return false, nil
	}
	if first.left--; first.left == 0 {
		delete(c.links, id)
	}
	dir, last := c.stack[0].dst, len(first.path)-1
	for _, part := range first.path[:last] {
		next, err := unix.Openat(dir, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if dir != c.stack[0].dst {
			_ = unix.Close(dir)
		}
		if err != nil {
			return false, c.fault("openat of its other name's directory", name, err)
		}
		dir = next
	}
	err = unix.Linkat(dir, first.path[last], l.dst, name, 0)
	if dir != c.stack[0].dst {
		_ = unix.Close(dir)
	}
	switch err {
	case nil, unix.EEXIST:
		return true, nil
	case unix.EMLINK, unix.ENOENT: // the first copy was not made: it vanished
		return false, nil
	}
	return false, c.fault("linkat", name, err)
}
