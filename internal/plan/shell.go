package plan

import (
	"fmt"
	"io"
	"strings"
)

// Commands that the lines of [Step.Shell] may use besides those of a system's
// own PATH. The script defines them.
const (
	// HostCommand in front of a command runs the host's program of that name. It
	// is the only way to one once the root has changed.
	HostCommand = "host"
	// ShellRoot stands for the container's root until the root has changed.
	ShellRoot = `"$root"`
)

// Quote returns a word for a shell: as it is where no character in it means
// anything to a shell, in single quotes otherwise.
func Quote(word string) string {
	plain := word != ""
	for i := range len(word) {
		c := word[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/._-+:,@%=", c) >= 0) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return inQuotes(word)
}

func inQuotes(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Command returns a line of quoted words, the first of which is a command: a word
// such as a=b or if would be something else there.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
		if i == 0 && !isCommand(w) {
			quoted[i] = inQuotes(w)
		}
	}
	return strings.Join(quoted, " ")
}

// isCommand says whether a first word is surely the name of a program.
func isCommand(word string) bool {
	switch word {
	case "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in":
		return false
	}
	return !strings.Contains(word, "=")
}

// Remark is a line for [Step.Shell] that does nothing and tells why.
func Remark(text string) string { return "# " + oneComment(text) }

// oneComment keeps a text from ending the comment that it stands in.
func oneComment(text string) string { return strings.ReplaceAll(text, "\n", "\n#   ") }

// shellHead is what the script begins with.
const shellHead = `#!/bin/sh
# The container as the commands that a person would type, by oci-mini explain.
# Run it as %s. It stays until the container ends, and removes its cgroups.
#
# What the runtime does and a shell cannot do in the same way:
# - A shell goes by names. The runtime makes every mount detached and attaches it
#   to an open directory; here a symbolic link in the image may lead outside.
#   Use the script for images that you trust.
# - Commands run between the steps as processes, and are counted and limited as
#   parts of the container. A shell stays as its parent.
# - Changing a mount's attributes with mount(8) resets those that are not named.
# - The runtime's binary needs no protection: it is not in the container. The
#   script's shell and the host's tools are, until the last exec.
# - The caller's terminal is the container's, without a pty in between.
# - Without its program on PATH the container fails at its end, not before.
`

// hostTools is how programs of the host are used where the host's root is out of
// sight: they are copied with their libraries to a memory file system, whose only
// handle is the current directory, and started by their own loader.
const hostTools = `
# Programs of the host for the time behind pivot_root. They lie in a memory file
# system that is no longer mounted then: only the current directory holds it.
ld= arch=
host() {
	tool=$1
	shift
	$ld "./$tool" "$@"
}
fetch_tools() {
	for tool; do
		file=$(command -v "$tool")
		cp -L "$file" .
		for library in $(ldd "$file" 2>/dev/null | tr ' \t' '\n\n' | grep '^/' || :); do
			cp -L "$library" .
			case $library in
			*/ld-* | */ld[0-9]* | */ld.so*) ld="./${library##*/} --library-path ." ;;
			esac
		done
	done
}
`

// Script writes the Plan as one for a shell: what the runtime does before the clone, then
// the commands of the clone, the last of which starts the script's second half
// in the container, then the steps behind it.
func (p *Plan) Script(w io.Writer) error {
	var outer, inner strings.Builder
	for i := range p.Clone {
		p.Steps[i].shell(&outer, i)
	}
	tools := []string{"setpriv", "env"}
	seen := map[string]bool{"setpriv": true, "env": true}
	for i := p.Clone + 1; i < len(p.Steps); i++ {
		s := &p.Steps[i]
		s.shell(&inner, i)
		for _, line := range s.Shell {
			for _, name := range toolsIn(line) {
				if !seen[name] {
					seen[name] = true
					tools = append(tools, name)
				}
			}
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, shellHead, p.Caller)
	b.WriteString("set -eu\numask 022\nPATH=$PATH:/usr/sbin:/sbin\nexport PATH\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n")
	b.WriteString(outer.String())

	clone := p.Steps[p.Clone]
	last := len(clone.Shell) - 1
	if last < 0 {
		return fmt.Errorf("the plan has no commands for: %s", clone.Words)
	}
	end := "CONTAINER"
	for strings.Contains("\n"+inner.String(), "\n"+end+"\n") {
		end += "_"
	}
	// The text comes through a descriptor, for the container gets the standard
	// input, and from outside of the parentheses, for its writer is a process too.
	// A shell stays in between, and not unshare --fork, which in util-linux 2.38
	// fails where a first process was ended by SIGKILL.
	// It is read, not opened by name again, for the root of a user namespace has no
	// right to a file of the caller's.
	start := clone.Shell[last] + ` sh -c "sh -eu -c 'eval \"\$(cat <&3)\"'; exit \$?"`
	remark := Remark("the second shell is the first process in the new pid namespace; the first one waits for it")
	clone.Shell = append(append([]string{"("}, clone.Shell[:last]...), remark, start, ") 3<<'"+end+"'")
	clone.shell(&b, p.Clone)
	b.WriteString("tools=" + Quote(strings.Join(tools, " ")) + hostTools)
	b.WriteString(inner.String())
	b.WriteString(end + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// shell writes one step. One that says nothing about shells is announced when the
// script runs: its effect is missing.
func (s *Step) shell(b *strings.Builder, i int) {
	title := fmt.Sprintf("%d. %s", i+1, s.Words)
	if s.Field != "" {
		title += " (" + s.Field + ")"
	}
	b.WriteString("\n# " + oneComment(title) + "\n")
	lines := s.Shell
	if len(lines) == 0 {
		lines = []string{"echo " + Quote("not in this script: "+s.Words) + " >&2"}
	}
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
}

// toolsIn lists the programs that a line asks the host for. What stands in
// quotes is an argument, not a command.
func toolsIn(line string) []string {
	var names []string
	line = strings.ReplaceAll(line, `'\''`, "")
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			continue
		}
		words := strings.Fields(part)
		for i := range len(words) - 1 {
			if words[i] == HostCommand {
				names = append(names, words[i+1])
			}
		}
	}
	return names
}
