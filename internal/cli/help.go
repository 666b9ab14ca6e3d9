package cli

import (
	"fmt"
	"io"
	"strings"
)

// printHelp tells what the program can do.
func (a *App) printHelp(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage: %[1]s [GLOBAL FLAG...] COMMAND [FLAG...] [ARG...]\n\nCommands:\n", a.Name, a.Usage)
	rows := make([][2]string, 0, len(a.Commands)+1)
	for _, c := range a.Commands {
		rows = append(rows, [2]string{c.Name, c.Usage})
	}
	rows = append(rows, [2]string{"help COMMAND", "show a command's flags and arguments, as COMMAND --help does"})
	table(&b, rows)
	b.WriteString("\nGlobal flags:\n")
	table(&b, flagRows(a.Flags, []Flag{helpFlag, versionFlag}))
	_, err := io.WriteString(w, b.String())
	return err
}

// printHelp tells what a command of the program can do.
func (c *Command) printHelp(w io.Writer, program string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s - %s\n\nUsage: %[1]s %[2]s [FLAG...] %[4]s\n", program, c.Name, c.Usage, c.ArgsUsage)
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Description)
	}
	b.WriteString("\nFlags:\n")
	table(&b, flagRows(c.Flags, c.Shared, []Flag{helpFlag}))
	_, err := io.WriteString(w, b.String())
	return err
}

// flagRows are a line of help for each flag that is not hidden.
func flagRows(lists ...[]Flag) (rows [][2]string) {
	for _, flags := range lists {
		for _, f := range flags {
			if a := f.about(); !a.hidden {
				rows = append(rows, [2]string{a.synopsis(), a.description()})
			}
		}
	}
	return rows
}

// synopsis is how the flag is written: all of its names, with the name of the value.
func (a *about) synopsis() string {
	var b strings.Builder
	for i, name := range append([]string{a.name}, a.aliases...) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("--"[:min(len(name), 2)] + name)
	}
	if _, value, _ := a.valueName(); value != "" {
		switch a.takes {
		case takesValue:
			b.WriteString(" " + value)
		case takesOptional:
			b.WriteString("[=" + value + "]")
		}
	}
	return b.String()
}

// description is the usage, with what holds where the flag is not given.
func (a *about) description() string {
	before, value, after := a.valueName()
	text := before + value + after
	if a.initial != "" {
		text += " (default: " + a.initial + ")"
	}
	return text
}

// valueName takes the usage apart at its backquotes.
func (a *about) valueName() (before, value, after string) {
	before, rest, _ := strings.Cut(a.usage, "`")
	value, after, _ = strings.Cut(rest, "`")
	return before, value, after
}

// table writes rows of two columns.
func table(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, row[0], row[1])
	}
}
