package plan

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// words are what a config may hold, however unkind.
var words = []string{
	"", "plain", "two words", " ", "\t", "\n", "a\nb\n", "'", "''", "it's", `"`, `a"b"c`, "$", "$HOME", "${x}", "$(id)", "`id`",
	`\`, `\\`, `\'`, `a\`, `'\''`, "*", "?", "[a]", "~", "~root", "!", "!!", "#", "a#b", "&", ";", "|", "<", ">", "(", ")", "{a,b}",
	"-n", "-e", "--", "--x=y", "a=b", "=", "if", "done", "%s", "%", "^", "é", "\x01", "\x7f", "\xff", "CONTAINER", "a\nCONTAINER\nid",
}

// TestQuote has a shell read each word back.
func TestQuote(t *testing.T) {
	for _, shell := range shells(t) {
		for _, w := range words {
			if got := output(t, shell, "printf %s "+Quote(w)); got != w {
				t.Errorf("%v: %q as %s reads %q", shell, w, Quote(w), got)
			}
		}
		if got := output(t, shell, "printf '%s\\n' "+Command(words...)); got != strings.Join(words, "\n")+"\n" {
			t.Errorf("%v: all words together read %q", shell, got)
		}
	}
}

func TestQuoteIsReadable(t *testing.T) {
	for word, want := range map[string]string{"/a/b-c_d.e": "/a/b-c_d.e", "--x=y,+z": "--x=y,+z", "a b": "'a b'", "it's": `'it'\''s'`, "": "''"} {
		if got := Quote(word); got != want {
			t.Errorf("%q is %s, should be %s", word, got, want)
		}
	}
	for first, want := range map[string]string{"mount": "mount x", "a=b": "'a=b' x", "if": "'if' x"} {
		if got := Command(first, "x"); got != want {
			t.Errorf("a command %q is %s, should be %s", first, got, want)
		}
	}
}

// TestComments: nothing of a step's words may become a command.
func TestComments(t *testing.T) {
	for _, shell := range shells(t) {
		for _, w := range words {
			s := Step{Field: "/" + w, Words: "do " + w, Shell: []string{Remark(w), "echo end"}}
			var b strings.Builder
			s.shell(&b, 0)
			if got := output(t, shell, b.String()); got != "end\n" {
				t.Errorf("%v: %q in a comment does %q", shell, w, got)
			}
		}
	}
}

// TestScript runs a script whose clone is no clone, so that it needs no root: all
// its lines arrive, in their order, and standard input stays the caller's.
func TestScript(t *testing.T) {
	p := &Plan{}
	p.Add(Step{By: Runtime, Words: "one", Shell: []string{"x=outer", "export x"}})
	p.AddClone(Step{By: Runtime, Words: "clone", Shell: []string{"echo entering", "exec env"}})
	p.Add(
		Step{By: Init, Words: "two", Shell: []string{`echo "$x"`, Remark("nothing")}},
		Step{By: Init, Words: "three\nCONTAINER\necho not this", Shell: []string{"echo 'a\nCONTAINER\nb'"}},
		Step{By: Init, Words: "four, that's left out"},
		Step{By: Init, Words: "five", Shell: []string{"if false; then host mkdir x; fi", "cat", "exit 9"}},
	)
	var script bytes.Buffer
	if err := p.Script(&script); err != nil {
		t.Fatal(err)
	}
	if want := "\ntools='setpriv env mkdir'\n"; !strings.Contains(script.String(), want) {
		t.Errorf("no line %q in the script", want)
	}
	for _, shell := range shells(t) {
		cmd := exec.Command(shell[0], append(shell[1:], "-c", script.String())...)
		cmd.Stdin = strings.NewReader("input\n")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if want := "entering\nouter\na\nCONTAINER\nb\ninput\n"; string(out) != want {
			t.Errorf("%v: the script prints %q, should print %q", shell, out, want)
		}
		if want := "not in this script: four, that's left out\n"; stderr.String() != want {
			t.Errorf("%v: the script complains %q, should say %q", shell, stderr.String(), want)
		}
		if cmd.ProcessState.ExitCode() != 9 {
			t.Errorf("%v: %v instead of exit status 9", shell, err)
		}
	}
}

// TestScriptStopsAtAFailure: each half ends at its first command that fails.
func TestScriptStopsAtAFailure(t *testing.T) {
	for _, c := range []struct{ outer, clone, inner string }{{"false", ":", ":"}, {":", "false", ":"}, {":", ":", "false"}} {
		p := &Plan{}
		p.Add(Step{By: Runtime, Words: "one", Shell: []string{c.outer}})
		p.AddClone(Step{By: Runtime, Words: "clone", Shell: []string{c.clone, "exec env"}})
		p.Add(Step{By: Init, Words: "two", Shell: []string{c.inner, "echo reached"}})
		var script bytes.Buffer
		if err := p.Script(&script); err != nil {
			t.Fatal(err)
		}
		for _, shell := range shells(t) {
			out, err := exec.Command(shell[0], append(shell[1:], "-c", script.String())...).Output()
			if err == nil || len(out) > 0 {
				t.Errorf("%v: %v goes on to %q", shell, c, out)
			}
		}
	}
}

func TestScriptNeedsAClone(t *testing.T) {
	p := &Plan{}
	p.AddClone(Step{By: Runtime, Words: "clone"})
	if err := p.Script(io.Discard); err == nil {
		t.Error("a plan whose clone has no commands makes a script")
	}
}

func TestToolsIn(t *testing.T) {
	for line, want := range map[string]string{
		"host mount -n a b":                      "mount",
		"\thost umount x":                        "umount",
		"if [ -e x ]; then host rmdir x; fi":     "rmdir",
		"host chown 1 x || host rm y":            "chown rm",
		"mount host":                             "",
		"exec x 'host evil' 'a'\\''host evil b'": "",
		"exec x ghost evil":                      "",
	} {
		if got := strings.Join(toolsIn(line), " "); got != want {
			t.Errorf("%s needs %q, should need %q", line, got, want)
		}
	}
}

// shells are those that this machine has.
func shells(t *testing.T) [][]string {
	var found [][]string
	for _, s := range [][]string{{"sh"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(s[0]); err == nil {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		t.Skip("no shell")
	}
	return found
}

func output(t *testing.T, shell []string, script string) string {
	t.Helper()
	out, err := exec.Command(shell[0], append(shell[1:], "-c", script)...).Output()
	if err != nil {
		t.Errorf("%v: %q: %v", shell, script, err)
	}
	return string(out)
}
