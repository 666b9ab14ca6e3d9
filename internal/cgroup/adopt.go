package cgroup

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Adopt opens the directories of a process that another manager, such as systemd,
// has put into a cgroup. That has its directories on version 2 and in the version 1
// hierarchies that it uses; in the others they are made here, and the process is
// moved there. need and like are as for [Dirs.Create].
func (d Dirs) Adopt(pid int, need, like []string) (_ *Cgroup, err error) {
	c := &Cgroup{}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	for _, dir := range d {
		if !dir.Hierarchy.Unified && dir.Hierarchy.Name == "" {
			if _, err := c.mkdirAll(dir.Hierarchy.Dir, dir.Path); err != nil {
				return nil, err
			}
		}
		o, err := open(dir)
		if err != nil {
			return nil, fmt.Errorf("the manager made no such cgroup: %w", err)
		}
		c.dirs = append(c.dirs, o)
		if err := o.equip(need, like); err != nil {
			return nil, err
		}
		pids, err := o.pids(false)
		if err != nil {
			return nil, err
		}
		if slices.Contains(pids, pid) {
			continue
		}
		if err := o.join(fmt.Sprint(pid)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Present returns what the file of a write says now; ok is false if it cannot be
// read, or if its place is taken by the write's Else, which is then asked instead.
func (c *Cgroup) Present(w Write) (file, text string, ok bool) {
	d := c.v1(w.Controller)
	if w.Unified {
		d = c.unified()
	}
	if d == nil {
		return w.File, "", false
	}
	text, err := readAt(d.fd, w.File)
	if err == unix.ENOENT && w.Else != nil {
		return c.Present(*w.Else)
	}
	return w.File, text, err == nil
}
