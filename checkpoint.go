package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/terminal"
)

// checkpointFlags are those of checkpoint alone. They are a variable of their own, so that the
// linker lays them out: what append is given is made at every start.
var checkpointFlags = []cli.Flag{
	&cli.BoolFlag{Name: "leave-running", Usage: "let the container go on afterwards"},
	&cli.StringFlag{Name: "parent-path", Usage: "images of an earlier --pre-dump, whose pages need not be written again: a `DIR` relative to that of --image-path"},
	&cli.BoolFlag{Name: "pre-dump", Usage: "write the memory alone, and let the container go on"},
	&cli.BoolFlag{Name: "tcp-skip-in-flight", Usage: "leave out connections of TCP that are not accepted yet"},
	&cli.BoolFlag{Name: "link-remap", Usage: "give files without a name one for the time being"},
	&cli.IntFlag{Name: "status-fd", Value: -1, Usage: "with --lazy-pages, write a zero byte to descriptor `N` when the pages can be asked for", DefaultText: "nobody is told"},
	&cli.StringFlag{Name: "page-server", Usage: "send the memory to the page server at `ADDRESS:PORT`; with --lazy-pages, be the one there"},
}

var checkpointCommand = &cli.Command{
	Name:        "checkpoint",
	Usage:       "write a running container to files, from which restore makes it again",
	ArgsUsage:   "ID",
	Description: "CRIU does it, which has to be installed; docs/checkpoint.md has the details.\nThe container ends, unless --leave-running or --pre-dump is given.",
	Flags:       slices.Concat(checkpointFlags, criuFlags),
	Action: func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		id := c.Args().First()
		r, err := criuRequestOf(c)
		if err != nil {
			return failed(c, id, err)
		}
		signals, err := terminal.Catch()
		if err != nil {
			return failed(c, id, err)
		}
		dir, err := lock(c, id)
		if err != nil {
			return err
		}
		defer dir.Close()
		return failed(c, id, r.checkpoint(dir, signals))
	},
}
