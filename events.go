package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/resctrl"
)

var eventsCommand = &cli.Command{
	Name:      "events",
	Usage:     "print a container's statistics and its out-of-memory events as JSON, one a line, until it ends",
	ArgsUsage: "ID",
	Flags: []cli.Flag{
		&cli.BoolFlag{Name: "stats", Usage: "print the statistics once, and exit"},
		&cli.DurationFlag{Name: "interval", Value: 5 * time.Second, Usage: "`TIME` between statistics, such as 500ms"},
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id, interval := c.Args().First(), c.Duration("interval")
		if interval <= 0 {
			return failed(c, id, fmt.Errorf("--interval: must be above zero, is %v", interval))
		}
		dir, err := storeOf(c).Load(id)
		if err != nil {
			return failed(c, "", err)
		}
		defer dir.Close()
		if status, _ := statusOf(dir); status == specs.StateStopped || status == specs.StateCreating {
			return failed(c, id, errNotRunning)
		}
		if len(dir.Record.Cgroup.Dirs) == 0 {
			return failed(c, id, errors.New("it was created without a cgroup, which would count for it"))
		}
		cg, err := cgroup.OpenExisting(ownDirs(dir.Record))
		if err != nil {
			return failed(c, id, err)
		}
		defer cg.Close()
		e := &eventStream{id: id, cgroup: cg, rdt: groupOf(dir.Record), out: json.NewEncoder(c.App.Writer)}
		if c.Bool("stats") {
			return failed(c, id, e.stats())
		}
		return failed(c, id, e.follow(process.ID(dir.Record.Init), interval))
	},
}

// event is one line of output, in the form that container engines read.
type event struct {
	Type string `json:"type"` // "stats", "oom" or "error"
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

// eventStats is the data of a "stats" event.
type eventStats struct {
	*cgroup.Stats
	IntelRdt resctrl.Stats `json:"intel_rdt"` // empty without /linux/intelRdt
}

// eventError is the data of an "error" event.
type eventError struct {
	Message string `json:"message"`
}

// eventStream prints the events of one container.
type eventStream struct {
	id     string
	cgroup *cgroup.Cgroup
	rdt    *resctrl.Group // or nil
	out    *json.Encoder
}

func (e *eventStream) stats() error {
	s, err := e.read()
	if err != nil {
		return err
	}
	return e.print("stats", s)
}

// read reads the statistics.
func (e *eventStream) read() (s eventStats, err error) {
	if s.Stats, err = e.cgroup.Stats(); err != nil || e.rdt == nil {
		return s, err
	}
	rdt, err := e.rdt.Stats()
	if err == nil {
		s.IntelRdt = *rdt
	}
	return s, err
}

func (e *eventStream) print(kind string, data any) error {
	return e.out.Encode(event{kind, e.id, data})
}

// follow prints statistics at every interval, and tells of the out-of-memory
// killer at once, until the container's first process has ended.
func (e *eventStream) follow(init process.ID, interval time.Duration) error {
	pidfd, err := init.Open()
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	oom, err := e.cgroup.WatchOOM()
	if err != nil && !errors.Is(err, cgroup.ErrNoHierarchy) {
		return err
	}
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if oom != nil {
		defer oom.Close()
		fds = append(fds, oom.Poll())
	}
	for next := time.Now().Add(interval); ; {
		wait := unix.NsecToTimespec(max(0, int64(time.Until(next))))
		_, err := unix.Ppoll(fds, &wait, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("ppoll: %w", err)
		}
		// Looked at before the end is: the killer may have brought it.
		if oom != nil && len(fds) > 1 {
			struck, err := oom.Struck()
			if struck {
				if err := e.print("oom", nil); err != nil {
					return err
				}
			}
			if err != nil {
				fds = fds[:1] // it would wake us for ever
			}
		}
		if fds[0].Revents != 0 {
			return nil
		}
		if time.Now().Before(next) {
			continue
		}
		// A reader that was slow misses some, and does not get them all at once.
		for next = next.Add(interval); !time.Now().Before(next); next = next.Add(interval) {
		}
		// Only output that cannot be written ends the stream: the next
		// statistics may be readable again.
		s, err := e.read()
		switch {
		case err == nil:
			err = e.print("stats", s)
		case !init.Alive():
			return nil
		default:
			log.Warn(err.Error())
			err = e.print("error", eventError{err.Error()})
		}
		if err != nil {
			return err
		}
	}
}
