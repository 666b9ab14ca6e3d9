package cgroup

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Pids returns the processes of the cgroup, with recursive also those of the
// cgroups below it. A cgroup that is gone has none.
func (c *Cgroup) Pids(recursive bool) ([]int, error) {
	d := c.members()
	if d == nil {
		return nil, nil
	}
	return d.pids(recursive)
}

func (d *openDir) pids(recursive bool) ([]int, error) {
	file := "cgroup.procs"
	text, err := readAt(d.fd, file)
	if err == unix.EOPNOTSUPP {
		// A threaded cgroup has threads, whose processes are above it.
		file = "cgroup.threads"
		text, err = readAt(d.fd, file)
	}
	if err == unix.ENOENT || err == unix.ENODEV {
		return nil, nil
	}
	if err != nil {
		return nil, pathError("read", d.Path+"/"+file, err)
	}
	var pids []int
	for line := range strings.Lines(text) {
		// Zero stands for a process of another pid namespace: never to be
		// handed on, since kill(0) means the caller's own group.
		if pid, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	if !recursive {
		return pids, nil
	}
	names, err := d.children()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		child := openDir{Dir{d.Hierarchy, d.Path + "/" + name}, -1}
		child.fd, err = openAt(d.fd, name, unix.O_PATH|unix.O_DIRECTORY)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return nil, pathError("openat2", child.Path, err)
		}
		more, err := child.pids(true)
		unix.Close(child.fd)
		if err != nil {
			return nil, err
		}
		pids = append(pids, more...)
	}
	return pids, nil
}

// root tells the root of a hierarchy, where the whole host would be meant. It
// has a file that no other version 1 cgroup has, and lacks one on version 2.
func (d *openDir) root() bool {
	if d.Hierarchy.Unified {
		_, err := readAt(d.fd, "cgroup.type")
		return err == unix.ENOENT && !d.gone()
	}
	_, err := readAt(d.fd, "release_agent")
	return err == nil
}

// gone tells a directory that was removed while we held it open.
func (d *openDir) gone() bool {
	_, err := readAt(d.fd, "cgroup.procs")
	return err == unix.ENOENT || err == unix.ENODEV
}

// children returns the names of the cgroups directly below.
func (d *openDir) children() ([]string, error) {
	fd, err := openAt(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.ENOENT || err == unix.ENODEV {
		return nil, nil
	}
	if err != nil {
		return nil, pathError("openat2", d.Path, err)
	}
	// A directory has one link of its parent, one of its own and one of each
	// child: so a look at the count mostly spares the listing of the files.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Nlink == 2 {
		unix.Close(fd)
		return nil, nil
	}
	f := os.NewFile(uintptr(fd), d.Path)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Kill sends SIGKILL to every process of the cgroup and of those below it,
// and thaws what is frozen, so that the signal takes effect. It does not wait
// for their deaths; [Cgroup.Remove] does. A cgroup that is gone is no error.
//
// The version 2 cgroup.kill (kernel 5.14) leaves no process out, however fast
// they fork. Where that hierarchy is missing they are frozen first.
func (c *Cgroup) Kill() error {
	d := c.members()
	if d == nil {
		return nil
	}
	if !d.Hierarchy.Unified {
		return c.killFrozen(d)
	}
	err := d.set("cgroup.kill", "1")
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return c.killFrozen(d) // a threaded cgroup
	case err != nil && !d.gone():
		// The file is missing in a root cgroup, which is never ours to kill.
		return err
	}
	f := c.v1("freezer")
	if f == nil {
		return nil
	}
	if err := f.set("freezer.state", "THAWED"); err != nil && !f.gone() {
		return err
	}
	// A process that can write to the version 2 hierarchy alone may have
	// left the cgroup there, and only there.
	killed, err := d.pids(true)
	if err != nil {
		return err
	}
	all, err := f.pids(true)
	if err != nil {
		return err
	}
	for _, pid := range all {
		if !slices.Contains(killed, pid) {
			return c.killFrozen(f)
		}
	}
	return nil
}

// killFrozen kills with signals. Frozen processes neither fork nor exit, so
// the list is complete and no pid changes its owner under our hands. Without a
// freezer, or if it fails, the list is read again until it has no news.
func (c *Cgroup) killFrozen(d *openDir) error {
	if d.root() {
		return &os.PathError{Op: "kill", Path: d.Path, Err: errRootCgroup}
	}
	f := c.v1("freezer")
	frozen := false
	if f != nil {
		frozen = f.freezeV1() == nil
	}
	var known []int
	var err error
	for range 20 {
		var pids []int
		if pids, err = d.pids(true); err != nil {
			break
		}
		news := false
		for _, pid := range pids {
			if !slices.Contains(known, pid) && pid != os.Getpid() {
				news = true
				known = append(known, pid)
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		if frozen || !news {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if f == nil {
		return err
	}
	thaw := f.set("freezer.state", "THAWED")
	if thaw != nil && f.gone() {
		thaw = nil
	}
	return errors.Join(err, thaw)
}
