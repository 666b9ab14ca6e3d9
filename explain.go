package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

// explainFlags are those of explain alone.
var explainFlags = []cli.Flag{
	&cli.StringFlag{Name: "format", Value: "text", Usage: "`text`, json, or sh: a script of the commands that do the same"},
	&cli.BoolFlag{Name: "create", Usage: "explain create, which waits for start, instead of run"},
	&cli.BoolFlag{Name: "restore", Usage: "explain restore, with its flags, instead of run"},
	&cli.BoolFlag{Name: "seccomp", Usage: "explain what the seccomp filter does: with all system calls, or with one"},
	&cli.StringFlag{Name: "arch", Usage: "with --seccomp and a call: of this `ARCH`, such as x86 (default: this machine's)"},
}

var explainCommand = &cli.Command{
	Name:      "explain",
	Usage:     "print what run would do, step by step, without doing it",
	ArgsUsage: "BUNDLE/ [ID], or --seccomp BUNDLE/ [SYSCALL [ARG...]]",
	Flags:     slices.Concat(explainFlags, birthFlags, restoredFlags, criuFlags),
	Action: func(c *cli.Context) error {
		if c.Bool("seccomp") {
			return failed(c, "", explainSeccomp(c))
		}
		format := c.String("format")
		if format != "text" && format != "json" && format != "sh" {
			return failed(c, "", fmt.Errorf("--format: %q is not text, json or sh", format))
		}
		r, err := requestOf(c)
		if err != nil {
			return failed(c, "", err)
		}
		r.opt.wait = c.Bool("create")
		if c.Bool("restore") {
			if r.restore, err = restoreRequestOf(c); err != nil {
				return failed(c, r.id, err)
			}
		}
		s, raw, rootfs, err := r.load()
		if err != nil {
			return failed(c, r.id, err)
		}
		h, err := thisHost(r.cgroupManager, r.rootless)
		if err != nil {
			return failed(c, r.id, err)
		}
		b, err := newBirth(r.id, r.bundle, rootfs, s, h, r.opt)
		if err != nil {
			return failed(c, r.id, err)
		}
		for _, f := range spec.Unread(raw) {
			sayWarning(false, f.String())
		}
		b.explains = format != "text"
		p, err := b.explained(r.restore, format)
		if err != nil {
			return failed(c, r.id, err)
		}
		switch format {
		case "json":
			return p.JSON(c.App.Writer)
		case "sh":
			return failed(c, r.id, p.Script(c.App.Writer))
		}
		return p.Text(c.App.Writer)
	},
}

// explained is the plan of a run or, with a request, that of a restore of images that are there.
func (b *birth) explained(r *criuRequest, format string) (*plan.Plan, error) {
	switch {
	case r == nil:
		return b.plan(), nil
	case format == "sh":
		return nil, errors.New("--format sh: there is no script for --restore: what criu is asked goes over a socket")
	}
	t, err := b.prepareRestore(r)
	if err != nil {
		return nil, err
	}
	defer t.dirs.close()
	return b.restorePlan(t), nil
}
