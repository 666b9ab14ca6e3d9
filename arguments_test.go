package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestFlagsFirst(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"update ID --pids-limit 5", "update --pids-limit 5 ID"},
		{"update ID --pids-limit=5 --memory 6m", "update --pids-limit=5 --memory 6m ID"},
		{"update -r - ID", "update -r - ID"},
		{"update ID -r -", "update -r - ID"},
		{"--root /r --debug delete ID --force", "--root /r --debug delete --force ID"},
		{"--root=/r kill ID KILL --all", "--root=/r kill --all ID KILL"},
		{"kill ID -- --all", "kill ID -- --all"},
		{"kill ID --nonsense", "kill ID --nonsense"},
		{"run bundle/ --overlay ID", "run --overlay bundle/ ID"},
		{"run ID --bundle", "run --bundle ID"},
		{"delete ID --help", "delete --help ID"},
		{"exec ID ls --all", "exec ID ls --all"},
		{"--root /r exec ID ls -c x", "--root /r exec ID ls -c x"},
		{"ps ID -ef", "ps ID -ef"},
		{"spec ls --bundle x", "spec ls --bundle x"},
		{"--nonsense kill ID --all", "--nonsense kill ID --all"},
		{"nonsense ID --all", "nonsense ID --all"},
		{"--root", "--root"},
		{"", ""},
	} {
		args := append([]string{"oci-mini"}, strings.Fields(test.args)...)
		want := append([]string{"oci-mini"}, strings.Fields(test.want)...)
		if got := prepare(newApp(), slices.Clone(args)); !slices.Equal(got, want) {
			t.Errorf("%q became %q", test.args, got[1:])
		}
	}
}

// TestPrepare: the library is given the flags that a command line needs, and all of them
// where it may have to tell about them.
func TestPrepare(t *testing.T) {
	const always = "log-format rootless cgroup-manager"
	for _, test := range []struct{ args, global, command string }{
		{"--root /r state ID", "root " + always, ""},
		{"--log=/l --debug delete -f ID", "debug log " + always, "force"},
		{"list", always, "format"},
		{"run bundle/ --overlay=/x -d", always, "detach overlay"},
		{"exec -e A=1 --env B=2 ID ls --tty", always, "env e"},
		{"events ID", always, "interval"},
	} {
		app := newApp()
		prepare(app, append([]string{"oci-mini"}, strings.Fields(test.args)...))
		if len(app.Commands) != 1 {
			t.Errorf("%s: %d commands", test.args, len(app.Commands))
			continue
		}
		for _, have := range []struct {
			flags []cli.Flag
			want  string
		}{{app.Flags, test.global}, {app.Commands[0].Flags, test.command}} {
			var names []string
			for _, f := range have.flags {
				names = append(names, f.Names()[0])
			}
			got, want := slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(strings.Fields(have.want)))
			if !slices.Equal(got, want) {
				t.Errorf("%s: flags %q, want %q", test.args, got, want)
			}
		}
	}
	for _, args := range []string{"", "--help", "run --help", "kill ID -h", "--nonsense run", "run --nonsense", "nonsense", "help run"} {
		app, all := newApp(), newApp()
		prepare(app, append([]string{"oci-mini"}, strings.Fields(args)...))
		if len(app.Commands) != len(all.Commands) || len(app.Flags) != len(all.Flags) {
			t.Errorf("%q: %d commands and %d global flags are left", args, len(app.Commands), len(app.Flags))
		}
	}
}

// TestNeeded: a flag that is something without being given stays.
func TestNeeded(t *testing.T) {
	flags := quickFlags([]cli.Flag{
		&cli.IntFlag{Name: "number", Value: -1}, &cli.IntFlag{Name: "none"}, &cli.StringFlag{Name: "word", Value: "x"},
		&cli.BoolFlag{Name: "given"}, &cli.BoolFlag{Name: "not-given"},
	})
	var names []string
	for _, f := range needed(flags, []string{"given"}) {
		names = append(names, f.Names()[0])
	}
	if want := []string{"number", "word", "given"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
