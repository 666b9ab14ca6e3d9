package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/capability"
	"github.com/oci-mini/oci-mini/internal/process"
	"github.com/oci-mini/oci-mini/internal/rawfile"
	"github.com/oci-mini/oci-mini/internal/seal"
	"github.com/oci-mini/oci-mini/internal/state"
	"github.com/oci-mini/oci-mini/internal/terminal"
	"github.com/oci-mini/oci-mini/spec"
)

// exitExecFailed is the status of an exec that could not execute the program, as
// engines expect it; the program's own statuses are the others.
const exitExecFailed = 255

// The values of the flags that may be repeated.
var (
	execEnv, execCaps cli.StringSlice
	execGids          cli.Int64Slice
)

// repeatable are the flags that a caller may give by both of their names at once, which
// the library refuses for an alias: so the short names are flags of their own, with
// the same destination.
var repeatable = []cli.Flag{
	&cli.StringSliceFlag{Name: "env", Destination: &execEnv, Usage: "set `NAME=VALUE`, over the config's (also -e)"},
	&cli.StringSliceFlag{Name: "e", Destination: &execEnv, Hidden: true},
	&cli.Int64SliceFlag{Name: "additional-gids", Destination: &execGids, Usage: "another `GID` (also -g)"},
	&cli.Int64SliceFlag{Name: "g", Destination: &execGids, Hidden: true},
	&cli.StringSliceFlag{Name: "cap", Destination: &execCaps, Usage: "add this `CAPABILITY` (also -c)"},
	&cli.StringSliceFlag{Name: "c", Destination: &execCaps, Hidden: true},
}

var execCommand = &cli.Command{
	Name:      "exec",
	Usage:     "execute another process in a container",
	ArgsUsage: "ID [COMMAND [ARG...]]",
	Flags: append(repeatable, []cli.Flag{
		&cli.StringFlag{Name: "process", Aliases: []string{"p"}, Usage: "read the process from this JSON `FILE`"},
		&cli.StringFlag{Name: "console-socket", Usage: "send the pty's master to this AF_UNIX `SOCKET`"},
		&cli.StringFlag{Name: "pidfd-socket", Usage: "send the process's pidfd to this AF_UNIX `SOCKET`"},
		&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return as soon as the process runs"},
		&cli.StringFlag{Name: "pid-file", Usage: "write the process's pid to this `FILE`"},
		&cli.StringFlag{Name: "cwd", Usage: "working `DIR` inside the container"},
		&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give it a pty"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "`UID[:GID]` to run as"},
		&cli.StringFlag{Name: "process-label", Usage: "SELinux `LABEL`"},
		&cli.StringFlag{Name: "apparmor", Usage: "AppArmor `PROFILE`"},
		&cli.BoolFlag{Name: "no-new-privs", Usage: "forbid gaining privileges by execve"},
		&cli.IntFlag{Name: "preserve-fds", Usage: "pass `N` more descriptors, from 3 on"},
		&cli.StringSliceFlag{Name: "cgroup", Usage: "run in this `PATH` below the container's cgroup; CONTROLLER[,CONTROLLER...]:PATH is for those of cgroup v1 alone"},
		&cli.BoolFlag{Name: "ignore-paused", Usage: "also in a paused container"},
	}...),
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, -1); err != nil {
			return err
		}
		id := c.Args().First()
		code, err := execIn(c, id)
		if err != nil {
			return failed(c, id, &statusError{exitExecFailed, err})
		}
		if code != 0 {
			return exitError(code)
		}
		return nil
	},
}

// execIn executes a process in a container and, unless it is detached, waits for it.
func execIn(c *cli.Context, id string) (code int, err error) {
	view, err := seal.Ensure(seal.Container{})
	if err != nil {
		return 0, err
	}
	dir, err := storeOf(c).Load(id)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	switch status, _ := statusOf(dir); {
	case status == specs.StateStopped:
		return 0, errors.New("cannot exec in a stopped container")
	case status == specs.StateCreating:
		return 0, errors.New("cannot exec in a container that is still being created")
	case status == statusPaused && !c.Bool("ignore-paused"):
		return 0, errors.New("cannot exec in a paused container (use --ignore-paused to wait for it)")
	}

	s, err := containerSpec(dir)
	if err != nil {
		return 0, err
	}
	subs, err := subCgroups(c.StringSlice("cgroup"))
	if err != nil {
		return 0, err
	}
	firstStays := s.Process == nil || !mayLeave(capabilitiesOf(s.Process.Capabilities))
	if s.Process, err = execProcess(c, s.Process); err != nil {
		return 0, err
	}
	// Not before: --process may be a pipe that nobody writes to, and Ctrl-C ends that.
	signals, err := terminal.Catch()
	if err != nil {
		return 0, err
	}
	if s.Linux != nil && s.Linux.Seccomp != nil {
		// An older version may have accepted what this one refuses.
		if err := spec.ValidateSeccomp(s.Linux.Seccomp); err != nil {
			return 0, err
		}
	}
	detach := c.Bool("detach")
	if err := checkTerminal(s, detach, c.String("console-socket")); err != nil {
		return 0, err
	}
	opt, err := execOptions(c, dir)
	if err != nil {
		return 0, err
	}
	opt.firstStays = firstStays
	h, err := thisHost("disabled", "auto") // the container has its cgroup
	if err != nil {
		return 0, err
	}
	b, err := newBirth(id, dir.Record.Bundle, dir.Record.Rootfs, s, h, opt)
	if err != nil {
		return 0, err
	}
	b.dir, b.joins, b.view, b.signals = dir, true, view, signals
	if view != nil {
		b.opened = append(b.opened, view.Fd())
	}
	if !detach {
		b.launched = signals.CatchRest
	}

	undo := &undoStack{}
	defer func() {
		if err != nil {
			err = withCleanup(err, undo.unwind())
		}
	}()
	b.caps.warn(func(text string) { sayWarning(detach, text) })
	p := b.execPlan(subs)
	if err := b.carryOut(p, undo); err != nil {
		if endedMeanwhile(dir.Record) {
			err = fmt.Errorf("cannot exec in a stopped container: it ended meanwhile: %w", err)
		}
		return 0, err
	}
	started := func() error {
		if err := b.announce(c.String("pid-file"), pidfdReceiver{"--pidfd-socket", c.String("pidfd-socket"), "setns"}); err != nil {
			return err
		}
		undo.release()
		b.child.Release()
		b.code.Free()
		return nil
	}
	if detach {
		err = started()
	} else {
		code, err = b.attend(started, c.String("pidfd-socket") != "")
	}
	return code, err
}

// pidfdReceiver is a socket that gets the process's pidfd.
type pidfdReceiver struct {
	asked  string // the flag or annotation
	socket string // "" for none
	name   string // what the message says, as callers know it
}

// announce tells the caller which process it is: by its pidfd, and by the pid file,
// for which others may be waiting.
func (b *birth) announce(pidFile string, receivers ...pidfdReceiver) error {
	for _, to := range receivers {
		if to.socket == "" {
			continue
		}
		if err := terminal.SendFd(to.socket, b.child.Pidfd, to.name); err != nil {
			return fmt.Errorf("%s: %w", to.asked, err)
		}
	}
	if pidFile == "" {
		return nil
	}
	return writePidFile(pidFile, b.child.Pid)
}

// endedMeanwhile says whether the container has ended, or is about to: a first process
// waits for all others of its pid namespace, which somebody has to collect, but its
// namespaces are gone by then. What fails without them has a different errno at each
// place, of which ENOMEM for a fork is the strangest.
func endedMeanwhile(r *state.Record) bool {
	if !process.ID(r.Init).Alive() {
		return true
	}
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", r.Init.Pid))
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// execOptions are the options of a birth that exec has too.
func execOptions(c *cli.Context, dir *state.Dir) (birthOptions, error) {
	opt := birthOptions{preserveFds: c.Int("preserve-fds"), consoleSocket: c.String("console-socket"), noNewKeyring: dir.Record.OldKeyring}
	if opt.preserveFds < 0 {
		return opt, errNegativeFds
	}
	if err := opt.inside(dir.Record); err != nil {
		return opt, err
	}
	return opt, opt.passFds()
}

// inside fills in where a container is that exists.
func (o *birthOptions) inside(r *state.Record) (err error) {
	o.pid = r.Init.Pid
	o.openRoot = func() (int, error) { return openRootOf(process.ID(r.Init), r.RootMount) }
	if !r.NoPivot {
		return nil
	}
	if o.rootDir, err = o.openRoot(); err != nil {
		return err
	}
	o.openRoot = func() (int, error) { return unix.FcntlInt(uintptr(o.rootDir), unix.F_DUPFD_CLOEXEC, 0) }
	return nil
}

// containerSpec is the config as it was when the container was created: later
// edits of the bundle's change nothing (runtime.md, "Lifecycle").
func containerSpec(dir *state.Dir) (*specs.Spec, error) {
	raw, err := dir.Config()
	if err != nil {
		return nil, err
	}
	s, err := spec.Parse(dir.Path+"/"+spec.ConfigName, raw)
	if err == nil && dir.Record.CriuTime {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	}
	return s, err
}

// hookSpec is the config for the hooks that it may have. One without any need not be
// read, which is most of what start and delete would do.
func hookSpec(dir *state.Dir) (*specs.Spec, error) {
	if dir.Record.NoHooks {
		return &specs.Spec{}, nil
	}
	return containerSpec(dir)
}

// execProcess is the process to execute: that of --process, or the config's own
// with what the flags change.
func execProcess(c *cli.Context, config *specs.Process) (*specs.Process, error) {
	if file := c.String("process"); file != "" {
		data, err := rawfile.ReadSmall(file, spec.MaxSize)
		if err != nil {
			return nil, fmt.Errorf("--process: %w", err)
		}
		p := new(specs.Process)
		if err := spec.Decode(file, data, p); err != nil {
			return nil, err
		}
		keepConfined(p, config)
		if err := spec.ValidateProcess(p); err != nil {
			return nil, advise(err, unreadHintOf(spec.UnreadOf(data, new(specs.Process))))
		}
		return p, nil
	}
	if c.NArg() < 2 {
		return nil, errors.New("needs a command to execute, or --process")
	}
	p := &specs.Process{Cwd: "/"}
	if config != nil {
		copied := *config
		p = &copied
	}
	p.Args = c.Args().Tail()
	p.Terminal, p.ConsoleSize = c.Bool("tty"), nil
	p.Env = append(append([]string(nil), p.Env...), execEnv.Value()...)
	if cwd := c.String("cwd"); cwd != "" {
		p.Cwd = cwd
	}
	if c.Bool("no-new-privs") {
		p.NoNewPrivileges = true
	}
	if profile := c.String("apparmor"); profile != "" {
		p.ApparmorProfile = profile
	}
	if label := c.String("process-label"); label != "" {
		p.SelinuxLabel = label
	}
	if user := c.String("user"); user != "" {
		if err := setUser(&p.User, user); err != nil {
			return nil, err
		}
	}
	for _, gid := range execGids.Value() {
		if gid < 0 || gid >= 1<<32-1 {
			return nil, fmt.Errorf("--additional-gids: %d is not a group id", gid)
		}
		p.User.AdditionalGids = append(append([]uint32(nil), p.User.AdditionalGids...), uint32(gid))
	}
	if names := execCaps.Value(); len(names) > 0 {
		addCapabilities(p, names)
	}
	return p, spec.ValidateProcess(p)
}

// keepConfined gives a process what confines the container's own, where it says
// nothing about it.
func keepConfined(p, config *specs.Process) {
	if config == nil {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = config.Capabilities
	}
	if p.ApparmorProfile == "" {
		p.ApparmorProfile = config.ApparmorProfile
	}
	if p.SelinuxLabel == "" {
		p.SelinuxLabel = config.SelinuxLabel
	}
}

// setUser reads UID[:GID], in numbers only: a name could mean anything in the
// image's passwd (CVE-2016-3697), and nothing may be read as user 0 that is not
// (CVE-2026-30892).
func setUser(u *specs.User, text string) error {
	uid, gid, hasGid := strings.Cut(text, ":")
	id := func(s string) (uint32, error) {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 1<<32-1 {
			return 0, fmt.Errorf("--user: %q is not of the form UID[:GID] in numbers", text)
		}
		return uint32(n), nil
	}
	n, err := id(uid)
	if err != nil {
		return err
	}
	u.UID = n
	if hasGid {
		if u.GID, err = id(gid); err != nil {
			return err
		}
	}
	return nil
}

// addCapabilities adds to the sets that decide what the process may do. The
// inheritable set is not among them: what is in it would come back at the
// execve of any file that asks for it (CVE-2022-29162). What it has already is made
// ambient, so that a user other than root keeps it.
func addCapabilities(p *specs.Process, names []string) {
	var c specs.LinuxCapabilities
	if p.Capabilities != nil {
		c = *p.Capabilities
	}
	for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
		*set = append(append([]string(nil), *set...), names...)
	}
	added, _ := capability.Parse(names)
	inheritable, _ := capability.Parse(c.Inheritable)
	c.Ambient = append(append([]string(nil), c.Ambient...), capability.In(added&inheritable)...)
	p.Capabilities = &c
}

// openContainer opens the pidfd by which exec joins, of the container's first
// process.
func (b *birth) openContainer() (func() error, error) {
	fd, err := process.ID(b.dir.Record.Init).Open()
	if err != nil {
		return nil, err
	}
	b.opened = append(b.opened, fd)
	b.containerFd = fd
	if b.dir.Record.NoPivot {
		b.containerRoot = b.opt.rootDir
		b.opened = append(b.opened, b.containerRoot)
	}
	return nil, nil
}
