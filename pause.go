package main

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/state"
)

var pauseCommand = &cli.Command{
	Name:      "pause",
	Usage:     "stop all processes of a container where they are, until resume",
	ArgsUsage: "ID",
	Action: func(c *cli.Context) error {
		return freezer(c, func(status specs.ContainerState, cg *cgroup.Cgroup) error {
			// A created container may be paused too: its process waits in
			// the cgroup already, and start does not wake it.
			if status != specs.StateRunning && status != specs.StateCreated {
				return errNotRunning
			}
			return cg.Freeze()
		})
	},
}

var resumeCommand = &cli.Command{
	Name:      "resume",
	Usage:     "let a paused container go on",
	ArgsUsage: "ID",
	Action: func(c *cli.Context) error {
		return freezer(c, func(status specs.ContainerState, cg *cgroup.Cgroup) error {
			if status != statusPaused {
				return errNotPaused
			}
			return cg.Thaw()
		})
	},
}

// errNotPaused has the text by which engines know that there is nothing to resume.
var errNotPaused = errors.New("container not paused")

// freezer lets pause and resume judge the state of the container and act on
// those of its cgroups that can freeze, while no other command changes it.
func freezer(c *cli.Context, act func(specs.ContainerState, *cgroup.Cgroup) error) error {
	if err := arguments(c, 1, 1); err != nil {
		return err
	}
	id := c.Args().First()
	dir, err := lock(c, id)
	if err != nil {
		return err
	}
	defer dir.Close()
	if len(dir.Record.Cgroup.Dirs) == 0 && dir.Record.Phase == state.Ready {
		return failed(c, id, errors.New("it was created without a cgroup, and nothing else can freeze a container"))
	}
	cg, err := cgroup.OpenExisting(freezerDirs(ownDirs(dir.Record)))
	if err != nil {
		return failed(c, id, err)
	}
	defer cg.Close()
	status, _ := statusOf(dir)
	return failed(c, id, act(status, cg))
}
