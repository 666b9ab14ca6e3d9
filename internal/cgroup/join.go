package cgroup

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Join moves a process with all its threads into the cgroup, in every
// hierarchy. On an idle host the first write costs a grace period of RCU,
// several milliseconds: the kernel stops every fork and exit for a moment. Use
// CLONE_INTO_CGROUP with [Cgroup.UnifiedFd], and [Cgroup.EnterThread], where
// the process is yet to be born.
func (c *Cgroup) Join(pid int) error {
	for i := range c.dirs {
		if err := c.dirs[i].join(strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func (d *openDir) join(pid string) error {
	wait := time.Millisecond
	for {
		err := writeAt(d.fd, "cgroup.procs", pid)
		switch {
		case err == nil:
			return nil
		case err == unix.EINVAL && wait < 100*time.Millisecond:
			// The task may be so young (TASK_NEW) that the cpu controller
			// refuses to move it; it soon is not.
			time.Sleep(wait)
			wait *= 2
		default:
			return &WriteError{Write{Unified: d.Hierarchy.Unified, File: "cgroup.procs", Value: pid},
				d.Path + "/cgroup.procs", err}
		}
	}
}

// EnterThread moves the calling thread, and it alone, into the cgroup in every
// version 1 hierarchy, so that a child forked by it is born there. The caller
// has locked the goroutine to its thread. For the version 2 hierarchy of a
// hybrid host give [Cgroup.UnifiedFd] to clone3 as well: threads cannot leave
// their process there.
//
// It exists because it is quick. Writing "0" to tasks moves current, which
// cannot exec or exit meanwhile, so the kernel skips the lock over all forks
// of the host and the grace period that the lock waits for (kernel commit
// 9a3284fad42f, 5.5). Naming any pid, even the thread's own, pays for it.
//
// Until restore is called the thread counts as a process of the cgroup and is
// killed and frozen with it; what it forks is charged there. So a pids limit is
// to be written later ([Write].AfterJoin), and restore called at once. When
// restore fails the thread must not be used again: end the goroutine without
// unlocking.
func (c *Cgroup) EnterThread() (restore func() error, err error) {
	var self string
	var back []thread
	restore = func() error {
		var first error
		for _, t := range back {
			if _, err := unix.Write(t.fd, []byte("0")); err != nil && first == nil {
				first = pathError("write", t.path, err)
			}
			unix.Close(t.fd)
		}
		back = nil
		return first
	}
	for i := range c.dirs {
		d := &c.dirs[i]
		if d.Hierarchy.Unified {
			continue
		}
		// The way back is opened before the way in is taken: to return must
		// not fail for want of a permission or a descriptor.
		own := d.Hierarchy.Own
		if own == "" {
			// From OpenExisting, which knows paths alone.
			if self == "" {
				if self, err = readFile("/proc/thread-self/cgroup"); err != nil {
					return nil, errors.Join(err, restore())
				}
			}
			own = ownIn(self, &d.Hierarchy)
		}
		home := d.Hierarchy.Dir + own + "/tasks"
		fd, err := unix.Open(home, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			// The own cgroup is out of sight, as Hierarchy.Own tells.
			home = d.Hierarchy.Dir + "/tasks"
			fd, err = unix.Open(home, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			return nil, errors.Join(pathError("open", home, err), restore())
		}
		if err := writeAt(d.fd, "tasks", "0"); err != nil {
			unix.Close(fd)
			return nil, errors.Join(&WriteError{Write{File: "tasks", Value: "0"}, d.Path + "/tasks", err}, restore())
		}
		back = append(back, thread{home, fd})
	}
	return restore, nil
}

// ownIn returns the path that /proc/self/cgroup tells for one version 1
// hierarchy.
func ownIn(self string, h *Hierarchy) string {
	for line := range strings.Lines(self) {
		_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		list, own, _ := strings.Cut(line, ":")
		if name, ok := strings.CutPrefix(list, "name="); ok {
			if name == h.Name {
				return own
			}
			continue
		}
		for controller := range strings.SplitSeq(list, ",") {
			if h.has(controller) {
				return own
			}
		}
	}
	return "/"
}

// thread is an open tasks file of the cgroup that a thread came from.
type thread struct {
	path string
	fd   int
}
