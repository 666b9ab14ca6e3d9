package state

import (
	"encoding/json"
	"fmt"
	"time"
)

// Version is the format of state.json that this package writes. It grows when
// an older reader would act wrongly on a newer file; a field that such a reader
// may ignore does not need it.
const Version = 1

// Phase tells how far create got.
type Phase string

// The phases of an entry.
const (
	// Creating: resources named in the record may or may not exist.
	Creating Phase = "creating"
	// Ready: create succeeded; what the container does now is up to its
	// processes.
	Ready Phase = "ready"
)

// Process identifies a process safe against reuse of its pid. Zero is none.
type Process struct {
	Pid int `json:"pid"`
	// StartTime is field 22 of /proc/PID/stat, in clock ticks since boot.
	StartTime uint64 `json:"startTime"`
}

// Cgroup names every trace that a container may have left in the cgroup tree.
// It is written before the first is made.
type Cgroup struct {
	Manager string   `json:"manager,omitempty"` // "cgroupfs", "systemd", or none
	Path    string   `json:"path,omitempty"`    // within the hierarchy, as by cgroup(7)
	Dirs    []string `json:"dirs,omitempty"`    // every directory that may exist
	Inodes  []uint64 `json:"inodes,omitempty"`  // of Dirs, once they are the container's
	Unit    string   `json:"unit,omitempty"`    // systemd's name for it
}

// Rdt names the resctrl groups of a container, by their directories.
type Rdt struct {
	Root    string   `json:"root"`              // of the file system
	Group   string   `json:"group"`             // the control group
	Monitor string   `json:"monitor,omitempty"` // the monitored group in it
	Remove  []string `json:"remove,omitempty"`  // those that go with the container, in this order
}

// Record is the content of state.json.
type Record struct {
	Version     int               `json:"version"` // see [Version]; set on writing
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`  // absolute
	Rootfs      string            `json:"rootfs"`  // absolute
	Created     time.Time         `json:"created"` // RFC 3339 with nanoseconds
	Owner       uint32            `json:"owner"`   // user id that created it
	Annotations map[string]string `json:"annotations,omitempty"`

	Phase   Phase   `json:"phase"`
	Creator Process `json:"creator"` // the runtime that makes it
	Init    Process `json:"init"`    // zero until known
	Cgroup  Cgroup  `json:"cgroup"`
	Rdt     *Rdt    `json:"rdt,omitempty"`

	OwnPids bool `json:"ownPids"` // it has a pid namespace of its own
	NoPivot bool `json:"noPivot"` // its root is a chroot, not its mount namespace's root
	// RootMount is the number of the mount whose root the root directory is, where nothing is above
	// that (statx(2), STATX_MNT_ID_UNIQUE; before Linux 6.8, STATX_MNT_ID).
	RootMount uint64 `json:"rootMount,omitempty"`

	HasProcess bool `json:"hasProcess"`           // the configuration names a process
	Terminal   bool `json:"terminal"`             // and wants a terminal for it
	OldKeyring bool `json:"oldKeyring,omitempty"` // it has the session keyring of create's caller
	// Streams are what the process had for standard streams, in CRIU's words; none of a terminal.
	Streams  []string `json:"streams,omitempty"`
	CriuTime bool     `json:"criuTime,omitempty"` // restored, it is in a time namespace that the configuration has not

	// SeccompAgent is the socket of whom start sends the filter's listener to, with
	// SeccompMetadata; empty for none.
	SeccompAgent    string `json:"seccompAgent,omitempty"`
	SeccompMetadata string `json:"seccompMetadata,omitempty"`

	// NoHooks says that the configuration has no hooks, which spares the commands
	// after create the reading of it.
	NoHooks bool `json:"noHooks,omitempty"`
}

// parse reads the state.json of the container called id.
func parse(data []byte, id string) (*Record, error) {
	rec := new(Record)
	if !rec.read(string(data)) {
		*rec = Record{}
		if err := json.Unmarshal(data, rec); err != nil {
			return nil, err
		}
	}
	switch {
	case rec.Version > Version:
		return nil, fmt.Errorf("format version %d is newer than %d", rec.Version, Version)
	case rec.Version < 1:
		return nil, fmt.Errorf("format version %d is unknown", rec.Version)
	case rec.ID != id:
		return nil, fmt.Errorf("it is that of container %q", rec.ID)
	case rec.Phase != Creating && rec.Phase != Ready:
		return nil, fmt.Errorf("unknown phase %q", rec.Phase)
	}
	return rec, nil
}
