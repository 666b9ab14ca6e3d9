package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
)

// external is a mount of a container whose files are the host's: CRIU keeps its place and
// its attributes, and restore says again what belongs there. The name in the images is
// the destination as the config has it, as with runc.
type external struct {
	field  string
	at     string // in the container
	name   string
	must   uint64                 // MOUNT_ATTR_* that the config asks for
	mask   bool                   // of a masked path: it need not be there
	rec    bool                   // a tree of the host's
	from   string                 // what belongs there, as the config names it
	source func() int             // descriptor of what belongs there, at a restore; -1: nothing does
	file   func() (string, error) // and the path by which CRIU finds it
}

// externals are those that a config comes to.
func (b *birth) externals() []external {
	var list []external
	for _, m := range b.mounts {
		e := external{field: m.field(), at: m.dest, name: m.dest, must: m.opt.AttrSet | m.opt.RecSet}
		switch {
		case m.opt.Remount:
		case m.opt.Bind:
			e.rec, e.from = m.opt.Rec, m.Source
			e.source = func() int { return m.sourceFd }
			e.file = func() (string, error) { return b.sourcePath(m) }
			list = append(list, e)
		case (m.Type == "cgroup" || m.Type == "cgroup2") && !b.ns.private(unix.CLONE_NEWCGROUP) && b.cgroups != nil:
			for _, d := range b.cgroups.dirs {
				e := e
				if b.cgroups.mode != cgroup.Unified {
					e.at = path.Join(m.dest, path.Base(d.Hierarchy.Dir))
					e.name = e.at
				}
				e.from, e.file = d.Path, func() (string, error) { return d.Path, nil }
				list = append(list, e)
			}
		}
	}
	if b.spec.Linux != nil {
		for i, p := range b.spec.Linux.MaskedPaths {
			list = append(list, external{
				field: fmt.Sprintf("/linux/maskedPaths/%d", i), at: path.Clean("/" + p), name: "/dev/null", mask: true,
				source: func() int { return b.nullFd },
			})
		}
	}
	return list
}

// sourcePath is where the source of a bind mount is in truth, without any links. What is
// there when CRIU mounts it is compared with what was opened; see holdToConfig.
func (b *birth) sourcePath(m *mount) (string, error) {
	if m.inRootfs == "" {
		return truePath(m.Source)
	}
	fd, err := openPathBelow(b.rootfs, m.inRootfs)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// copiesLink says whether a mount is but a symbolic link: its source is one, and it asks for
// that.
func (m *mount) copiesLink() bool {
	_, err := os.Readlink(m.Source)
	return m.opt.CopySymlink && err == nil
}

// mounted is a line of mountinfo (proc_pid_mountinfo(5)).
type mounted struct {
	id, parent int
	at         string
	options    []string
	dev, ino   uint64 // of its root, once it was found
}

// mountsOfProcess reads the mounts that a process sees.
func mountsOfProcess(text string) []mounted {
	var list []mounted
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		id, err1 := strconv.Atoi(fields[0])
		parent, err2 := strconv.Atoi(fields[1])
		if err1 != nil || err2 != nil {
			continue
		}
		list = append(list, mounted{id: id, parent: parent, at: unescape(fields[4]), options: strings.Split(fields[5], ",")})
	}
	return list
}

// attributeWords are what mountinfo says for attributes that protect somebody.
var attributeWords = []struct {
	attribute uint64
	word      string
}{
	{unix.MOUNT_ATTR_RDONLY, "ro"}, {unix.MOUNT_ATTR_NOSUID, "nosuid"}, {unix.MOUNT_ATTR_NODEV, "nodev"},
	{unix.MOUNT_ATTR_NOEXEC, "noexec"}, {unix.MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"},
}

// errMoved is a mount that is not where the config has it.
var errMoved = errors.New("the mount is not there any more, or something else is")

// seenMounts are the mounts of a container as they are now.
type seenMounts struct {
	root int // its root directory
	list []mounted
}

// seeMounts looks at the mounts of a container's first process. The caller is to close root.
func seeMounts(pid int) (*seenMounts, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: fmt.Sprintf("/proc/%d/root", pid), Err: err}
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		unix.Close(root)
		return nil, err
	}
	return &seenMounts{root, mountsOfProcess(string(text))}, nil
}

// find finds the mount that has its root at the path, or nil where the path leads into
// another mount. links says how symbolic links in the path are taken.
func (s *seenMounts) find(at string, links uint64) (*mounted, error) {
	fd, err := unix.Openat2(s.root, at, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: inRoot | links})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: at, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID|unix.STATX_INO, &st); err != nil {
		return nil, &os.PathError{Op: "statx", Path: at, Err: err}
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return nil, nil
	}
	i := slices.IndexFunc(s.list, func(m mounted) bool { return m.id == int(st.Mnt_id) })
	if i < 0 {
		return nil, nil
	}
	s.list[i].dev, s.list[i].ino = unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino
	return &s.list[i], nil
}

// place finds where an external mount really is, and holds it to the config: what is there
// must be at least as protected as that says. A mask may be missing; then it is nil.
func (s *seenMounts) place(e *external) (*mounted, error) {
	links := uint64(unix.RESOLVE_NO_SYMLINKS)
	if e.mask {
		links = 0 // it covers what the path leads to
	}
	m, err := s.find(e.at, links)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%s/destination: %w", e.field, linkError(e.at))
	case e.mask && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", e.field, err)
	case m == nil && e.mask:
		return nil, nil
	case m == nil || !e.mask && m.at != e.at:
		return nil, fmt.Errorf("%s: %s in the container: %w", e.field, e.at, errMoved)
	}
	if c := misleading(m.at); c != "" {
		return nil, fmt.Errorf("%s: it is on %q, which has %s: CRIU would take a part of it for another's", e.field, m.at, c)
	}
	return m, m.has(e.must, e.field)
}

// has makes sure that a mount has the attributes that the config asks for.
func (m *mounted) has(must uint64, field string) error {
	for _, w := range attributeWords {
		if must&w.attribute != 0 && !slices.Contains(m.options, w.word) {
			return fmt.Errorf("%s: what is mounted on %s in the container is not %s, as the config has it", field, m.at, w.word)
		}
	}
	return nil
}

// shows makes sure that what is mounted is what was opened, whatever the path to it has
// become meanwhile.
func (m *mounted) shows(fd int, field string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", field, os.NewSyscallError("fstat", err))
	}
	if m.dev != st.Dev || m.ino != st.Ino {
		return fmt.Errorf("%s: what criu has mounted on %s is not the source that the config names", field, m.at)
	}
	return nil
}

// linkError is a destination with a symbolic link in it. Its mount could be moved to
// whatever the link leads to when it is restored.
func linkError(at string) error {
	return fmt.Errorf("%s leads over a symbolic link, which may lead elsewhere by the time that CRIU follows it: name what it leads to", at)
}

// below lists the mounts in a tree of the host's that are not the config's own.
func (s *seenMounts) below(top *mounted, own []string) []string {
	var found []string
	for _, m := range s.list {
		if m.parent == top.id && m.id != top.id && !slices.Contains(own, m.at) {
			found = append(found, m.at)
		}
	}
	return found
}
