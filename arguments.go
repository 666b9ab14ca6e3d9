package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandsOfOthers take arguments that are not theirs: a program's, or those of ps.
var commandsOfOthers = []string{"exec", "ps", "spec"}

// flagsFirst moves the flags of the command in args before its other arguments.
// Callers of runc and crun write "update ID --pids-limit 5" as well, and the library
// takes everything behind the first argument for arguments. What follows "--" stays
// where it is, as does what is no flag of the command.
func flagsFirst(app *cli.App, args []string) []string {
	at := 1
	for at < len(args) && strings.HasPrefix(args[at], "-") {
		n := width(app.Flags, args[at])
		if n == 0 {
			return args // the library says what is wrong
		}
		at += n
	}
	if at >= len(args) || slices.Contains(commandsOfOthers, args[at]) {
		return args
	}
	command := app.Command(args[at])
	if command == nil {
		return args
	}
	var flags, others []string
	rest := args[at+1:]
	for len(rest) > 0 && rest[0] != "--" {
		n := min(width(command.Flags, rest[0]), len(rest))
		if n == 0 {
			n, others = 1, append(others, rest[0])
		} else {
			flags = append(flags, rest[:n]...)
		}
		rest = rest[n:]
	}
	return slices.Concat(args[:at+1], flags, others, rest)
}

// width is how many arguments the flag arg is with its value; 0 if it is none of flags.
func width(flags []cli.Flag, arg string) int {
	name, _, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if !strings.HasPrefix(arg, "-") || name == "" {
		return 0
	}
	if name == "help" || name == "h" || name == "version" || name == "v" {
		return 1
	}
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		if joined || !takesValue(f) {
			return 1
		}
		return 2
	}
	return 0
}

// takesValue says whether the argument after the flag is its value.
func takesValue(f cli.Flag) bool {
	if g, ok := f.(genericFlag); ok {
		alone, ok := g.Value.(interface{ IsBoolFlag() bool })
		return !ok || !alone.IsBoolFlag()
	}
	d, ok := f.(cli.DocGenerationFlag)
	return !ok || d.TakesValue()
}
