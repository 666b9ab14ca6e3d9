package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/seccomp"
	"github.com/oci-mini/oci-mini/spec"
)

// filterExplained is `explain --seccomp` as JSON.
type filterExplained struct {
	Instructions int             `json:"instructions"`
	Flags        []string        `json:"flags"`
	Notifies     bool            `json:"notifies"`
	Unknown      []string        `json:"unknown,omitempty"` // names that are ignored
	Arches       []archExplained `json:"architectures"`
}

type archExplained struct {
	Name   specs.Arch      `json:"name"`
	Groups []seccomp.Group `json:"groups"`
}

// callExplained is `explain --seccomp BUNDLE/ SYSCALL` as JSON.
type callExplained struct {
	Arch   specs.Arch `json:"architecture"`
	Name   string     `json:"name,omitempty"`
	Number uint32     `json:"number"`
	Args   [6]uint64  `json:"args"`
	seccomp.Verdict
	// Conditional are the rules that look at the arguments, in the order in which they
	// are tried.
	Conditional []string `json:"conditional,omitempty"`
}

// explainSeccomp says what the filter of a bundle does with all calls, or with one.
func explainSeccomp(c *cli.Context) error {
	format := c.String("format")
	if format != "text" && format != "json" {
		return fmt.Errorf("--format: %q is not text or json, which --seccomp has", format)
	}
	args := c.Args().Slice()
	bundle := c.String("bundle")
	if bundle == "" {
		if len(args) == 0 {
			return errors.New("--seccomp needs a bundle such as ./bundle/")
		}
		bundle, args = args[0], args[1:]
	}
	s, _, err := spec.Load(bundle, c.String("config"))
	if err != nil {
		return err
	}
	if err := spec.Validate(s); err != nil {
		return err
	}
	if s.Linux == nil || s.Linux.Seccomp == nil {
		return errors.New("/linux/seccomp: the config has none: every system call is allowed")
	}
	f, err := seccomp.Compile(s.Linux.Seccomp, seccomp.Native())
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return explainFilter(c.App.Writer, f, format)
	}
	on := seccomp.Native()
	if arch := c.String("arch"); arch != "" {
		on = specs.Arch("SCMP_ARCH_" + strings.TrimPrefix(strings.ToUpper(arch), "SCMP_ARCH_"))
	}
	call, err := parseCall(on, args)
	if err != nil {
		return err
	}
	if call.Verdict, err = f.Judge(on, call.Number, call.Args); err != nil {
		return err
	}
	call.Conditional = f.Conditional(on, call.Number)
	if format == "json" {
		return writeJSON(c.App.Writer, call)
	}
	return call.text(c.App.Writer, len(f.Program), len(args)-1)
}

// parseCall reads SYSCALL [ARG...]: a name or a number, and up to six arguments.
func parseCall(on specs.Arch, args []string) (*callExplained, error) {
	call := &callExplained{Arch: on}
	if nr, err := strconv.ParseUint(args[0], 0, 32); err == nil {
		call.Number, call.Name = uint32(nr), seccomp.Name(on, uint32(nr))
	} else {
		nr, ok := seccomp.Number(on, args[0])
		if !ok {
			return nil, fmt.Errorf("%s has no system call %s", on, args[0])
		}
		call.Number, call.Name = nr, args[0]
	}
	if len(args) > 7 {
		return nil, fmt.Errorf("a system call has at most 6 arguments, got %d", len(args)-1)
	}
	for i, arg := range args[1:] {
		v, err := strconv.ParseUint(arg, 0, 64)
		if err != nil {
			signed, signedErr := strconv.ParseInt(arg, 0, 64)
			if signedErr != nil {
				return nil, fmt.Errorf("argument %d: %q is not a number of 64 bits", i, arg)
			}
			v = uint64(signed)
		}
		call.Args[i] = v
	}
	return call, nil
}

// text prints the verdict of a call of which so many arguments were given.
func (c *callExplained) text(w io.Writer, program, given int) error {
	name := c.Name
	if name == "" {
		name = "?"
	}
	args := make([]string, given)
	for i := range args {
		args[i] = fmt.Sprintf("%#x", c.Args[i])
	}
	lines := []string{
		fmt.Sprintf("%s(%s), number %d of %s", name, strings.Join(args, ", "), c.Number, c.Arch),
		"answer        " + answerWords(c.Action, c.Data),
	}
	if c.Rule != "" {
		lines = append(lines, "rule          "+c.Rule)
	}
	if c.Reason != "" {
		lines = append(lines, "reason        "+c.Reason)
	}
	lines = append(lines, fmt.Sprintf("instructions  %d, of a program of %d", c.Instructions, program))
	if len(c.Conditional) > 0 {
		lines = append(lines, "by arguments  "+strings.Join(c.Conditional, " ")+", tried in this order; an argument that is not given is 0")
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// answerWords prints an action with its number.
func answerWords(action specs.LinuxSeccompAction, data uint32) string {
	switch action {
	case specs.ActErrno:
		if name := unix.ErrnoName(syscall.Errno(data)); name != "" {
			return fmt.Sprintf("%s %d (%s)", action, data, name)
		}
		return fmt.Sprintf("%s %d", action, data)
	case specs.ActTrace:
		return fmt.Sprintf("%s %d", action, data)
	}
	return string(action)
}

// explainFilter prints all calls by what they get.
func explainFilter(w io.Writer, f *seccomp.Filter, format string) error {
	e := filterExplained{Instructions: len(f.Program), Flags: []string{}, Notifies: f.Notifies, Unknown: f.Unknown}
	if names := seccomp.FlagNames(f.Flags); names != "" {
		e.Flags = strings.Split(names, "|")
	}
	for _, on := range f.Arches {
		groups, err := f.Overview(on)
		if err != nil {
			return err
		}
		e.Arches = append(e.Arches, archExplained{on, groups})
	}
	if format == "json" {
		return writeJSON(w, e)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "program       %d instructions\n", e.Instructions)
	fmt.Fprintf(&b, "flags         %s\n", strings.Join(e.Flags, " "))
	if len(e.Unknown) > 0 {
		fmt.Fprintf(&b, "ignored       %s\n", strings.Join(e.Unknown, " "))
	}
	for _, a := range e.Arches {
		fmt.Fprintf(&b, "\n%s\n", a.Name)
		for _, g := range a.Groups {
			title := "by their arguments"
			if !g.ByArguments {
				title = answerWords(g.Action, g.Data)
			}
			fmt.Fprintf(&b, "  %s: %d\n", title, len(g.Calls))
			line := "   "
			for _, call := range g.Calls {
				if len(line)+len(call) > 98 {
					fmt.Fprintln(&b, line)
					line = "   "
				}
				line += " " + call
			}
			fmt.Fprintln(&b, line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
