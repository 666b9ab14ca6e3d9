package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoHierarchy means that no directory of the cgroup serves a controller.
var ErrNoHierarchy = errors.New("no cgroup hierarchy has it")

// A Cgroup is a set of existing directories, one in each hierarchy, each held
// by a file descriptor: a later removal or remount cannot redirect a write.
type Cgroup struct {
	dirs []openDir
	made []string
}

// openDir is a directory with its O_PATH descriptor.
type openDir struct {
	Dir
	fd int
}

// OpenExisting opens the directories that an earlier [Dirs.Create] made, known
// by their paths alone. Those that are gone are left out.
func OpenExisting(paths []string) (*Cgroup, error) {
	c := &Cgroup{}
	for _, p := range paths {
		d, err := open(Dir{Path: p})
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			c.Close()
			return nil, err
		}
		c.dirs = append(c.dirs, d)
		if err := c.dirs[len(c.dirs)-1].identify(); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func open(d Dir) (openDir, error) {
	fd, err := unix.Open(d.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return openDir{}, pathError("open", d.Path, err)
	}
	return openDir{d, fd}, nil
}

// identify finds the hierarchy by the convention that Detect goes by: the
// first component below Root lists the controllers.
func (d *openDir) identify() error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return pathError("fstatfs", d.Path, err)
	}
	switch st.Type {
	case unix.CGROUP2_SUPER_MAGIC:
		d.Hierarchy.Unified = true
	case unix.CGROUP_SUPER_MAGIC:
	default:
		return &os.PathError{Op: "open", Path: d.Path, Err: errors.New("not in a cgroup file system")}
	}
	below, ok := strings.CutPrefix(d.Path, Root+"/")
	if !ok {
		return nil
	}
	first, _, _ := strings.Cut(below, "/")
	switch {
	case !d.Hierarchy.Unified:
		d.Hierarchy.Dir = Root + "/" + first
		d.Hierarchy.Controllers = strings.Split(first, ",")
		d.Hierarchy.Name = first
	case first == "unified":
		d.Hierarchy.Dir = Root + "/unified"
	default:
		d.Hierarchy.Dir = Root
	}
	return nil
}

// Close closes the descriptors. The directories stay.
func (c *Cgroup) Close() {
	for i := range c.dirs {
		unix.Close(c.dirs[i].fd)
	}
	c.dirs = nil
}

// Paths returns the directories.
func (c *Cgroup) Paths() []string {
	paths := make([]string, len(c.dirs))
	for i := range c.dirs {
		paths[i] = c.dirs[i].Path
	}
	return paths
}

// UnifiedFd returns a descriptor of the version 2 directory, for
// CLONE_INTO_CGROUP (kernel 5.7) and bpf(2), or -1 when there is none. It is
// an O_PATH descriptor, close-on-exec, and stays the Cgroup's.
func (c *Cgroup) UnifiedFd() int {
	if u := c.unified(); u != nil {
		return u.fd
	}
	return -1
}

// HasV1 tells whether there is a version 1 directory, which [Cgroup.EnterThread] is for.
func (c *Cgroup) HasV1() bool {
	return slices.ContainsFunc(c.dirs, func(d openDir) bool { return !d.Hierarchy.Unified })
}

// unified returns the version 2 directory or nil.
func (c *Cgroup) unified() *openDir {
	for i := range c.dirs {
		if c.dirs[i].Hierarchy.Unified {
			return &c.dirs[i]
		}
	}
	return nil
}

// v1 returns the version 1 directory of a controller or nil.
func (c *Cgroup) v1(controller string) *openDir {
	for i := range c.dirs {
		if d := &c.dirs[i]; !d.Hierarchy.Unified && d.Hierarchy.has(controller) {
			return d
		}
	}
	return nil
}

// members returns the directory that is asked who is in the cgroup: any would
// do, as long as nobody moves a process in one hierarchy alone.
func (c *Cgroup) members() *openDir {
	if u := c.unified(); u != nil {
		return u
	}
	if f := c.v1("freezer"); f != nil {
		return f
	}
	if len(c.dirs) == 0 {
		return nil
	}
	return &c.dirs[0]
}

// Descend goes from the cgroup to existing ones below it. paths has a path for each
// of some version 1 controllers, whose hierarchies are the ones to descend in; or it
// has one alone for "", which is for every hierarchy. A path cannot leave this
// cgroup: ".." and a leading slash stop here. After an error only Close is left.
func (c *Cgroup) Descend(paths map[string]string) error {
	known := 0
	for i := range c.dirs {
		d := &c.dirs[i]
		to, found := paths[""]
		if found {
			known = 1
		}
		first := ""
		for _, name := range d.Hierarchy.Controllers {
			p, ok := paths[name]
			if !ok || d.Hierarchy.Unified {
				continue
			}
			known++
			if found && clean(p) != clean(to) {
				return fmt.Errorf("cgroup controllers %s and %s share a hierarchy: they cannot go to different cgroups", first, name)
			}
			to, found, first = p, true, name
		}
		if !found {
			continue
		}
		below := clean(to)
		fd, err := openAt(d.fd, "."+below, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return pathError("openat2", path.Join(d.Path, below), err)
		}
		unix.Close(d.fd)
		d.fd, d.Path = fd, path.Join(d.Path, below)
	}
	if known == len(paths) {
		return nil
	}
	for name := range paths {
		if c.v1(name) == nil {
			return fmt.Errorf("cgroup v1 controller %s: %w", name, ErrNoHierarchy)
		}
	}
	return nil
}

// Write makes one write. A refused value is a [*WriteError].
func (c *Cgroup) Write(w Write) error {
	d := c.v1(w.Controller)
	if w.Unified {
		d = c.unified()
	}
	if d == nil {
		return &WriteError{w, w.File, fmt.Errorf("cgroup controller %s: %w", w.Controller, ErrNoHierarchy)}
	}
	err := writeAt(d.fd, w.File, w.Value)
	switch {
	case err == nil:
		return nil
	case err == unix.ENOENT && w.Else != nil:
		return c.Write(*w.Else)
	case err == unix.ENOENT && w.Optional:
		return nil
	case err == unix.ENOENT && w.Unified && !d.enabled(w.Controller):
		err = fmt.Errorf("cgroup controller %s is not enabled here: %w", w.Controller, err)
	case err == unix.EBUSY && w.File == "memory.limit_in_bytes":
		// The kernel's word for "more is in use than that".
		current, peak, uerr := d.memoryUsage()
		if uerr == nil {
			return fmt.Errorf("unable to set memory limit to %s (current usage: %d, peak usage: %d): %w",
				w.Value, current, peak, err)
		}
	}
	return &WriteError{w, d.Path + "/" + w.File, err}
}

// enabled tells whether a version 2 controller has its files here.
func (d *openDir) enabled(controller string) bool {
	text, err := readAt(d.fd, "cgroup.controllers")
	return err != nil || controller == "cgroup" || slices.Contains(strings.Fields(text), controller)
}

// WriteAll makes the writes in order, and stops at the first that fails. A
// write marked Retry that the kernel refuses with EINVAL waits for the next
// ones of its controller to succeed.
func (c *Cgroup) WriteAll(writes []Write) error {
	var waiting []Write
	for _, w := range writes {
		err := c.Write(w)
		if w.Retry && errors.Is(err, unix.EINVAL) {
			waiting = append(waiting, w)
			continue
		}
		if err != nil {
			return err
		}
		for i := 0; i < len(waiting); i++ {
			if waiting[i].Controller == w.Controller && c.Write(waiting[i]) == nil {
				waiting = slices.Delete(waiting, i, i+1)
				i--
			}
		}
	}
	// What is left failed for a reason of its own, which a last try tells.
	for _, w := range waiting {
		if err := c.Write(w); err != nil {
			return err
		}
	}
	return nil
}

// MemoryUsage returns the bytes in use and the greatest number ever in use.
// The peak is zero where the kernel has none (version 2 before 5.19).
func (c *Cgroup) MemoryUsage() (current, peak uint64, err error) {
	if d := c.v1("memory"); d != nil {
		return d.memoryUsage()
	}
	if d := c.unified(); d != nil {
		return d.memoryUsage()
	}
	return 0, 0, fmt.Errorf("cgroup controller memory: %w", ErrNoHierarchy)
}

func (d *openDir) memoryUsage() (current, peak uint64, err error) {
	usage, most := "memory.usage_in_bytes", "memory.max_usage_in_bytes"
	if d.Hierarchy.Unified {
		usage, most = "memory.current", "memory.peak"
	}
	if current, err = readNumber(d.fd, usage); err != nil {
		return 0, 0, pathError("read", d.Path+"/"+usage, err)
	}
	peak, err = readNumber(d.fd, most)
	if err != nil && !(d.Hierarchy.Unified && err == unix.ENOENT) {
		return 0, 0, pathError("read", d.Path+"/"+most, err)
	}
	return current, peak, nil
}

// OOMKilled tells whether the out-of-memory killer has struck in the cgroup.
// Without a memory controller nobody counts, and the answer is no.
func (c *Cgroup) OOMKilled() (bool, error) {
	d, file := c.v1("memory"), "memory.oom_control"
	if d == nil {
		d, file = c.unified(), "memory.events"
	}
	if d == nil {
		return false, nil
	}
	n, err := readKey(d.fd, file, "oom_kill")
	if err == unix.ENOENT || err == unix.ENODEV {
		return false, nil
	}
	return n > 0, pathError("read", d.Path+"/"+file, err)
}
