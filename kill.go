package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/state"
)

var killCommand = &cli.Command{
	Name:      "kill",
	Usage:     "send a signal to a container's first process (default SIGTERM)",
	ArgsUsage: "ID [SIGNAL]",
	Flags: []cli.Flag{
		&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "send it to all processes of the container; a stopped container is no error"},
		regexFlag,
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 2); err != nil {
			return err
		}
		id, name := c.Args().First(), "SIGTERM"
		if c.NArg() == 2 {
			name = c.Args().Get(1)
		}
		sig, err := process.ParseSignal(name)
		if err != nil {
			return failed(c, id, err)
		}
		store, all := storeOf(c), c.Bool("all")
		if c.Bool("regex") {
			return failed(c, "", eachMatch(store, id, func(id string) error { return killByID(store, id, sig, all) }))
		}
		return failed(c, id, killByID(store, id, sig, all))
	},
}

// killByID finds a container and signals it.
func killByID(store *state.Store, id string, sig unix.Signal, all bool) error {
	dir, err := store.Load(id)
	if err != nil {
		return err
	}
	defer dir.Close()
	return kill(dir, sig, all)
}

// errNotRunning has the text by which engines know that there is nothing to kill.
var errNotRunning = errors.New("container not running")

// kill signals a container. It takes no lock: a signal must reach a container
// that another command is busy with.
func kill(dir *state.Dir, sig unix.Signal, all bool) error {
	switch status, _ := statusOf(dir); status {
	case specs.StateStopped:
		if all {
			return killRest(dir.Record, sig)
		}
		// The others may live on where there is no pid namespace to take them along.
		if sig == unix.SIGKILL && !dir.Record.OwnPids && populated(dir.Record) {
			return killRest(dir.Record, sig)
		}
		return errNotRunning
	case specs.StateCreating:
		return errors.New("cannot kill a container that is still being created")
	}
	if all && (len(ownDirs(dir.Record)) > 0 || dir.Record.OwnPids && sig != unix.SIGKILL) {
		return killRest(dir.Record, sig)
	}
	err := process.ID(dir.Record.Init).Signal(sig)
	if errors.Is(err, unix.ESRCH) {
		return errNotRunning
	}
	// Without a pid namespace of its own, the kernel does not take the other
	// processes along with the first one.
	if err == nil && sig == unix.SIGKILL && !dir.Record.OwnPids {
		err = killRest(dir.Record, sig)
	}
	if err == nil && sig == unix.SIGKILL {
		err = thaw(dir.Record)
	}
	return err
}

// populated says whether any process is left in the container's cgroup.
func populated(r *state.Record) bool {
	c, err := cgroup.OpenExisting(ownDirs(r))
	if err != nil {
		return false
	}
	defer c.Close()
	pids, err := c.Pids(true)
	return err == nil && len(pids) > 0
}

// killRest signals every process in the container's cgroup, or in its pid namespace
// where it has none.
func killRest(r *state.Record, sig unix.Signal) error {
	if len(r.Cgroup.Dirs) == 0 && r.OwnPids {
		return signalEach(func() ([]int, error) { return processesAround(r.Init) }, sig)
	}
	c, err := cgroup.OpenExisting(ownDirs(r))
	if err != nil {
		return err
	}
	defer c.Close()
	if sig == unix.SIGKILL {
		return c.Kill()
	}
	return signalEach(func() ([]int, error) { return c.Pids(true) }, sig)
}

// pidfdsAtOnce is how many processes are signalled after one look at who they are.
const pidfdsAtOnce = 256

// signalEach signals the processes that are listed. A container may end its own as it likes, so that
// their numbers are those of others a moment later, of the host's too: a signal goes by a descriptor
// of a process that is still listed when that is open.
func signalEach(list func() ([]int, error), sig unix.Signal) error {
	pids, err := list()
	if err != nil {
		return err
	}
	for part := range slices.Chunk(pids, pidfdsAtOnce) {
		if err := signalThese(part, list, sig); err != nil {
			return err
		}
	}
	return nil
}

func signalThese(pids []int, list func() ([]int, error), sig unix.Signal) (err error) {
	open := make(map[int]int, len(pids)) // pid -> pidfd
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			continue // it has ended, or the number is a thread's now
		}
		if err != nil {
			return fmt.Errorf("pidfd_open %d: %w", pid, err)
		}
		open[pid] = fd
	}
	still, err := list()
	if err != nil {
		return err
	}
	for _, pid := range still {
		fd, ok := open[pid]
		if !ok {
			continue
		}
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return nil
}

// thaw lets a frozen container die of the SIGKILL that was sent to it: the v1
// freezer holds even that back.
func thaw(r *state.Record) error {
	c, err := cgroup.OpenExisting(freezerDirs(ownDirs(r)))
	if err != nil {
		return err
	}
	defer c.Close()
	if frozen, err := c.Frozen(); err != nil || !frozen {
		return nil
	}
	return c.Thaw()
}
