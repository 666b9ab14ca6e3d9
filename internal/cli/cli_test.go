package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// program is an App whose commands report what they were given.
func program(out io.Writer) *App {
	report := func(c *Context) error {
		fmt.Fprintf(out, "%s root=%s debug=%v all=%v bundle=%s overlay=%v,%s limit=%d wait=%s env=%q gid=%v args=%q",
			c.Command.Name, c.String("root"), c.Bool("debug"), c.Bool("all"), c.String("bundle"),
			c.IsSet("overlay"), c.String("overlay"), c.Int("limit"), c.Duration("wait"), c.StringSlice("env"), c.Int64Slice("gid"), c.Args())
		return nil
	}
	flags := []Flag{
		&BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "all of them"},
		&StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of the bundle", DefaultText: "current directory"},
		&StringFlag{Name: "overlay", Optional: true, Usage: "changes go to `DIR`"},
		&IntFlag{Name: "limit", Usage: "at most `N`"},
		&DurationFlag{Name: "wait", Value: 2 * time.Second, Usage: "so `LONG`"},
		&StringFlag{Name: "secret", Hidden: true},
	}
	shared := []Flag{
		&StringSliceFlag{Name: "env", Aliases: []string{"e"}},
		&Int64SliceFlag{Name: "gid", Aliases: []string{"g"}},
	}
	return &App{
		Name: "prog", Usage: "does things",
		Flags: []Flag{
			&BoolFlag{Name: "debug"},
			&StringFlag{Name: "root", Value: "/run", Usage: "state in `DIR`"},
		},
		Commands: []*Command{
			{Name: "kill", Usage: "end it", ArgsUsage: "ID", Description: "More.", Flags: flags, Shared: shared, Action: report},
			{Name: "exec", Usage: "run it", Flags: flags, Shared: shared, Foreign: true, Action: report},
		},
		Before:  func(c *Context) error { fmt.Fprintf(out, "before root=%s; ", c.String("root")); return nil },
		Version: func(w io.Writer) { fmt.Fprintf(w, "version 7") },
		Writer:  out,
	}
}

// TestRun: what is left out of want has its initial value.
func TestRun(t *testing.T) {
	const initial = "root=/run debug=false all=false bundle= overlay=false, limit=0 wait=2s env=[] gid=[] args=[]"
	for _, test := range []struct{ args, want string }{
		{"kill", ""},
		{"--root /r --debug kill", "root=/r|debug=true"},
		{"-root=/r -debug=false kill", "root=/r"},
		{"kill -a --bundle x one", `all=true|bundle=x|args=["one"]`},
		{"kill -b=x --all=false one", `bundle=x|args=["one"]`},
		{"kill --bundle= one", `args=["one"]`},
		{"kill -b x -b y", "bundle=y"},
		{"kill --limit -1 --wait 500ms", "limit=-1|wait=500ms"},
		{"kill --overlay one", `overlay=true,|args=["one"]`},
		{"kill --overlay=/d one", `overlay=true,/d|args=["one"]`},
		{"kill -e A=1,2 --env B -g 1 --gid 2", `env=["A=1,2" "B"]|gid=[1 2]`},
		{"kill one --limit 5", `limit=5|args=["one"]`},
		{"kill one --all two -b x", `all=true|bundle=x|args=["one" "two"]`},
		{"kill --bundle - one -", `bundle=-|args=["one" "-"]`},
		{"kill -- --all", `args=["--all"]`},
		{"kill one -- --all", `args=["one" "--" "--all"]`},
		{"kill one -9", `args=["one" "-9"]`},
		{"kill one --debug", `args=["one" "--debug"]`},
		{"exec -a one ls --all -b", `all=true|args=["one" "ls" "--all" "-b"]`},
		{"exec -- ls -a", `args=["ls" "-a"]`},
	} {
		var out strings.Builder
		if err := program(&out).Run(strings.Fields("prog " + test.args)); err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		fields := strings.Fields(initial)
		for _, want := range strings.FieldsFunc(test.want, func(r rune) bool { return r == '|' }) {
			name, _, _ := strings.Cut(want, "=")
			fields[slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, name+"=") })] = want
		}
		_, got, _ := strings.Cut(out.String(), "; ")
		if _, got, _ = strings.Cut(got, " "); got != strings.Join(fields, " ") {
			t.Errorf("%s:\n got %s\nwant %s", test.args, got, strings.Join(fields, " "))
		}
	}
}

func TestMisuse(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--nonsense kill", "no such flag: --nonsense: see prog --help"},
		{"--root", "--root: needs a value: see prog --help"},
		{"nonsense", "no such command: nonsense"},
		{"help nonsense", "no such command: nonsense"},
		{"kill --nonsense", "kill: no such flag: --nonsense: see prog kill --help"},
		{"kill one --bundle", "kill: --bundle: needs a value: see prog kill --help"},
		{"kill -a=maybe", `kill: --all: "maybe" is neither true nor false: see prog kill --help`},
		{"kill --limit x", `kill: --limit: "x" is not a number: see prog kill --help`},
		{"kill -g x", `kill: --gid: "x" is not a number: see prog kill --help`},
		{"kill --wait 5", `kill: --wait: "5" is not a time such as 500ms or 2s: see prog kill --help`},
		{"kill --version", "kill: no such flag: --version: see prog kill --help"},
	} {
		err := program(io.Discard).Run(strings.Fields("prog " + test.args))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.args, err, test.want)
		}
	}
}

func TestHelp(t *testing.T) {
	text := func(args string) string {
		var out strings.Builder
		if err := program(&out).Run(strings.Fields("prog " + args)); err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		return out.String()
	}
	general := text("")
	for _, args := range []string{"--help", "-h", "help", "--debug --help kill"} {
		if got := text(args); got != general {
			t.Errorf("%s: %s", args, got)
		}
	}
	for _, part := range []string{"prog - does things\n", "  kill          end it\n", "  --root DIR     state in DIR (default: /run)\n", "  --version, -v  print the version\n"} {
		if !strings.Contains(general, part) {
			t.Errorf("%q is not in\n%s", part, general)
		}
	}
	const want = `prog kill - end it

Usage: prog kill [FLAG...] ID

More.

Flags:
  --all, -a         all of them
  --bundle, -b DIR  DIR of the bundle (default: current directory)
  --overlay[=DIR]   changes go to DIR
  --limit N         at most N
  --wait LONG       so LONG (default: 2s)
  --env, -e         ` + `
  --gid, -g         ` + `
  --help, -h        show help
`
	for _, args := range []string{"help kill", "--root x kill --help", "kill one -h"} {
		if _, got, found := strings.Cut(text(args), "; "); found && got != want || !found && text(args) != want {
			t.Errorf("%s: %s", args, text(args))
		}
	}
	if got := text("--version"); got != "version 7" {
		t.Errorf("--version: %s", got)
	}
}
