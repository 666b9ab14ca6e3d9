package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/oci-mini/oci-mini/spec"
)

var specCommand = &cli.Command{
	Name:      "spec",
	Usage:     "write a config.json to start from",
	ArgsUsage: "[-- COMMAND [ARG...]]",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of the bundle", DefaultText: "current directory"},
		&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "write to this `FILE` of the bundle", Value: "config.json"},
		&cli.BoolFlag{Name: "rootless", Usage: "for a user other than root"},
		&cli.BoolFlag{Name: "host", Usage: "without an image: the host's own /usr and /etc, read-only, in a new root"},
	},
	Action: func(c *cli.Context) error {
		bundle := c.String("bundle")
		if bundle == "" {
			bundle = "."
		}
		s := spec.Default()
		if c.Bool("host") {
			var present []string
			for _, dir := range spec.HostDirs {
				if _, err := os.Stat(dir); err == nil {
					present = append(present, dir)
				}
			}
			name := os.Getenv("TERM")
			if name == "" {
				name = "xterm"
			}
			spec.Host(s, present, name)
			if err := os.MkdirAll(filepath.Join(bundle, s.Root.Path), 0o755); err != nil {
				return failed(c, "", err)
			}
		}
		if c.Bool("rootless") {
			spec.Rootless(s, uint32(os.Geteuid()), uint32(os.Getegid()))
		}
		if c.Args().Present() {
			s.Process.Args = c.Args().Slice()
			s.Process.Terminal = term.IsTerminal(int(os.Stdin.Fd()))
		}
		file := c.String("file")
		if !filepath.IsAbs(file) {
			file = filepath.Join(bundle, file)
		}
		if err := spec.Write(file, s); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = advise(err, "the bundle's directory has to be there before: mkdir -p "+bundle)
			}
			return failed(c, "", err)
		}
		return nil
	},
}
