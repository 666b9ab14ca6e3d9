package main

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/state"
)

// statusPaused is the one status that the specification leaves to runtimes and
// that engines know.
const statusPaused specs.ContainerState = "paused"

var stateCommand = &cli.Command{
	Name:      "state",
	Usage:     "print a container's state as JSON",
	ArgsUsage: "ID",
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id := c.Args().First()
		dir, err := storeOf(c).Load(id)
		if err != nil {
			return failed(c, "", err)
		}
		defer dir.Close()
		return failed(c, id, writeJSON(c.App.Writer, document(dir)))
	},
}

// stateDocument is what `state` and `list` print: the specification's state
// (runtime.md, "State") and what callers of runc read besides.
type stateDocument struct {
	specs.State
	Rootfs  string    `json:"rootfs"`
	Created time.Time `json:"created"`
	Owner   string    `json:"owner"`
}

// document is the present state of a container.
func document(dir *state.Dir) stateDocument {
	r := dir.Record
	status, pid := statusOf(dir)
	return stateDocument{
		State: specs.State{
			Version: r.OCIVersion, ID: r.ID, Status: status, Pid: pid, Bundle: r.Bundle, Annotations: r.Annotations,
		},
		Rootfs: r.Rootfs, Created: r.Created, Owner: ownerName(r.Owner),
	}
}

// MarshalJSON keeps the pid in the document when it is zero: callers expect it.
func (d stateDocument) MarshalJSON() ([]byte, error) {
	type document struct {
		Version     string               `json:"ociVersion"`
		ID          string               `json:"id"`
		Pid         int                  `json:"pid"`
		Status      specs.ContainerState `json:"status"`
		Bundle      string               `json:"bundle"`
		Rootfs      string               `json:"rootfs"`
		Created     time.Time            `json:"created"`
		Annotations map[string]string    `json:"annotations,omitempty"`
		Owner       string               `json:"owner"`
	}
	return json.Marshal(document{
		d.Version, d.ID, d.Pid, d.Status, d.Bundle, d.Rootfs, d.Created, d.Annotations, d.Owner,
	})
}

// statusOf finds out what a container does now. The disk says only whether it
// was fully created; the rest is read off the kernel, where it cannot be stale.
func statusOf(dir *state.Dir) (status specs.ContainerState, pid int) {
	r := dir.Record
	switch {
	case r.Phase == state.Creating:
		return specs.StateCreating, 0
	case !process.ID(r.Init).Alive():
		return specs.StateStopped, 0
	case waiting(dir):
		status = specs.StateCreated
	default:
		status = specs.StateRunning
	}
	if frozen(r) {
		status = statusPaused
	}
	return status, r.Init.Pid
}

// frozen says whether the container's cgroup is frozen.
func frozen(r *state.Record) bool {
	c, err := cgroup.OpenExisting(freezerDirs(ownDirs(r)))
	if err != nil {
		return false
	}
	defer c.Close()
	yes, err := c.Frozen()
	return err == nil && yes
}

// ownDirs are the container's cgroup directories that are still its own. After its
// end, another container may have been given the same path: what is there then has
// another inode, and must not be killed or removed in its place.
func ownDirs(r *state.Record) []string {
	if len(r.Cgroup.Inodes) != len(r.Cgroup.Dirs) {
		return r.Cgroup.Dirs // still being created
	}
	now := inodes(r.Cgroup.Dirs)
	var own []string
	for i, dir := range r.Cgroup.Dirs {
		if now[i] == r.Cgroup.Inodes[i] && now[i] != 0 {
			own = append(own, dir)
		}
	}
	return own
}

// inodes are the inode numbers of directories, zero for a missing one.
func inodes(dirs []string) []uint64 {
	list := make([]uint64, len(dirs))
	for i, dir := range dirs {
		var st unix.Stat_t
		if unix.Lstat(dir, &st) == nil {
			list[i] = st.Ino
		}
	}
	return list
}

// freezerDirs are those of a container's cgroup directories that can freeze it,
// so that a look at the state need not open them all.
func freezerDirs(dirs []string) []string {
	var found []string
	for _, d := range dirs {
		below, ok := strings.CutPrefix(d, cgroup.Root+"/")
		first, _, _ := strings.Cut(below, "/")
		if ok && (first == "freezer" || first == "unified") {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return dirs
	}
	return found
}

// ownerName is the name of the user who made the container, or the bare id.
func ownerName(uid uint32) string {
	if uid == 0 {
		return "root"
	}
	if u, err := user.LookupUid(int(uid)); err == nil {
		return u.Name
	}
	return "#" + strconv.FormatUint(uint64(uid), 10)
}

// writeJSON prints a document the way runc does: indented by two spaces.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
