package cgroup

import (
	"fmt"
	"os"
	"path"
	"slices"
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

// AvailableIn reads the controllers that a cgroup of version 2 has, nil where it cannot
// be read: it does not exist yet.
func AvailableIn(dir string) []string {
	text, err := readFile(dir + "/cgroup.controllers")
	if err != nil {
		return nil
	}
	return strings.Fields(text)
}

// Undelegated says why the directories will not get a controller of version 2 from a
// process that may write to what access lets it, or returns "". A cgroup has those
// controllers that all above it pass on, and one that has processes passes none on
// (cgroups(7), "No internal processes"). available is [AvailableIn], but for tests.
func (d Dirs) Undelegated(controller string, access Access, available func(dir string) []string) string {
	for _, dir := range d {
		h := dir.Hierarchy
		if !h.Unified || !h.has(controller) {
			continue
		}
		busy, lacking := "", ""
		var refused []string
		for at := dir.Path; at != h.Dir && !slices.Contains(available(at), controller); at = path.Dir(at) {
			above := path.Dir(at)
			if h.Inside && above == path.Join(h.Dir, h.Own) {
				busy = above
			}
			file := above + "/cgroup.subtree_control"
			if err := access(file); err != nil && !os.IsNotExist(err) {
				refused = append([]string{file}, refused...)
				if lacking == "" {
					lacking = at
				}
			}
		}
		switch {
		case lacking != "":
			return fmt.Sprintf("the controller %s is not delegated to %s: root has to write +%s to %s, or systemd to be told by Delegate=%s in the unit of the user's service manager",
				controller, lacking, controller, strings.Join(refused, ", then to "), controller)
		case busy != "":
			return fmt.Sprintf("%s has processes, the runtime's own among them, and so cannot pass on the controller %s: start the runtime in a cgroup below it", busy, controller)
		}
	}
	return ""
}

// common returns the deepest directory that holds both, or is one of them.
func common(a, b string) string {
	for a != "/" && a != b && !strings.HasPrefix(b, a+"/") {
		a = path.Dir(a)
	}
	return a
}
