package criu

import (
	"bytes"
	"io"
	"os"
	"strings"
	"unicode"
)

// The end of a log is enough for its last errors: CRIU gives up at the first that matters,
// and says so at every level that it comes through.
const (
	logTail   = 256 << 10
	lastLines = 4
)

// LastErrors are the last lines of CRIU's log that tell of errors, in their order and
// without the time; none if there is no log.
func LastErrors(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	text := make([]byte, min(st.Size(), logTail))
	n, _ := f.ReadAt(text, max(st.Size()-logTail, 0))
	var lines []string
	for line := range bytes.Lines(text[:n]) {
		// Before it are the time and the process that wrote it.
		if at := bytes.Index(line, []byte("Error (")); at >= 0 {
			lines = append(lines, Clean(string(line[at:])))
		}
	}
	return lines[max(len(lines)-lastLines, 0):]
}

// The directory that CRIU makes for the mounts of a restore (create_mnt_roots of criu/mount.c).
const (
	rootsBegin = "/tmp/.criu.mntns."
	rootsMore  = 6 // letters and digits of mkdtemp(3)
	logHead    = 8 << 20
)

// Roots is that directory by CRIU's log, or "".
func Roots(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, logHead))
	_, after, _ := bytes.Cut(text, []byte(rootsBegin))
	if len(after) < rootsMore || bytes.ContainsFunc(after[:rootsMore], func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return ""
	}
	return rootsBegin + string(after[:rootsMore])
}

// Clean makes one line of a text that others may have had a part in, without what a
// terminal would take for a command.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(text))
}
