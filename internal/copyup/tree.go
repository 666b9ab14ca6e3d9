// Package copyup fills a new file system with a copy of the directory that it is
// going to hide (mount option tmpcopyup).
//
// The source may belong to somebody who changes it meanwhile, to make the copy
// contain what lies elsewhere. So nothing is ever resolved but one component below
// an open directory, with openat2(2), RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV; and
// what a name leads to is first opened with O_PATH, looked at, and then used through
// that descriptor. A swap can change which of two entries of the source is copied,
// and nothing more. No device or pipe is ever opened.
//
// The target has to be out of everybody's reach: a mount that is not attached yet.
package copyup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the descriptors that are open at a time, two for each level.
const maxDepth = 512

// Tree copies what is below the directory src into the directory dst, which should
// be empty; both may be O_PATH descriptors. The copies have the owner, mode, times,
// extended attributes and holes of their originals; so has dst itself at the end.
// Files with several names below src have them below dst.
//
// What is mounted below src is not copied: an empty directory or file with the
// owner and mode of the mount's root stands in its place. Sockets are left out, and
// so is what vanishes while the copy is made. A name of dst that exists already
// stays as it is. The copy of a file is not longer than the file was when it was
// opened.
//
// Attributes user.* that dst's file system does not take are left out (tmpfs takes
// them since Linux 6.6), and a security.selinux that the mount imposes; any other
// that cannot be set is an error.
//
// The caller needs the rights to give files their owners. An error is a
// *os.PathError with the path below src and the system call. A tree of more than 512
// levels is one, with ELOOP. What was copied before an error stays in dst.
//
// /proc must be mounted (Linux 5.6, openat2(2)).
func Tree(src, dst int) error {
	c := &copier{proc: -1, dirents: make([]byte, 8<<10)}
	defer c.close()
	if err := c.openProc(); err != nil {
		return err
	}
	if err := c.push(src, dst, ".", "."); err != nil {
		return err
	}
	for len(c.stack) > 0 {
		if err := c.step(); err != nil {
			return err
		}
	}
	return nil
}

// copier is a copy being made. Its memory grows with the depth of the tree, and
// with the files whose other names have not been met yet; each of those occupies
// an inode of dst as well.
type copier struct {
	stack   []level
	proc    int // /proc/self/fd
	links   map[inode]*link
	dirents []byte
	xattrs  xattrBuffers
	noRange bool // copy_file_range does not work between the two file systems
}

// level is a directory in the middle of being copied.
type level struct {
	name     string
	src, dst int
	stat     unix.Stat_t
	names    []string // read and not yet copied
}

// resolve keeps a step of one component below the directory where it starts. The
// kernel lists no name with a slash (fs/readdir.c, verify_dirent_name), and `..` is
// passed over. RESOLVE_BENEATH would add nothing but a second meaning of EXDEV: that
// what was found had been moved out of the directory a moment later.
const resolve = unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV

// openProc opens the directory through which O_PATH descriptors become readable.
func (c *copier) openProc() (err error) {
	const path = "/proc/self/fd"
	c.proc, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(c.proc, &fs); err != nil {
		return &os.PathError{Op: "fstatfs", Path: path, Err: err}
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return &os.PathError{Op: "open", Path: path, Err: errors.New("it is not a proc file system")}
	}
	return nil
}

func (c *copier) close() {
	for len(c.stack) > 0 {
		c.pop()
	}
	if c.proc >= 0 {
		_ = unix.Close(c.proc)
	}
}

// push opens the directory srcName below src for reading, dstName below dst for
// writing, and goes on with them. The names are single components.
func (c *copier) push(src, dst int, srcName, dstName string) error {
	l := level{name: dstName, src: -1, dst: -1}
	if len(c.stack) >= maxDepth {
		return c.fault("copy a directory below 512 others", dstName, unix.ELOOP)
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var err error
	if l.src, err = unix.Openat(src, srcName, flags, 0); err != nil {
		return c.fault("openat", dstName, err)
	}
	if err = unix.Fstat(l.src, &l.stat); err != nil {
		err = c.fault("fstat", dstName, err)
	} else if l.dst, err = unix.Openat(dst, dstName, flags, 0); err != nil {
		err = c.fault("openat of the copy", dstName, err)
	}
	c.stack = append(c.stack, l) // close must find the descriptors
	return err
}

// pop leaves a directory.
func (c *copier) pop() {
	l := &c.stack[len(c.stack)-1]
	_ = unix.Close(l.src)
	if l.dst >= 0 {
		_ = unix.Close(l.dst)
	}
	c.stack = c.stack[:len(c.stack)-1]
}

// step copies the next entry of the innermost directory, or leaves it.
func (c *copier) step() error {
	l := &c.stack[len(c.stack)-1]
	if len(l.names) > 0 {
		name := l.names[0]
		l.names = l.names[1:]
		return c.entry(l, name)
	}
	n, err := unix.ReadDirent(l.src, c.dirents)
	switch {
	case err == unix.EINTR:
		return nil
	case err == unix.ENOENT: // removed meanwhile
		n = 0
	case err != nil:
		return c.fault("getdents64", "", err)
	}
	if n > 0 {
		_, _, l.names = unix.ParseDirent(c.dirents[:n], -1, nil)
		return nil
	}
	if err := c.finish(l); err != nil {
		return err
	}
	c.pop()
	return nil
}

// finish makes a directory what it was. It comes last, because only now nobody
// writes to it any more: a directory can be read-only, the entries of one with a
// default ACL inherit it, and its times are those of its last change.
func (c *copier) finish(l *level) error {
	if err := unix.Fchown(l.dst, int(l.stat.Uid), int(l.stat.Gid)); err != nil {
		return c.fault("fchown", "", err)
	}
	if err := c.copyXattrs(byFd(l.src), byFd(l.dst), ""); err != nil {
		return err
	}
	if err := c.times(l.dst, ".", &l.stat); err != nil {
		return err
	}
	if err := unix.Fchmod(l.dst, l.stat.Mode&0o7777); err != nil {
		return c.fault("fchmod", "", err)
	}
	return nil
}

// times gives a copy the times of its original.
func (c *copier) times(dir int, name string, st *unix.Stat_t) error {
	ts := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(dir, name, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return c.fault("utimensat", name, err)
	}
	return nil
}

// fault is an error about an entry of the innermost directory, or about that itself
// if the name is empty.
func (c *copier) fault(op, name string, err error) error {
	const longest = 400
	var parts []string
	for _, l := range c.stack[min(len(c.stack), 1):] {
		parts = append(parts, l.name)
	}
	if name != "" && name != "." {
		parts = append(parts, name)
	}
	path := strings.Join(parts, "/")
	if path == "" {
		path = "."
	}
	if len(path) > longest {
		path = "..." + path[len(path)-longest:]
	}
	if quoted := strconv.Quote(path); quoted[1:len(quoted)-1] != path {
		path = quoted // names may hold what would not show
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

// device names a device as people do.
func device(st *unix.Stat_t) string {
	kind := "block"
	if st.Mode&unix.S_IFMT == unix.S_IFCHR {
		kind = "character"
	}
	return fmt.Sprintf("%s device %d:%d", kind, unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
}
