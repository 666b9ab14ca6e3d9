package main

import "github.com/urfave/cli/v2"

// The library finds a flag by asking every flag for its names, again and again,
// and each time splits them by a regular expression: a twentieth of a whole run.
// These wrappers know the names; all else is the library's.
type (
	boolFlag        struct{ *cli.BoolFlag }
	stringFlag      struct{ *cli.StringFlag }
	intFlag         struct{ *cli.IntFlag }
	int64Flag       struct{ *cli.Int64Flag }
	uint64Flag      struct{ *cli.Uint64Flag }
	genericFlag     struct{ *cli.GenericFlag }
	durationFlag    struct{ *cli.DurationFlag }
	stringSliceFlag struct{ *cli.StringSliceFlag }
	int64SliceFlag  struct{ *cli.Int64SliceFlag }
)

func (f boolFlag) Names() []string        { return flagNames(f.Name, f.Aliases) }
func (f stringFlag) Names() []string      { return flagNames(f.Name, f.Aliases) }
func (f intFlag) Names() []string         { return flagNames(f.Name, f.Aliases) }
func (f int64Flag) Names() []string       { return flagNames(f.Name, f.Aliases) }
func (f uint64Flag) Names() []string      { return flagNames(f.Name, f.Aliases) }
func (f genericFlag) Names() []string     { return flagNames(f.Name, f.Aliases) }
func (f durationFlag) Names() []string    { return flagNames(f.Name, f.Aliases) }
func (f stringSliceFlag) Names() []string { return flagNames(f.Name, f.Aliases) }
func (f int64SliceFlag) Names() []string  { return flagNames(f.Name, f.Aliases) }

func flagNames(name string, aliases []string) []string {
	names := make([]string, 1, 1+len(aliases))
	names[0] = name
	return append(names, aliases...)
}

// quickFlags wraps flags.
func quickFlags(flags []cli.Flag) []cli.Flag {
	quick := make([]cli.Flag, len(flags))
	for i, f := range flags {
		quick[i] = quickFlag(f)
	}
	return quick
}

// quickFlag wraps a flag. One of another type stays as it is.
func quickFlag(f cli.Flag) cli.Flag {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return boolFlag{f}
	case *cli.StringFlag:
		return stringFlag{f}
	case *cli.IntFlag:
		return intFlag{f}
	case *cli.Int64Flag:
		return int64Flag{f}
	case *cli.Uint64Flag:
		return uint64Flag{f}
	case *cli.GenericFlag:
		return genericFlag{f}
	case *cli.DurationFlag:
		return durationFlag{f}
	case *cli.StringSliceFlag:
		return stringSliceFlag{f}
	case *cli.Int64SliceFlag:
		return int64SliceFlag{f}
	}
	return f
}
