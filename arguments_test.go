package main

import (
	"slices"
	"strings"
	"testing"
)

func TestFlagsFirst(t *testing.T) {
	app := newApp()
	app.Flags = quickFlags(app.Flags)
	for _, c := range app.Commands {
		c.Flags = quickFlags(c.Flags)
	}
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
		if got := flagsFirst(app, slices.Clone(args)); !slices.Equal(got, want) {
			t.Errorf("%q became %q", test.args, got[1:])
		}
	}
}
