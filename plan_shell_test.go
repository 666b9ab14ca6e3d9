package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oci-mini/oci-mini/internal/plan"
	"github.com/oci-mini/oci-mini/spec"
)

// goldenScripts are the planCases whose script is held to a file.
var goldenScripts = []string{"default-v2", "resources-v1", "user", "joined-namespaces", "joined-mount-namespace", "scheduling", "time-namespace", "user-namespace", "rootless", "rootless-ranges"}

// untyped are the planCases with steps that no shell command stands for yet.
var untyped = []string{"mount-copies-and-links", "net-devices"}

// TestScripts: every plan becomes a script that a shell can parse and in which no
// step is missing but those that are known to be.
func TestScripts(t *testing.T) {
	for _, c := range planCases {
		t.Run(c.name, func(t *testing.T) {
			s := spec.Default()
			if c.edit != nil {
				c.edit(s)
			}
			b, err := newBirth("web", "/bundle", "/bundle/rootfs", s, c.host("root:x:0:0::/root:/bin/sh\n"), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			b.explains = true
			p := b.plan()
			var got bytes.Buffer
			if err := p.Script(&got); err != nil {
				t.Fatal(err)
			}
			for _, step := range p.Steps {
				if len(step.Shell) > 0 {
					continue
				}
				// What has no translation yet must be told by the script itself.
				if !strings.HasPrefix(step.Field, "/hooks/") && !slices.Contains(untyped, c.name) {
					t.Errorf("nothing is typed for the step %q", step.Words)
				}
				if said := "not in this script: " + step.Words; !strings.Contains(got.String(), plan.Quote(said)) {
					t.Errorf("the script does not say %q", said)
				}
			}
			checkSyntax(t, got.Bytes())
			if !slices.Contains(goldenScripts, c.name) {
				return
			}
			golden := filepath.Join("testdata", "plan", c.name+".sh")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the script differs from %s (go test -run TestScripts -update . accepts it):\n%s", golden, diff(string(want), got.String()))
			}
		})
	}
}

// TestNothingIsTypedUnasked: a container that starts does not pay for its script.
func TestNothingIsTypedUnasked(t *testing.T) {
	b, err := newBirth("web", "/bundle", "/bundle/rootfs", spec.Default(), testHost(legacy, ""), birthOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range b.plan().Steps {
		for _, line := range step.Shell {
			if !strings.HasPrefix(line, "#") {
				t.Errorf("the step %q has the line %q", step.Words, line)
			}
		}
	}
}

// checkSyntax has a shell parse both halves of the script.
func checkSyntax(t *testing.T, script []byte) {
	t.Helper()
	head, rest, ok := strings.Cut(string(script), ") 3<<'")
	end, inner, ok2 := strings.Cut(rest, "'\n")
	inner, after, ok3 := strings.Cut(inner, "\n"+end+"\n")
	if !ok || !ok2 || !ok3 || after != "" {
		t.Fatalf("the script does not consist of two halves:\n%s", script)
	}
	for _, half := range []string{head + ")\n", inner} {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(half)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s in\n%s", err, out, half)
		}
	}
}

func TestShellOptions(t *testing.T) {
	for _, c := range []struct {
		options                       []string
		late                          bool
		plain, recursive, propagation string
		left                          string
	}{
		{options: []string{"rbind", "rro", "nosuid", "rprivate"}, plain: "nosuid", recursive: "ro", propagation: "rprivate"},
		{options: []string{"ro", "size=1k,mode=755", "defaults"}, plain: "ro size=1k,mode=755"},
		{options: []string{"ro", "noexec"}, late: true, plain: "noexec"},
		{options: []string{"ratime", "sync", "tmpcopyup"}, plain: "sync", recursive: "atime", left: "tmpcopyup"},
	} {
		m := &mount{late: c.late}
		m.Options = c.options
		plain, recursive, propagation, left := m.shellOptions()
		for _, x := range []struct{ got, want string }{
			{strings.Join(plain, " "), c.plain}, {strings.Join(recursive, " "), c.recursive},
			{strings.Join(propagation, " "), c.propagation}, {strings.Join(left, " "), c.left},
		} {
			if x.got != x.want {
				t.Errorf("%v: %q, should be %q", c.options, x.got, x.want)
			}
		}
	}
}

func TestInShellRoot(t *testing.T) {
	for p, want := range map[string]string{"/": plan.ShellRoot, "dev": plan.ShellRoot + "/dev", "/a b/../c d": plan.ShellRoot + "'/c d'"} {
		if got := inShellRoot(p); got != want {
			t.Errorf("%q is %s, should be %s", p, got, want)
		}
	}
}
