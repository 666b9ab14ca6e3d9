package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flag is a flag of a command, or a global one: a pointer to one of this package's
// types. They are data only; what a command line gives is in the [Context].
type Flag interface {
	about() about
	// check says whether the text can be the flag's value.
	check(value string) error
}

// about is what all kinds of flags have.
type about struct {
	name    string
	aliases []string
	usage   string
	initial string // what the flag is if it is not given, for help
	hidden  bool
	takes   takes
}

// takes is whether a value belongs to a flag.
type takes int

const (
	takesNothing  takes = iota // but "=true" and "=false"
	takesOptional              // only behind an equals sign
	takesValue                 // behind an equals sign, or the next argument
)

// The fields of all kinds: Aliases are further names. Usage is a text for help, in
// which backquotes name the value. DefaultText tells what help is to say about a flag
// that is not given, where Value is not it.
type (
	// BoolFlag is given or not.
	BoolFlag struct {
		Name    string
		Aliases []string
		Usage   string
		Hidden  bool
	}
	// StringFlag has any text for a value, Value if it is not given.
	StringFlag struct {
		Name               string
		Aliases            []string
		Usage, DefaultText string
		Value              string
		Hidden             bool
		// Optional flags may stand without a value, which only an equals sign gives.
		Optional bool
	}
	// IntFlag has a decimal number, 0 if it is not given.
	IntFlag struct {
		Name    string
		Aliases []string
		Usage   string
		Hidden  bool
	}
	// DurationFlag has a time as [time.ParseDuration] reads it.
	DurationFlag struct {
		Name    string
		Aliases []string
		Usage   string
		Value   time.Duration
		Hidden  bool
	}
	// StringSliceFlag may be repeated. A comma in it is part of the value.
	StringSliceFlag struct {
		Name    string
		Aliases []string
		Usage   string
		Hidden  bool
	}
	// Int64SliceFlag is a number that may be repeated.
	Int64SliceFlag struct {
		Name    string
		Aliases []string
		Usage   string
		Hidden  bool
	}
)

func (f *BoolFlag) about() about {
	return about{f.Name, f.Aliases, f.Usage, "", f.Hidden, takesNothing}
}

func (f *StringFlag) about() about {
	a := about{f.Name, f.Aliases, f.Usage, f.DefaultText, f.Hidden, takesValue}
	if f.Optional {
		a.takes = takesOptional
	}
	if a.initial == "" {
		a.initial = f.Value
	}
	return a
}

func (f *IntFlag) about() about {
	return about{f.Name, f.Aliases, f.Usage, "", f.Hidden, takesValue}
}

func (f *DurationFlag) about() about {
	a := about{f.Name, f.Aliases, f.Usage, "", f.Hidden, takesValue}
	if f.Value != 0 {
		a.initial = f.Value.String()
	}
	return a
}

func (f *StringSliceFlag) about() about {
	return about{f.Name, f.Aliases, f.Usage, "", f.Hidden, takesValue}
}

func (f *Int64SliceFlag) about() about {
	return about{f.Name, f.Aliases, f.Usage, "", f.Hidden, takesValue}
}

func (f *BoolFlag) check(value string) error {
	if _, err := strconv.ParseBool(value); err != nil {
		return fmt.Errorf("--%s: %q is neither true nor false", f.Name, value)
	}
	return nil
}

func (f *StringFlag) check(string) error { return nil }

func (f *IntFlag) check(value string) error {
	if _, err := strconv.Atoi(value); err != nil {
		return fmt.Errorf("--%s: %q is not a number", f.Name, value)
	}
	return nil
}

func (f *DurationFlag) check(value string) error {
	if _, err := time.ParseDuration(value); err != nil {
		return fmt.Errorf("--%s: %q is not a time such as 500ms or 2s", f.Name, value)
	}
	return nil
}

func (f *StringSliceFlag) check(string) error { return nil }

func (f *Int64SliceFlag) check(value string) error {
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		return fmt.Errorf("--%s: %q is not a number", f.Name, value)
	}
	return nil
}

// has says whether the flag has the name.
func (a *about) has(name string) bool {
	if a.name == name {
		return true
	}
	for _, alias := range a.aliases {
		if alias == name {
			return true
		}
	}
	return false
}

// find returns the flag with the name, or nil.
func find(flags []Flag, name string) Flag {
	for _, f := range flags {
		if a := f.about(); a.has(name) {
			return f
		}
	}
	return nil
}

// split takes a flag as it stands on the command line apart: --name=value, -name or
// --name. ok is false for what is no flag: "-", "--" and all that does not begin with
// a dash.
func split(arg string) (name, value string, joined, ok bool) {
	if len(arg) < 2 || arg[0] != '-' || arg == "--" {
		return "", "", false, false
	}
	arg = strings.TrimPrefix(arg[1:], "-")
	name, value, joined = strings.Cut(arg, "=")
	return name, value, joined, true
}
