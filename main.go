// Command oci-mini creates and runs containers as the Open Container Initiative's
// runtime specification describes them.
//
// The Go runtime otherwise reads the cgroup's cpu limit at start, and keeps its
// files open to follow changes; oci-mini lives for milliseconds:
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/entry"
	_ "github.com/oci-mini/oci-mini/internal/entry/stack" // begins with a large one
	"github.com/oci-mini/oci-mini/internal/runlog"
	"github.com/oci-mini/oci-mini/internal/state"
)

// version and commit are set by the linker.
var (
	version = "0.1.0"
	commit  = "unknown"
)

// log is the file of --log. A nil log takes records and writes nothing.
var log *runlog.Log

// exitError is an exit status that says all: the container's own.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	// One thing at a time happens here, and a second processor only makes the
	// scheduler wake threads that find nothing to do. It is so already if the process
	// began in package entry.
	runtime.GOMAXPROCS(1)
	entry.Begin()
	os.Exit(run(os.Args))
}

// run is the one place where errors meet the user.
func run(args []string) (status int) {
	defer func() {
		// An engine reads the log and not the trace: it must not find nothing.
		if p := recover(); p != nil {
			log.Error(fmt.Sprintf("internal error: %v", p))
			fmt.Fprintf(os.Stderr, "oci-mini: internal error: %v\n%s", p, debug.Stack())
			status = 2
		}
	}()
	cli.HelpFlag, cli.VersionFlag = quickFlag(cli.HelpFlag), quickFlag(cli.VersionFlag)
	app := newApp()
	args = prepare(app, args)
	app.Before = func(c *cli.Context) (err error) {
		debug := c.Bool("debug") || c.String("log-level") == "debug"
		log, err = runlog.Open(c.String("log"), c.String("log-format"), debug)
		if perr := (*os.PathError)(nil); errors.As(err, &perr) {
			return fmt.Errorf("--log: %w", err)
		}
		if c.String("criu") != "" {
			sayWarning(true, "--criu is ignored: criu is looked for along PATH")
		}
		return err
	}
	err := app.Run(args)
	defer log.Close()
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	text := message(err)
	fmt.Fprintf(os.Stderr, "oci-mini: %s\n", text)
	if h := hint(err); h != "" {
		fmt.Fprintf(os.Stderr, "  hint: %s\n", h)
		text += "; hint: " + h
	}
	log.Error(text)
	var own *statusError
	if errors.As(err, &own) {
		return own.status
	}
	return 1
}

func newApp() *cli.App {
	cli.VersionPrinter = func(c *cli.Context) {
		fmt.Fprintf(c.App.Writer, "oci-mini version %s\ncommit: %s\nspec: %s\ngo: %s\n", version, commit, specs.Version, runtime.Version())
	}
	app := &cli.App{
		Name: "oci-mini",
		// A repeated flag is the way to give several values: one may hold a comma.
		DisableSliceFlagSeparator: true,
		Usage:                     "run containers as the OCI runtime specification says",
		Version:                   version,
		Compiled:                  time.Unix(1, 0),              // printed nowhere; the library would look at the binary
		ExitErrHandler:            func(*cli.Context, error) {}, // run prints them
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return misused("", err) },
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "debug", Usage: "write a record of each step that is done to the log, or to standard error without one"},
			&cli.StringFlag{Name: "log", Usage: "append records to this `FILE`"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`text` or json"},
			&cli.StringFlag{Name: "log-level", Usage: "accepted for crun's callers: `LEVEL` debug is --debug"},
			&cli.StringFlag{Name: "criu", Hidden: true, Usage: "accepted for runc's callers"},
			&cli.StringFlag{Name: "root", Usage: "keep the state of containers in this `DIR`", DefaultText: "/run/oci-mini, or $XDG_RUNTIME_DIR/oci-mini"},
			&cli.StringFlag{Name: "rootless", Value: "auto", Usage: "go without a cgroup where none can be made: `true`, false or auto (for all but the machine's root)"},
			&cli.BoolFlag{Name: "systemd-cgroup", Usage: "let systemd manage cgroups (same as --cgroup-manager systemd)"},
			&cli.StringFlag{Name: "cgroup-manager", Value: "cgroupfs", Usage: "`cgroupfs`, systemd or disabled"},
		},
		Commands: []*cli.Command{
			checkpointCommand, createCommand, deleteCommand, execCommand, explainCommand, featuresCommand, infoCommand, killCommand, listCommand,
			eventsCommand, pauseCommand, psCommand, resumeCommand, updateCommand, versionCommand,
			restoreCommand, runCommand, specCommand, startCommand, stateCommand,
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return misused("", fmt.Errorf("no such command: %s", c.Args().First()))
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		// The library would print all of the help to the standard output.
		command.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return misused(command.Name, err) }
	}
	return app
}

// misused is an error of the command line, with where to look.
func misused(command string, err error) error {
	if command == "" {
		return advise(err, "oci-mini --help lists commands and global flags, which stand before the command")
	}
	return advise(fmt.Errorf("%s: %w", command, err), "oci-mini "+command+" --help lists its flags")
}

var versionCommand = &cli.Command{
	Name:   "version",
	Usage:  "print the version, as --version does",
	Action: func(c *cli.Context) error { cli.ShowVersion(c); return nil },
}

// storeOf is the store of containers that the global flags name.
func storeOf(c *cli.Context) *state.Store {
	root := c.String("root")
	if root != "" && path.Clean(root) == "/" {
		return state.Unavailable(errors.New("--root: must not be /, where each directory would be taken for a container"))
	}
	if root == "" {
		var err error
		if root, err = stateRoot(); err != nil {
			return state.Unavailable(err)
		}
		if root != machineStateRoot {
			return state.OpenRuntime(root)
		}
	}
	return state.Open(root)
}

// arguments checks how many arguments a command got.
func arguments(c *cli.Context, least, most int) error {
	n := c.NArg()
	switch name := c.Command.Name; {
	case n < least:
		return &miscounted{fmt.Sprintf("%s: needs %d argument(s), got %d: see oci-mini %s --help", name, least, n, name)}
	case most >= 0 && n > most:
		return &miscounted{fmt.Sprintf("%s: takes at most %d argument(s), got %d: see oci-mini %s --help", name, most, n, name)}
	}
	return nil
}

// miscounted is a wrong number of arguments. The text names the command.
type miscounted struct{ text string }

func (m *miscounted) Error() string { return m.text }

// failed prefixes an error with the command and the container it is about.
func failed(c *cli.Context, id string, err error) error {
	if err == nil {
		return nil
	}
	var exit exitError
	var count *miscounted
	if errors.As(err, &exit) || errors.As(err, &count) {
		return err
	}
	if id == "" || errors.Is(err, state.ErrNotExist) { // that names it
		return fmt.Errorf("%s: %w", c.Command.Name, err)
	}
	return fmt.Errorf("%s %s: %w", c.Command.Name, id, err)
}
