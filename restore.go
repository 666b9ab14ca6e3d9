package main

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"
)

// restoreFlags are those that restore shares with run, and restoredFlags its own.
var (
	restoreFlags = []cli.Flag{
		&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of the bundle", DefaultText: "current directory"},
		&cli.StringFlag{Name: "config", Aliases: []string{"f"}, Usage: "read this `FILE` instead of the bundle's config.json"},
		&cli.StringFlag{Name: "console-socket", Usage: "send the pty's master to this AF_UNIX `SOCKET`"},
		&cli.StringFlag{Name: "pid-file", Usage: "write the first process's pid to this `FILE`"},
		&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return as soon as the processes run"},
		&cli.BoolFlag{Name: "no-subreaper", Usage: "leave orphans of the container to others"},
		&cli.BoolFlag{Name: "no-pivot", Usage: "refused: CRIU knows no other way than pivot_root"},
	}
	restoredFlags = []cli.Flag{
		&cli.BoolFlag{Name: "tcp-close", Usage: "restore connections of TCP as closed"},
		&cli.StringFlag{Name: "lsm-profile", Usage: "confine the processes by this `TYPE:NAME`, apparmor or selinux, and not by what they had"},
		&cli.StringFlag{Name: "lsm-mount-context", Usage: "mount with this SELinux `CONTEXT`, and not with what there was"},
	}
)

var restoreCommand = &cli.Command{
	Name:        "restore",
	Usage:       "make a container again that checkpoint has written, and wait for it",
	ArgsUsage:   "[BUNDLE/] ID",
	Description: "CRIU does it, which has to be installed; docs/checkpoint.md has the details.",
	Flags:       slices.Concat(restoreFlags, restoredFlags, criuFlags),
	Action: func(c *cli.Context) error {
		r, err := requestOf(c)
		if err != nil {
			return failed(c, "", err)
		}
		r.detach = c.Bool("detach")
		if r.restore, err = restoreRequestOf(c); err != nil {
			return failed(c, r.id, err)
		}
		if r.detach {
			made, err := r.create()
			if err != nil {
				return failed(c, r.id, err)
			}
			return failed(c, r.id, made.finish(r))
		}
		return failed(c, r.id, r.foreground(false, !c.Bool("no-subreaper")))
	},
}

// restoreRequestOf reads the flags of a restore, or of its explanation.
func restoreRequestOf(c *cli.Context) (*criuRequest, error) {
	if c.Bool("no-pivot") {
		return nil, errors.New("--no-pivot: CRIU changes the root by pivot_root and knows no other way")
	}
	return criuRequestOf(c)
}
