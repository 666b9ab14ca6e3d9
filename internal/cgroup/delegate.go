package cgroup

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// An Access tells whether the calling process may write to a file or directory: nil,
// or an error that wraps what access(2) said. [Writable] is that of the real host.
type Access func(file string) error

// Writable asks with the effective ids, as every write will (faccessat2(2)).
func Writable(file string) error {
	if err := unix.Faccessat2(unix.AT_FDCWD, file, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &os.PathError{Op: "access", Path: file, Err: err}
	}
	return nil
}

// Delegated finds out where a user without privileges may put a container. On
// version 2 that is beside its own cgroup, as for everybody, where the user may
// write to the one above: a service manager's delegation looks like that. Where only
// the own cgroup was given to the user, it is below that one; it has processes, so
// that no limits can be set there, but a container can be frozen and killed.
func (l *Layout) Delegated(access Access) {
	for i := range l.Hierarchies {
		h := &l.Hierarchies[i]
		if h.Unified && access(path.Join(h.Dir, path.Dir(h.Own))) != nil && access(path.Join(h.Dir, h.Own)) == nil {
			h.Inside = true
		}
	}
}

// Permitted returns nil if the calling process may make the directories and put
// processes into them, or the first refusal that it would meet. A user without
// privileges needs, for each directory, to write to the one that it is made in; and
// on version 2 also to cgroup.procs of the nearest cgroup that is above both the
// caller and the new one (cgroups(7), "Cgroups delegation containment").
func (d Dirs) Permitted(access Access) error {
	for _, dir := range d {
		above := path.Dir(dir.Path)
		for {
			err := access(above)
			if err == nil {
				break
			}
			if !os.IsNotExist(err) || above == dir.Hierarchy.Dir || above == "/" {
				return err
			}
			above = path.Dir(above)
		}
		home := path.Join(dir.Hierarchy.Dir, dir.Hierarchy.Own)
		procs := path.Join(common(home, dir.Path), "cgroup.procs")
		if !dir.Hierarchy.Unified {
			// The thread that clones comes back to where it was.
			procs = path.Join(home, "tasks")
		}
		if err := access(procs); err != nil {
			return fmt.Errorf("to enter %s: %w", dir.Path, err)
		}
	}
	return nil
}

// common returns the deepest directory that holds both, or is one of them.
func common(a, b string) string {
	for a != "/" && a != b && !strings.HasPrefix(b, a+"/") {
		a = path.Dir(a)
	}
	return a
}
