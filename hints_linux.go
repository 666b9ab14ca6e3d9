package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/spec"
)

// mountHint is advice for a mount that failed, or "".
func mountHint(nr uintptr, errno unix.Errno, text string) string {
	switch {
	case nr == unix.SYS_OPENAT2 && errno == unix.ELOOP && ordinary(text):
		return "a procfs or sysfs must be mounted on an ordinary directory, not on a symbolic link"
	case nr == unix.SYS_OPENAT2 && errno == unix.ELOOP:
		return "a symbolic link on the way leads to itself, or is one of /proc's own, which are not followed"
	case nr == unix.SYS_OPENAT2 && errno == unix.EACCES:
		return "the container's root may not enter a directory on the way; in a user namespace it is another user outside, who has to own the directory or needs x for others"
	case strings.Contains(text, "Bad value for 'size'"):
		return "sizes take k, m or g: size=65536k"
	case strings.Contains(text, "Bad value for 'mode'"):
		return "modes are octal: mode=1777"
	case strings.Contains(text, "Unknown parameter"):
		return "an option that is no mount flag goes to the file system, which does not know this one; oci-mini features lists the flags"
	case strings.Contains(text, "fsopen none") || strings.Contains(text, "fsopen bind"):
		return "a bind mount has bind or rbind among its options"
	case nr == unix.SYS_FSPICK && errno == unix.EINVAL:
		return "remount changes a mount, and nothing is mounted there"
	case errno == unix.ENOTBLK:
		return "the source must be a block device: losetup makes one of a file"
	case errno == unix.EROFS && (strings.Contains(text, "mkdirat") || strings.Contains(text, "openat")):
		return "the mount point is missing, and cannot be made on a file system that is read-only: make it in the root file system, or use --overlay"
	}
	return ""
}

// ordinary says whether a mount is one whose place may be no link ([mount.resolve]).
func ordinary(text string) bool {
	for _, part := range [...]string{"(proc on ", "(sysfs on ", " on /proc)", " on /sys)"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// resourceHint is advice for a limit that the kernel or the host did not take, or "".
func resourceHint(errno unix.Errno, text string) string {
	_, field, found := strings.Cut(text, "/linux/resources/")
	if !found { // those of update begin below
		if _, field, found = strings.Cut(text, ": /"); !found {
			return ""
		}
	}
	below := func(names ...string) bool {
		for _, name := range names {
			if strings.HasPrefix(field, name) {
				return true
			}
		}
		return false
	}
	switch {
	case below("cpu/cpus") && (errno == unix.ERANGE || errno == unix.EINVAL || errno == unix.EACCES):
		return "/sys/devices/system/cpu/online has this machine's CPUs, cpuset.cpus of the cgroup above those that it may use"
	case below("cpu/mems") && (errno == unix.ERANGE || errno == unix.EINVAL || errno == unix.EACCES):
		return "/sys/devices/system/node/online has this machine's memory nodes, cpuset.mems of the cgroup above those that it may use"
	case below("cpu/quota", "cpu/period") && errno == unix.EINVAL:
		return "the kernel takes quotas from 1000 us up and periods from 1000 to 1000000 us; in cgroups of version 1, no more than the cgroup above has"
	case below("hugepageLimits") && errno == unix.ENOENT:
		return "/sys/kernel/mm/hugepages has the page sizes of this machine"
	case below("blockIO") && errno == unix.ENODEV:
		return "no block device has this number: lsblk lists those that there are"
	case strings.HasSuffix(text, "is not available"):
		return "/proc/cgroups lists the controllers that the kernel has; one of version 1 must be mounted, one of version 2 be in cgroup.controllers of the cgroup above"
	}
	return ""
}

// hookHint is advice for a hook that could not be executed, or "".
func hookHint(field string, errno unix.Errno) string {
	switch {
	case errno == unix.ENOENT && strings.HasPrefix(field, "/hooks/startContainer/"):
		return "hooks of this kind are looked for inside the container; the file or its interpreter is missing there"
	case errno == unix.EACCES:
		return "a hook is a file that may be executed, not a directory, and its file system is not mounted noexec"
	}
	return ""
}

// loadHint is advice for a config that could not be read, or "". The bundle is that of the
// directory dir; named says that an argument or --bundle named it.
func loadHint(err error, dir, id string, named bool) string {
	var syntax *spec.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Line == 1 && syntax.Column <= 2:
		return "a config is a JSON object, { ... }: without comments, without a byte order mark, and no YAML"
	case errors.Is(err, unix.EFBIG):
		return "a config has at most 64 MiB"
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOTDIR):
		return "a bundle is a directory with a file config.json in it"
	case !errors.Is(err, fs.ErrNotExist):
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, id, spec.ConfigName)); err == nil && !named {
		return "a word without a slash is an id, for the bundle in the current directory; the bundle " + id + " is " + id + "/"
	}
	return "a bundle is a directory with a config.json; oci-mini spec --bundle DIR writes one to start from"
}

// unreadHint names what a config has that nothing reads, where something else is missing or
// wrong, or is "".
func unreadHint(raw []byte) string { return unreadHintOf(spec.Unread(raw)) }

func unreadHintOf(faults spec.Faults) string {
	if len(faults) == 0 {
		return ""
	}
	if len(faults) > 3 {
		return faults[0].String() + "; and so are others: see oci-mini explain"
	}
	return strings.ReplaceAll(faults.Error(), "\n", "; ")
}
