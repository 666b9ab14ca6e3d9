package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandsOfOthers take arguments that are not theirs: a program's, or those of ps.
var commandsOfOthers = []string{"exec", "ps", "spec"}

// prepare makes of the command line what the library understands, and of the app what this
// command line needs. For every command and flag that there is the library makes half a
// dozen things, and most commands take less time than that.
func prepare(app *cli.App, args []string) []string {
	app.Flags = quickFlags(app.Flags)
	names, args := flagsFirst(app, args)
	if names == nil { // help, a mistake, or no command at all: all of it may be told of
		return args
	}
	app.Flags = needed(app.Flags, names)
	app.HideHelp, app.HideVersion = true, true
	for _, c := range app.Commands {
		c.HideHelp, c.Flags = true, needed(c.Flags, names)
	}
	return args
}

// needed are those of the flags that are given, and those that are something if they are not.
func needed(flags []cli.Flag, given []string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool {
		switch f := f.(type) {
		case stringFlag:
			if f.Value != "" {
				return false
			}
		case durationFlag:
			if f.Value != 0 {
				return false
			}
		case intFlag:
			if f.Value != 0 {
				return false
			}
		}
		return !slices.ContainsFunc(f.Names(), func(name string) bool { return slices.Contains(given, name) })
	})
}

// flagsFirst moves the flags of the command in args before its other arguments, and leaves
// no other command in the app.
// Callers of runc and crun write "update ID --pids-limit 5" as well, and the library
// takes everything behind the first argument for arguments. What follows "--" stays
// where it is, as does what is no flag of the command.
//
// names are those of the flags that are given, global ones among them; nil if it is not
// known.
func flagsFirst(app *cli.App, args []string) (names, all []string) {
	names = []string{}
	at := 1
	for at < len(args) && strings.HasPrefix(args[at], "-") {
		n := width(app.Flags, args[at])
		if n == 0 || isHelp(args[at]) {
			return nil, args // the library says what is wrong
		}
		names = append(names, flagName(args[at]))
		at += n
	}
	if at >= len(args) {
		return nil, args
	}
	known := app.Command(args[at])
	if known == nil {
		return nil, args
	}
	command := *known
	command.Flags = quickFlags(command.Flags)
	var flags, others []string
	rest := args[at+1:]
	foreign := slices.Contains(commandsOfOthers, args[at])
	for len(rest) > 0 && rest[0] != "--" {
		n := min(width(command.Flags, rest[0]), len(rest))
		switch {
		case n > 0 && isHelp(rest[0]):
			names = nil
		case n > 0 && names != nil:
			names = append(names, flagName(rest[0]))
		case n == 0 && len(others) == 0 && strings.HasPrefix(rest[0], "-") && rest[0] != "-":
			names = nil // a mistake
		}
		if n == 0 {
			if foreign {
				break
			}
			n, others = 1, append(others, rest[0])
		} else {
			flags = append(flags, rest[:n]...)
		}
		rest = rest[n:]
	}
	if names != nil {
		app.Commands = []*cli.Command{&command}
	}
	return names, slices.Concat(args[:at+1], flags, others, rest)
}

// flagName is the name in an argument that is a flag.
func flagName(arg string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return name
}

// isHelp says whether the flag is one that all commands have, or all programs.
func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "h", "version", "v"}, flagName(arg))
}

// width is how many arguments the flag arg is with its value; 0 if it is none of flags.
func width(flags []cli.Flag, arg string) int {
	name, _, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if !strings.HasPrefix(arg, "-") || name == "" {
		return 0
	}
	if isHelp(arg) {
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
