package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/idmap"
	"github.com/oci-mini/oci-mini/internal/resctrl"
)

// host is what a Plan depends on besides the config. Tests make it by hand.
type host struct {
	rights
	euid    int
	egid    int
	lastCap int
	// uids and gids are the maps of the user namespace that the runtime is in, unless it
	// is the initial one.
	uids, gids []idmap.Range
	// rootless: a container goes without a cgroup if it can't have one.
	rootless bool
	// access asks what the runtime may write to.
	access cgroup.Access
	// controllers reads those of a cgroup of version 2.
	controllers func(dir string) []string
	layout      *cgroup.Layout // nil: no cgroups
	// unified finds where cgroup2 is mounted, "" if nowhere, for containers without cgroups.
	unified func() string
	// systemd manages the cgroups, and userSystemd says that it is that of the user.
	systemd, userSystemd bool
	// streamOwner has the owner of each standard stream that may be given to
	// the container's user; the null device is not among them.
	streamOwner map[int]uint32
	// nullStreams are the others.
	nullStreams []nullStream
	// streams are the standard streams in CRIU's words: see streamKey.
	streams []string
	// fileLimit is the caller's RLIMIT_NOFILE.
	fileLimit unix.Rlimit
	// module says whether a Linux security module is active.
	module func(name string) bool
	// resctrl finds the resctrl file system.
	resctrl func() (*resctrl.Root, error)
	// open opens a file of a directory tree without leaving the tree.
	open func(dir, file string) (io.ReadCloser, error)
}

// thisHost looks at the machine.
func thisHost(cgroupManager, rootless string) (*host, error) {
	h := &host{
		euid: os.Geteuid(), egid: os.Getegid(), access: cgroup.Writable, controllers: cgroup.AvailableIn, unified: unifiedMount,
		open: openBelow, module: activeModule, resctrl: resctrl.Find, streamOwner: map[int]uint32{},
	}
	var err error
	if h.rights, err = ownRights(); err != nil {
		return nil, err
	}
	if !h.initial {
		if h.uids, err = idmap.Users.Of("self"); err != nil {
			return nil, err
		}
		if h.gids, err = idmap.Groups.Of("self"); err != nil {
			return nil, err
		}
	}
	if h.rootless, err = rootlessMode(rootless, h.rights, h.euid); err != nil {
		return nil, err
	}
	if h.lastCap, err = capability.Last(); err != nil {
		return nil, err
	}
	if cgroupManager != "disabled" {
		if h.layout, err = cgroup.Detect(); err != nil {
			return nil, err
		}
		if h.rootless {
			h.layout.Delegated(h.access)
		}
	}
	if cgroupManager == bySystemd {
		h.systemd, h.userSystemd = true, usersManager(h.euid)
	}
	if h.fileLimit, err = callersFileLimit(); err != nil {
		return nil, err
	}
	for fd := range 3 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			h.streams = append(h.streams, "")
			continue
		}
		h.streams = append(h.streams, streamKey(fd, &st))
		if !isNull(&st) {
			h.streamOwner[fd] = st.Uid
		} else if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil && flags&unix.O_PATH == 0 {
			h.nullStreams = append(h.nullStreams, nullStream{fd, flags & unix.O_ACCMODE, st.Uid})
		}
	}
	return h, nil
}

// callersFileLimit is RLIMIT_NOFILE as the caller had it. The Go runtime raises the
// soft limit for itself when it starts, and gives the old one back only on its
// own ways to another program (syscall/rlimit.go). An execve that must fail is
// one of them.
func callersFileLimit() (limit unix.Rlimit, err error) {
	var raised unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &raised); err != nil {
		return limit, os.NewSyscallError("prlimit64", err)
	}
	_ = syscall.Exec("", nil, nil)
	// Read it, and raise it again: the runtime may need many descriptors.
	err = unix.Prlimit(0, unix.RLIMIT_NOFILE, &raised, &limit)
	return limit, os.NewSyscallError("prlimit64", err)
}

// openPathBelow finds a file of a directory tree without leaving the tree (O_PATH).
func openPathBelow(dir, file string) (int, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, file, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot})
	if err != nil {
		return -1, &os.PathError{Op: "openat2", Path: dir + "/" + file, Err: err}
	}
	return fd, nil
}

// openBelow opens a file below a directory, which stands for the root.
func openBelow(dir, file string) (io.ReadCloser, error) {
	fd, err := openPathBelow(dir, file)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// An image may have anything under that name: opening a device does things to
	// the host, and a fifo waits.
	if kept, err := keeps(fd); err != nil || !kept {
		return nil, &os.PathError{Op: "open", Path: dir + "/" + file, Err: cmp.Or(err, error(unix.EINVAL))}
	}
	// Somebody with a lease on a file would be waited for otherwise (fcntl(2), F_SETLEASE).
	name := dir + "/" + file
	reading, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	// Package os would start Go's poller for a file that it finds in this mode: ten system
	// calls and three descriptors. A regular file knows no other.
	_ = unix.SetNonblock(reading, false)
	return os.NewFile(uintptr(reading), name), nil
}

// keeps says whether an open file is a regular one that keeps what was written to it. What the kernel
// makes up while it is read looks like one: but it has no size, as in a procfs, or is in a sysfs, which
// pretends one. To read it may wait for ever, and take from the host what is there to be read
// once (/proc/kmsg), or ask its hardware.
func keeps(fd int) (bool, error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > 0 && fs.Type != unix.SYSFS_MAGIC, nil
}

// home is the home directory that the container's passwd has for a user, "/" if
// it has none. The file may come from the rootfs or from a bind mount over it.
func (h *host) home(b *birth, uid uint32) string {
	dir, file := b.rootfs, "/etc/passwd"
	mounts := b.mounts
	if b.opt.pid != 0 {
		if b.opt.openRoot == nil {
			return "/"
		}
		// Not by the root directory that the first process has now, which anybody may change to
		// one of their own in a user namespace.
		root, err := b.opt.openRoot()
		if err != nil {
			return "/"
		}
		defer unix.Close(root)
		dir, mounts = fmt.Sprintf("/proc/self/fd/%d", root), nil
	}
	for _, m := range mounts {
		rest, below := strings.CutPrefix("/etc/passwd", strings.TrimSuffix(m.dest, "/"))
		switch {
		case !below || rest != "" && rest[0] != '/':
		case m.opt.Bind && rest == "":
			dir, file = "/", m.Source
		case m.opt.Bind:
			dir, file = m.Source, rest
		default:
			return "/" // a file system that is still empty, or unknown
		}
	}
	f, err := h.open(dir, file)
	if err != nil {
		return "/"
	}
	defer f.Close()
	// A megabyte is more than any passwd needs; a larger one is an attack.
	found, err := user.ParsePasswdFilter(io.LimitReader(f, 1<<20), func(u user.User) bool { return u.Uid == int(uid) })
	if err != nil || len(found) == 0 || found[0].Home == "" {
		return "/"
	}
	return found[0].Home
}
