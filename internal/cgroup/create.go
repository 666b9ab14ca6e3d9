package cgroup

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotEmpty means that the cgroup already has processes.
	ErrNotEmpty = errors.New("cgroup is not empty")
	// ErrFrozen means that the cgroup or one above it is frozen: whoever
	// joins stops at once.
	ErrFrozen = errors.New("cgroup is frozen")
)

func clean(p string) string { return path.Clean("/" + p) }

// Create makes the directories that are missing, opens all of them, and makes
// them fit to be joined. On version 2 that means to enable controllers in the
// ancestors: those of need must succeed wherever they are available, those of
// like may fail (engines read statistics of cpu, memory, io and pids whether or
// not the config has limits). On version 1 a new cpuset gets the cpus and mems
// of its parent.
//
// An existing cgroup that has processes is refused with [ErrNotEmpty], and one
// that is frozen with [ErrFrozen]. On any error nothing stays behind; EACCES,
// EPERM and EROFS are found by errors.Is, for a caller that can do without.
func (d Dirs) Create(need, like []string) (_ *Cgroup, err error) {
	c := &Cgroup{}
	defer func() {
		if err != nil {
			c.Close()
			err = errors.Join(err, c.Undo())
		}
	}()
	for _, dir := range d {
		made, err := c.mkdirAll(dir.Hierarchy.Dir, dir.Path)
		if err != nil {
			return nil, err
		}
		o, err := open(dir)
		if err != nil {
			return nil, err
		}
		c.dirs = append(c.dirs, o)
		err = o.equip(need, like)
		if err == nil && !made {
			err = o.mustBeEmpty()
		}
		if err != nil {
			return nil, err
		}
	}
	if err := c.mustRun(); err != nil {
		return nil, err
	}
	return c, nil
}

// mkdirAll makes p and its missing ancestors up to the mount point, and tells
// whether p itself is new. It begins at the far end, which mostly suffices.
func (c *Cgroup) mkdirAll(mount, p string) (made bool, err error) {
	// An ancestor may vanish between the two steps, when another runtime
	// cleans up behind its last container.
	for range 3 {
		err = unix.Mkdir(p, 0o755)
		if err != unix.ENOENT || p == mount || path.Dir(p) == "/" {
			break
		}
		if _, err = c.mkdirAll(mount, path.Dir(p)); err != nil {
			return false, err
		}
		err = unix.ENOENT
	}
	switch err {
	case nil:
		c.made = append(c.made, p)
		return true, nil
	case unix.EEXIST:
		return false, nil
	}
	return false, pathError("mkdir", p, err)
}

// Undo removes the directories that Create made, the deepest first. Those that
// somebody uses by now stay, without an error.
func (c *Cgroup) Undo() error {
	var errs []error
	for _, p := range slices.Backward(c.made) {
		switch err := unix.Rmdir(p); err {
		case nil, unix.ENOENT, unix.EBUSY, unix.ENOTEMPTY:
		default:
			errs = append(errs, pathError("rmdir", p, err))
		}
	}
	c.made = nil
	return errors.Join(errs...)
}

// equip makes the directory fit for processes: with the controllers that are needed, or
// with the cpus and memory nodes of a version 1 cpuset.
func (d *openDir) equip(need, like []string) error {
	switch {
	case d.Hierarchy.Unified:
		return d.enable(need, like)
	case d.Hierarchy.has("cpuset"):
		_, err := fillCpuset(d.Hierarchy.Dir, d.Path)
		return err
	}
	return nil
}

// enable turns on controllers for the directory, from the root downwards: a
// cgroup can pass on only what it has.
func (d *openDir) enable(need, like []string) error {
	text, err := readAt(d.fd, "cgroup.controllers")
	if err != nil {
		return pathError("read", d.Path+"/cgroup.controllers", err)
	}
	have := strings.Fields(text)
	var missing []string
	for _, list := range [][]string{need, like} {
		for _, name := range list {
			if d.Hierarchy.has(name) && !slices.Contains(have, name) && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return enableBelow(d.Hierarchy.Dir, d.Path, missing, need)
}

// enableBelow turns on controllers for dir in all that lie above it, root first.
func enableBelow(root, dir string, names, need []string) error {
	below, _ := strings.CutPrefix(path.Dir(dir), root)
	at := root
	for step := range strings.SplitSeq(below, "/") {
		at = path.Join(at, step)
		if err := enableIn(at, names, need); err != nil {
			return err
		}
	}
	return nil
}

// enableIn turns on, for the children of one cgroup, those controllers that
// are available and still off.
func enableIn(dir string, names, need []string) error {
	const file = "cgroup.subtree_control"
	o, err := open(Dir{Path: dir})
	if err != nil {
		return err
	}
	defer unix.Close(o.fd)
	available, err := readAt(o.fd, "cgroup.controllers")
	if err != nil {
		return pathError("read", dir+"/cgroup.controllers", err)
	}
	on, err := readAt(o.fd, file)
	if err != nil {
		return pathError("read", dir+"/"+file, err)
	}
	can, has := strings.Fields(available), strings.Fields(on)
	var add []string
	for _, name := range names {
		if slices.Contains(can, name) && !slices.Contains(has, name) {
			add = append(add, "+"+name)
		}
	}
	if len(add) == 0 || writeAt(o.fd, file, strings.Join(add, " ")) == nil {
		return nil
	}
	// The kernel takes all or none: find out which one it refuses.
	for _, word := range add {
		err := writeAt(o.fd, file, word)
		if err == nil || !slices.Contains(need, word[1:]) {
			continue
		}
		w := &WriteError{Write{Controller: word[1:], Unified: true, File: file, Value: word}, dir + "/" + file, err}
		if err == unix.EBUSY {
			w.Err = fmt.Errorf("a cgroup that has processes cannot pass on controllers: %w", err)
		}
		return w
	}
	return nil
}

// cpusetFiles are what a version 1 cpuset must have before anything can join;
// the kernel says ENOSPC otherwise.
var cpusetFiles = [...]string{"cpuset.cpus", "cpuset.mems"}

// fillCpuset gives a cpuset that has no cpus or mems those of its parent, which
// gets its own the same way, and returns both.
func fillCpuset(mount, dir string) (values [len(cpusetFiles)]string, err error) {
	o, err := open(Dir{Path: dir})
	if err != nil {
		return values, err
	}
	defer unix.Close(o.fd)
	empty := false
	for i, file := range cpusetFiles {
		text, err := readAt(o.fd, file)
		if err != nil {
			return values, pathError("read", dir+"/"+file, err)
		}
		values[i] = strings.TrimSpace(text)
		empty = empty || values[i] == ""
	}
	if !empty || dir == mount {
		return values, nil
	}
	above, err := fillCpuset(mount, path.Dir(dir))
	if err != nil {
		return values, err
	}
	for i, file := range cpusetFiles {
		if values[i] != "" {
			continue
		}
		values[i] = above[i]
		if err := writeAt(o.fd, file, above[i]); err != nil {
			return values, &WriteError{Write{Controller: "cpuset", File: file, Value: above[i]}, dir + "/" + file, err}
		}
	}
	return values, nil
}

// mustBeEmpty refuses a directory that has processes, or one below that has.
func (d *openDir) mustBeEmpty() error {
	pids, err := d.pids(true)
	if err != nil {
		return err
	}
	if len(pids) != 0 {
		return fmt.Errorf("%s: %w: process %d is there", d.Path, ErrNotEmpty, pids[0])
	}
	if !d.Hierarchy.Unified {
		return nil
	}
	// Processes of another pid namespace have no number here.
	populated, err := readKey(d.fd, "cgroup.events", "populated")
	if err == nil && populated != 0 {
		return fmt.Errorf("%s: %w", d.Path, ErrNotEmpty)
	}
	return pathError("read", d.Path+"/cgroup.events", err)
}

// mustRun refuses a cgroup in which a process would not run. New directories
// are checked too: they inherit the state of those above.
func (c *Cgroup) mustRun() error {
	for _, d := range []*openDir{c.unified(), c.v1("freezer")} {
		if d == nil {
			continue
		}
		frozen, err := d.stopped()
		if err != nil {
			return err
		}
		if frozen {
			return fmt.Errorf("%s: %w", d.Path, ErrFrozen)
		}
	}
	return nil
}
