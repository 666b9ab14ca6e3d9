package hooks

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

// Error is a hook that was executed and did not succeed. Exactly one of Status,
// Signal, Timeout and Interrupt says why.
type Error struct {
	Path      string
	Status    int           // exit status
	Signal    unix.Signal   // that killed it
	Timeout   time.Duration // that was over
	Interrupt os.Signal     // to the runtime, which therefore killed it
	// Stderr is the end of what it wrote to standard error, in one printable line.
	Stderr string
}

// Error tells it in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("hook ")
	b.WriteString(clean(e.Path))
	switch {
	case e.Timeout > 0:
		fmt.Fprintf(&b, ": killed after %v (timeout)", e.Timeout)
	case e.Interrupt != nil:
		fmt.Fprintf(&b, ": killed because the runtime got the signal %v", e.Interrupt)
	case e.Signal != 0:
		fmt.Fprintf(&b, ": killed by signal %d", int(e.Signal))
		if name := unix.SignalName(e.Signal); name != "" {
			b.WriteString(" (" + name + ")")
		}
	default:
		fmt.Fprintf(&b, ": exit status %d", e.Status)
	}
	if e.Stderr != "" {
		b.WriteString(": " + e.Stderr)
	}
	return b.String()
}

// Unwrap makes a hook that took too long [os.ErrDeadlineExceeded].
func (e *Error) Unwrap() error {
	if e.Timeout > 0 {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// missing explains an execve(2) that found nothing: it says the same for a missing
// program and for one whose interpreter is missing.
func missing(path string, f *program.Failure) error {
	if unix.Access(path, unix.F_OK) == nil {
		return fmt.Errorf("%w; the file exists, so it is its interpreter that does not", f)
	}
	return f
}

const (
	tailBytes = 512
	tailLines = 4
)

// tail keeps the end of a text of any length.
type tail struct{ kept []byte }

// add appends to the text. What is kept is more than is shown, so that blank lines
// and what must be cut off do not leave it empty.
func (t *tail) add(b []byte) {
	const keep = 2 * tailBytes
	if len(b) > keep {
		b = b[len(b)-keep:]
	}
	if over := len(t.kept) + len(b) - keep; over > 0 {
		t.kept = t.kept[:copy(t.kept, t.kept[over:])]
	}
	t.kept = append(t.kept, b...)
}

// String is the end of the text: at most four lines that are not blank, and at most
// 512 bytes, in one line of printable characters.
func (t *tail) String() string {
	var lines []string
	for line := range strings.SplitSeq(string(t.kept), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, clean(line))
		}
	}
	text := strings.Join(lines[max(len(lines)-tailLines, 0):], "; ")
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
		for len(text) > 0 && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	return text
}

// clean escapes what would not show on a terminal, or would show something else.
func clean(s string) string {
	q := strconv.AppendQuote(nil, s)
	q = q[1 : len(q)-1]
	// The quotation marks are gone; what stood inside needs no escape.
	return strings.ReplaceAll(string(q), `\"`, `"`)
}
