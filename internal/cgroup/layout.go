package cgroup

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the directory below which every cgroup file system is mounted.
const Root = "/sys/fs/cgroup"

// A Mode says which versions of cgroups a host has mounted.
type Mode int

const (
	// None: no cgroup file system is visible.
	None Mode = iota
	// Legacy: version 1 hierarchies only.
	Legacy
	// Hybrid: version 1 hierarchies, and a version 2 hierarchy beside them.
	Hybrid
	// Unified: version 2 only.
	Unified
)

// String returns the name that messages and listings use.
func (m Mode) String() string {
	switch m {
	case None:
		return "none"
	case Legacy:
		return "v1"
	case Hybrid:
		return "hybrid"
	case Unified:
		return "v2"
	}
	return "unknown"
}

// A Hierarchy is one mounted cgroup file system.
type Hierarchy struct {
	// Dir is the mount point, such as /sys/fs/cgroup/memory.
	Dir string `json:"dir"`
	// Controllers are the resource controllers that live here. On version 2
	// they are those of the root's cgroup.controllers.
	Controllers []string `json:"controllers,omitempty"`
	// Name is X for a version 1 hierarchy that was mounted with name=X.
	Name string `json:"name,omitempty"`
	// Unified tells a version 2 hierarchy.
	Unified bool `json:"unified,omitempty"`
	// Own is the cgroup of the calling process, a path from the mount point
	// that begins with a slash; "/" also when the real one is out of sight.
	Own string `json:"own"`
	// Inside puts containers below Own, where it would be beside it: a version 2
	// subtree that was delegated to a user may begin at the user's own cgroup.
	Inside bool `json:"inside,omitempty"`
}

// has tells whether the controller lives in the hierarchy.
func (h *Hierarchy) has(controller string) bool {
	for _, c := range h.Controllers {
		if c == controller {
			return true
		}
	}
	return false
}

// A Layout is what a host has mounted, in the order of /proc/self/cgroup.
type Layout struct {
	Mode        Mode        `json:"mode"`
	Hierarchies []Hierarchy `json:"hierarchies"`
}

// Detect looks at [Root] and at /proc/self/cgroup. It reports no error when
// there are no cgroups: the mode is [None] then.
func Detect() (*Layout, error) {
	var st unix.Statfs_t
	switch err := unix.Statfs(Root, &st); err {
	case nil:
	case unix.ENOENT:
		return &Layout{}, nil
	default:
		return nil, &os.PathError{Op: "statfs", Path: Root, Err: err}
	}
	if st.Type != unix.CGROUP2_SUPER_MAGIC && st.Type != unix.TMPFS_MAGIC {
		return &Layout{}, nil
	}
	self, err := readFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	l := &Layout{}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		l.Hierarchies = parseUnified(self, mounted)
	} else {
		l.Hierarchies = parse(self, mounted)
	}
	for i := range l.Hierarchies {
		h := &l.Hierarchies[i]
		switch {
		case !h.Unified:
			if l.Mode == Unified {
				l.Mode = Hybrid
			} else if l.Mode == None {
				l.Mode = Legacy
			}
			continue
		case l.Mode == None:
			l.Mode = Unified
		default:
			l.Mode = Hybrid
		}
		words, err := readFile(h.Dir + "/cgroup.controllers")
		if err != nil {
			return nil, err
		}
		h.Controllers = strings.Fields(words)
	}
	return l, nil
}

// A lookup tells whether a directory is in a cgroup file system, and returns
// its own name where dir may be a symbolic link: a co-mounted hierarchy such as
// cpu,cpuacct has links named cpu and cpuacct.
type lookup func(dir string, mayBeLink bool) (string, bool)

// mounted is the lookup of the real host.
func mounted(dir string, mayBeLink bool) (string, bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil ||
		st.Type != unix.CGROUP_SUPER_MAGIC && st.Type != unix.CGROUP2_SUPER_MAGIC {
		return "", false
	}
	if !mayBeLink {
		return dir, true
	}
	if target, err := os.Readlink(dir); err == nil && !strings.Contains(target, "/") {
		return path.Dir(dir) + "/" + target, true
	}
	return dir, true
}

// parse reads the lines hierarchy-id:controllers:path of /proc/self/cgroup,
// cgroups(7), for a host where Root is a tmpfs. Lines whose directory does not
// exist are left out: the hierarchy is active, but not mounted for us.
func parse(self string, mounted lookup) []Hierarchy {
	var found []Hierarchy
	for line := range strings.Lines(self) {
		_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		list, own, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		h := Hierarchy{Own: own}
		var dir string
		switch name, named := strings.CutPrefix(list, "name="); {
		case named:
			h.Name = name
			dir, ok = mounted(Root+"/"+name, false)
		case list == "":
			h.Unified = true
			dir, ok = mounted(Root+"/unified", false)
		default:
			h.Controllers = strings.Split(list, ",")
			dir, ok = mounted(Root+"/"+list, false)
			// The kernel's order of co-mounted controllers need not be
			// that of the directory's name: take the link of any of them.
			for i := 0; !ok && i < len(h.Controllers); i++ {
				dir, ok = mounted(Root+"/"+h.Controllers[i], true)
			}
		}
		if !ok {
			continue
		}
		h.Dir = dir
		h.Own = visible(dir, own, mounted)
		found = append(found, h)
	}
	return found
}

// parseUnified is parse for a host where Root is a cgroup2 file system.
func parseUnified(self string, mounted lookup) []Hierarchy {
	own := "/"
	for line := range strings.Lines(self) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			own = p
		}
	}
	return []Hierarchy{{Dir: Root, Unified: true, Own: visible(Root, own, mounted)}}
}

// visible returns own, or "/" when that directory is not below the mount
// point: inside a container without a cgroup namespace the kernel tells the
// host's path although only a part of the hierarchy is mounted, and "/../x"
// is a cgroup outside of the own cgroup namespace.
func visible(dir, own string, mounted lookup) string {
	if own == "/" || strings.HasPrefix(own, "/..") {
		return "/"
	}
	if _, ok := mounted(dir+own, false); !ok {
		return "/"
	}
	return own
}

// A Dir is one directory of a container, in one hierarchy.
type Dir struct {
	Hierarchy Hierarchy `json:"hierarchy"`
	// Path is absolute and clean.
	Path string `json:"path"`
}

// Dirs are the directories of a container, one for each hierarchy.
type Dirs []Dir

var errRootCgroup = errors.New("names the root of the cgroup hierarchy")

// Dirs places a container in every hierarchy, without touching any.
//
// An absolute cgroupsPath counts from each mount point. A relative one, and the
// id where there is none, counts from the runtime's own cgroup on version 1,
// and from the parent of that on version 2: a cgroup that has processes cannot
// have children with controllers ("no internal process constraint", cgroups(7)).
// [Hierarchy.Inside] makes an exception.
//
// Neither can leave its base: ".." stops there. A path without any component
// is an error, because limits, signals and removal would mean the whole host.
func (l *Layout) Dirs(cgroupsPath, id string) (Dirs, error) {
	absolute := strings.HasPrefix(cgroupsPath, "/")
	if cgroupsPath == "" {
		cgroupsPath = id
	}
	inner := path.Clean("/" + cgroupsPath)
	if inner == "/" {
		return nil, &os.PathError{Op: "cgroup", Path: cgroupsPath, Err: errRootCgroup}
	}
	dirs := make(Dirs, 0, len(l.Hierarchies))
	for _, h := range l.Hierarchies {
		base := h.Own
		switch {
		case absolute:
			base = "/"
		case h.Unified && !h.Inside:
			base = path.Dir(h.Own)
		}
		dirs = append(dirs, Dir{h, path.Join(h.Dir, base, inner)})
	}
	return dirs, nil
}

// Paths returns the directories alone.
func (d Dirs) Paths() []string {
	paths := make([]string, len(d))
	for i := range d {
		paths[i] = d[i].Path
	}
	return paths
}
