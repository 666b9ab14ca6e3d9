package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/state"
)

// deathTimeout bounds how long delete waits for a killed process to be gone. A
// process in an uninterruptible wait may take longer; then the error says so.
const deathTimeout = 10 * time.Second

var deleteCommand = &cli.Command{
	Name:      "delete",
	Usage:     "remove a stopped container and what is left of it",
	ArgsUsage: "ID",
	Flags: []cli.Flag{
		&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "kill the container first; a missing one is no error"},
		regexFlag,
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id, force := c.Args().First(), c.Bool("force")
		store := storeOf(c)
		if c.Bool("regex") {
			return failed(c, "", eachMatch(store, id, func(id string) error { return remove(store, id, force, nil) }))
		}
		err := remove(store, id, force, nil)
		if force && errors.Is(err, state.ErrNotExist) {
			return nil
		}
		return failed(c, id, err)
	},
}

// remove deletes a container. With only it must be that one, by its first process: where it is gone
// already, as a checkpoint or another delete has it, whoever has its id now stays as they are.
func remove(store *state.Store, id string, force bool, only *state.Process) error {
	if force {
		// What runtimes left that were killed before their entry had its name.
		// A failure hinders nobody; another delete will try again.
		defer func() { _ = store.Sweep() }()
	}
	dir, err := store.Lock(id, lockTimeout)
	if force && errors.Is(err, state.ErrBroken) {
		// Nothing tells what there was; at least the id becomes free.
		if dir, err = store.LockUnread(id, lockTimeout); err != nil {
			return err
		}
		defer dir.Close()
		return dir.Remove()
	}
	if only != nil && errors.Is(err, state.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if only != nil && dir.Record.Init != *only {
		return nil
	}
	status, _ := statusOf(dir)
	switch {
	case status == specs.StateStopped:
	case status == specs.StateCreated, force:
		if err := end(dir.Record); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", id, status)
	}
	return destroy(dir)
}

// destroy removes what is left of a container whose first process has ended, and
// runs its poststop hooks (runtime.md, "Lifecycle", steps 12 and 13).
func destroy(dir *state.Dir) error {
	if err := removeCgroup(dir); err != nil {
		return err
	}
	if err := removeRdt(dir.Record); err != nil {
		return err
	}
	// Read before the entry goes; a config that cannot be read has no hooks to run.
	s, _ := hookSpec(dir)
	if err := dir.Remove(); err != nil {
		return err
	}
	if s != nil && dir.Record.Phase == state.Ready {
		runPoststop(dir.Record, s)
	}
	return nil
}

// abort ends and destroys a container one of whose hooks failed: the lifecycle goes on
// with its end.
func abort(dir *state.Dir) error {
	if err := end(dir.Record); err != nil {
		return err
	}
	return destroy(dir)
}

// end kills the first process and waits until it is gone.
func end(r *state.Record) error {
	fd, err := process.ID(r.Init).Open()
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %d: %w", r.Init.Pid, err)
	}
	if err := thaw(r); err != nil {
		return err
	}
	dead, err := process.Wait(fd, deathTimeout)
	if err == nil && !dead {
		err = fmt.Errorf("process %d is still alive %s after SIGKILL", r.Init.Pid, deathTimeout)
	}
	return err
}

// removeCgroup kills what is left in the container's cgroup and removes it.
func removeCgroup(dir *state.Dir) error {
	c, err := cgroup.OpenExisting(ownDirs(dir.Record))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Kill(); err != nil {
		return err
	}
	if err := stopUnit(dir); err != nil {
		return err
	}
	return c.Remove()
}
