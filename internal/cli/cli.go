// Package cli reads a command line: global flags, a command, its flags and its
// arguments.
//
// A flag is written -name or --name, and its value behind an equals sign or as the next
// argument. Flags of a command may also stand behind its arguments, as callers of runc and
// crun write "update ID --pids-limit 5"; "--" ends them.
//
// Commands and flags are static data, and nothing is done at start but for the flags that
// are given: a program that lives for two milliseconds feels a table that it has to build.
package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// App is a program of several commands.
type App struct {
	Name, Usage string
	Flags       []Flag // global ones: they stand before the command
	Commands    []*Command
	// Before is called when the global flags are known.
	Before func(*Context) error
	// Version prints what -v and --version are to print.
	Version func(io.Writer)
	Writer  io.Writer
	Reader  io.Reader
}

// Command is one of an App's.
type Command struct {
	Name        string
	Usage       string // one line
	ArgsUsage   string // what stands behind the flags
	Description string // more lines
	Flags       []Flag
	Shared      []Flag // that it has in common with other commands
	// Foreign says that the arguments are somebody else's command line: no flag
	// behind the first one is the command's.
	Foreign bool
	Action  func(*Context) error
}

// Context is a command line that has been read.
type Context struct {
	App     *App
	Command *Command // nil while only the global flags are known
	args    Args
	given   []setting
	help    bool
	version bool
}

// setting is a flag that is given, in the order of the command line.
type setting struct {
	flag  Flag
	value string
}

// helpFlag is one of all commands, and a global one.
var helpFlag = &BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help"}

// versionFlag is a global flag.
var versionFlag = &BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "print the version"}

// Run reads a command line, of which the first element is the program's name, and
// carries it out. Without a command it prints help.
func (a *App) Run(args []string) error {
	c := &Context{App: a}
	rest, err := c.flags(args[1:])
	if err != nil {
		return fmt.Errorf("%w: see %s --help", err, a.Name)
	}
	switch {
	case c.version:
		a.Version(a.Writer)
		return nil
	case c.help || len(rest) == 0 || rest[0] == "help" && len(rest) == 1:
		return a.printHelp(a.Writer)
	case rest[0] == "help":
		command := a.Command(rest[1])
		if command == nil {
			return fmt.Errorf("no such command: %s", rest[1])
		}
		return command.printHelp(a.Writer, a.Name)
	}
	if a.Before != nil {
		if err := a.Before(c); err != nil {
			return err
		}
	}
	if c.Command = a.Command(rest[0]); c.Command == nil {
		return fmt.Errorf("no such command: %s", rest[0])
	}
	if err := c.arguments(rest[1:]); err != nil {
		return fmt.Errorf("%s: %w: see %s %[1]s --help", c.Command.Name, err, a.Name)
	}
	if c.help {
		return c.Command.printHelp(a.Writer, a.Name)
	}
	return c.Command.Action(c)
}

// Command returns the command with the name, or nil.
func (a *App) Command(name string) *Command {
	i := slices.IndexFunc(a.Commands, func(c *Command) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return a.Commands[i]
}

// known returns the flag with the name that can be given at this place, or nil.
func (c *Context) known(name string) (f Flag) {
	if c.Command == nil {
		f = find(c.App.Flags, name)
	} else if f = find(c.Command.Flags, name); f == nil {
		f = find(c.Command.Shared, name)
	}
	switch {
	case f != nil:
		return f
	case name == "help" || name == "h":
		return helpFlag
	case c.Command == nil && (name == "version" || name == "v"):
		return versionFlag
	}
	return nil
}

// take takes a flag and its value off the front of args, which begin with one. A flag
// that is not known is not taken.
func (c *Context) take(args []string) (taken int, err error) {
	name, value, joined, _ := split(args[0])
	f := c.known(name)
	if f == nil {
		return 0, nil
	}
	taken = 1
	a := f.about()
	switch {
	case joined:
	case a.takes == takesNothing:
		value = "true"
	case a.takes == takesValue && len(args) == 1:
		return 0, fmt.Errorf("%s: needs a value", args[0])
	case a.takes == takesValue:
		value, taken = args[1], 2
	}
	if err := f.check(value); err != nil {
		return 0, err
	}
	switch f {
	case helpFlag:
		c.help = true
	case versionFlag:
		c.version = true
	default:
		c.given = append(c.given, setting{f, value})
	}
	return taken, nil
}

// flags takes all flags off the front of args. One that is not known is an error.
func (c *Context) flags(args []string) (rest []string, err error) {
	for len(args) > 0 {
		if _, _, _, ok := split(args[0]); !ok {
			break
		}
		n, err := c.take(args)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("no such flag: %s", args[0])
		}
		args = args[n:]
	}
	return args, nil
}

// arguments reads what follows the command's name. Behind the first argument, what is
// no flag of the command is an argument, and so is "--", with all that follows it.
func (c *Context) arguments(args []string) error {
	args, err := c.flags(args)
	if err != nil {
		return err
	}
	if len(args) > 0 && args[0] == "--" {
		c.args = args[1:]
		return nil
	}
	if c.Command.Foreign {
		c.args = args
		return nil
	}
	for len(args) > 0 && args[0] != "--" {
		n := 0
		if _, _, _, ok := split(args[0]); ok {
			if n, err = c.take(args); err != nil {
				return err
			}
		}
		if n == 0 {
			n, c.args = 1, append(c.args, args[0])
		}
		args = args[n:]
	}
	c.args = append(c.args, args...)
	return nil
}

// Args are a command's arguments.
type Args []string

// Get returns the argument at the index, or "".
func (a Args) Get(i int) string {
	if i < len(a) {
		return a[i]
	}
	return ""
}

// First returns the first argument, or "".
func (a Args) First() string { return a.Get(0) }

// Tail returns all arguments but the first.
func (a Args) Tail() []string {
	if len(a) < 2 {
		return nil
	}
	return a[1:]
}

// Slice returns all arguments.
func (a Args) Slice() []string { return a }

// Present says whether there is any argument.
func (a Args) Present() bool { return len(a) > 0 }

// Args returns the command's arguments.
func (c *Context) Args() Args { return c.args }

// NArg is how many arguments there are.
func (c *Context) NArg() int { return len(c.args) }

// values returns, in their order, what is given for the flag with the name: the
// command's, or else the global one.
func (c *Context) values(name string) (values []string) {
	for _, s := range c.given {
		if a := s.flag.about(); a.name == name {
			values = append(values, s.value)
		}
	}
	return values
}

// last returns the value that counts of a flag that cannot be repeated.
func (c *Context) last(name string) (value string, given bool) {
	for _, s := range slices.Backward(c.given) {
		if a := s.flag.about(); a.name == name {
			return s.value, true
		}
	}
	return "", false
}

// IsSet says whether the flag is given.
func (c *Context) IsSet(name string) bool {
	_, given := c.last(name)
	return given
}

// Bool says whether the flag is given, and not as false.
func (c *Context) Bool(name string) bool {
	value, _ := c.last(name)
	on, _ := strconv.ParseBool(value)
	return on
}

// String returns the value of a StringFlag.
func (c *Context) String(name string) string {
	if value, given := c.last(name); given {
		return value
	}
	if f, ok := c.declared(name).(*StringFlag); ok {
		return f.Value
	}
	return ""
}

// Int returns the value of an IntFlag.
func (c *Context) Int(name string) int {
	value, _ := c.last(name)
	n, _ := strconv.Atoi(value)
	return n
}

// Duration returns the value of a DurationFlag.
func (c *Context) Duration(name string) time.Duration {
	if value, given := c.last(name); given {
		d, _ := time.ParseDuration(value)
		return d
	}
	if f, ok := c.declared(name).(*DurationFlag); ok {
		return f.Value
	}
	return 0
}

// StringSlice returns the values of a StringSliceFlag.
func (c *Context) StringSlice(name string) []string { return c.values(name) }

// Int64Slice returns the values of an Int64SliceFlag.
func (c *Context) Int64Slice(name string) (numbers []int64) {
	for _, value := range c.values(name) {
		n, _ := strconv.ParseInt(value, 10, 64)
		numbers = append(numbers, n)
	}
	return numbers
}

// declared returns the flag of the command, or the global one, with the name, or nil.
func (c *Context) declared(name string) Flag {
	if c.Command != nil {
		if f := c.known(name); f != nil {
			return f
		}
	}
	return find(c.App.Flags, name)
}
