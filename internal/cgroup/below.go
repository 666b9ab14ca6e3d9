package cgroup

import (
	"path"
	"strings"
)

// Below makes the cgroup at a path below the version 2 directory, together with those
// between, and opens it. They go with [Cgroup.Undo] and [Cgroup.Remove] of c. A path cannot
// leave c: ".." and a leading slash stop there.
func (c *Cgroup) Below(sub string) (*Cgroup, error) {
	d := c.unified()
	if d == nil {
		return nil, ErrNoHierarchy
	}
	at := path.Join(d.Path, clean(sub))
	if _, err := c.mkdirAll(d.Path, at); err != nil {
		return nil, err
	}
	o, err := open(Dir{Hierarchy: d.Hierarchy, Path: at})
	if err != nil {
		return nil, err
	}
	return &Cgroup{dirs: []openDir{o}}, nil
}

// PassOn turns on whatever controllers the version 2 directory has for the cgroup at a
// path below it. That and all between have to be without processes of their own
// (cgroups(7), "no internal processes"). A controller that the kernel refuses stays off: the
// limits of c hold for all below it, with and without.
func (c *Cgroup) PassOn(sub string) error {
	d := c.unified()
	if d == nil {
		return ErrNoHierarchy
	}
	text, err := readAt(d.fd, "cgroup.controllers")
	if err != nil {
		return pathError("read", d.Path+"/cgroup.controllers", err)
	}
	return enableBelow(d.Path, path.Join(d.Path, clean(sub)), strings.Fields(text), nil)
}
