package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/cgroup"
	"github.com/oci-mini/oci-mini/internal/hostinfo"
)

var infoCommand = &cli.Command{
	Name:  "info",
	Usage: "tell what this machine offers to containers, and what to do about what is missing",
	Flags: []cli.Flag{
		&cli.StringFlag{Name: "format", Value: "text", Usage: "`text` or json"},
	},
	Action: func(c *cli.Context) error {
		if err := arguments(c, 0, 0); err != nil {
			return err
		}
		format := c.String("format")
		if format != "text" && format != "json" {
			return failed(c, "", fmt.Errorf("--format: %q is not text or json", format))
		}
		h, err := thisMachine()
		if err != nil {
			return failed(c, "", err)
		}
		info := infoOf(h)
		if format == "json" {
			return failed(c, "", writeJSON(c.App.Writer, info))
		}
		return failed(c, "", info.text(c.App.Writer))
	},
}

// hostInfo is the document of info.
type hostInfo struct {
	Version      string           `json:"version"`
	Commit       string           `json:"commit"`
	Spec         string           `json:"spec"` // of the runtime specification
	Kernel       string           `json:"kernel"`
	Architecture string           `json:"architecture"` // as Go calls it
	Rootless     bool             `json:"rootless"`
	Ready        bool             `json:"ready"` // nothing is missing that every container needs
	Checks       []hostinfo.Check `json:"checks"`
}

func infoOf(h *hostinfo.Host) *hostInfo {
	checks := h.Checks()
	return &hostInfo{
		Version: version, Commit: commit, Spec: specs.Version, Kernel: h.Release, Architecture: runtime.GOARCH,
		Rootless: h.Euid != 0, Ready: hostinfo.Ready(checks), Checks: checks,
	}
}

// thisMachine looks at the machine.
func thisMachine() (*hostinfo.Host, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	h := hostinfo.This()
	h.Release = unix.ByteSliceToString(name.Release[:])
	layout, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	h.CgroupMode = layout.Mode.String()
	for _, hierarchy := range layout.Hierarchies {
		h.Controllers = append(h.Controllers, hierarchy.Controllers...)
		if hierarchy.Unified && unix.Access(hierarchy.Dir+"/"+strings.TrimPrefix(hierarchy.Own, "/"), unix.W_OK) == nil {
			h.Delegated = true
		}
	}
	slices.Sort(h.Controllers)
	h.Controllers = slices.Compact(h.Controllers)
	return h, nil
}

// text is the document for people: a line a check, and what to do indented below it.
func (i *hostInfo) text(w io.Writer) error {
	var b bytes.Buffer
	who := "root"
	if i.Rootless {
		who = "an ordinary user"
	}
	fmt.Fprintf(&b, "oci-mini %s on Linux %s, %s, run by %s\n\n", i.Version, i.Kernel, i.Architecture, who)
	for _, c := range i.Checks {
		fmt.Fprintf(&b, "%-8s %-16s %s\n", c.Status, c.Name, c.Found)
		if c.Status != hostinfo.OK {
			fmt.Fprintf(&b, "%25s for %s\n", "", c.For)
			fmt.Fprintf(&b, "%25s remedy: %s\n", "", c.Remedy)
		}
	}
	if i.Ready {
		b.WriteString("\ncontainers can run here\n")
	} else {
		b.WriteString("\ncontainers cannot run here\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}
