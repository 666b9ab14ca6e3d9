// Package runlog writes the file of --log: what an engine reads when a command
// has failed.
//
// A record is one line and one write(2) on a descriptor opened with O_APPEND,
// so that records of several commands that share a file do not mix. The text
// form is that of logfmt, the JSON form is what containerd, podman and CRI-O
// parse:
//
//	time="2025-01-02T03:04:05Z" level=error msg="..."
//	{"level":"error","msg":"...","time":"2025-01-02T03:04:05Z"}
//
// Podman parses the whole file as a single JSON object, so a failed command must
// leave exactly one record: warnings are kept back until [Log.Close] and dropped
// when there was an error.
//
// With --debug and no file the records go to standard error, where errors do not
// need one: the command prints them there.
package runlog

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Log is an open log. A nil *Log takes records and writes nothing, so a command
// without --log needs no case of its own. It is safe for concurrent use.
type Log struct {
	path  string
	fd    int
	json  bool
	debug bool
	shown bool // on standard error, where errors are printed without it

	mu       sync.Mutex
	warnings []byte // records kept back
	failed   bool   // an error was written
	err      error  // the first failure to write
}

// Open opens the log at path: created with mode 0644 (less the umask) if it is
// missing, never truncated. It is opened at once, so that a path that cannot be
// written fails before anything is done, but nothing is written without need.
// format is "text", "json", or "" for text. With debug, Debug writes and warnings
// are not kept back.
//
// An empty path opens nothing, after format has been checked: what is returned is nil,
// or with debug a log to standard error. A failure to open is an *os.PathError.
func Open(path, format string, debug bool) (*Log, error) {
	switch format {
	case "", "text", "json":
	default:
		return nil, fmt.Errorf("invalid log format %q: use text or json", format)
	}
	switch {
	case path == "" && debug:
		return &Log{path: "/dev/stderr", fd: unix.Stderr, json: format == "json", debug: true, shown: true}, nil
	case path == "":
		return nil, nil
	}
	for {
		// Not os.OpenFile, which would set up Go's poller for a file that
		// is hardly ever written.
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY, 0o644)
		if err == nil {
			return &Log{path: path, fd: fd, json: format == "json", debug: debug}, nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// Error writes the record that an engine shows to its user. A command should
// write one at most.
func (l *Log) Error(msg string) {
	if l == nil || l.shown {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = true
	l.write(l.record(nil, "error", msg))
}

// Warn takes a warning, which Close writes unless an error makes it moot.
func (l *Log) Warn(msg string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.debug {
		l.write(l.record(nil, "warning", msg))
		return
	}
	l.warnings = l.record(l.warnings, "warning", msg)
}

// Debugging reports whether Debug writes, for a caller whose message is costly
// to make.
func (l *Log) Debugging() bool { return l != nil && l.debug }

// Debug writes msg if the log was opened for it.
func (l *Log) Debug(msg string) {
	if !l.Debugging() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(l.record(nil, "debug", msg))
}

// Close writes the warnings kept back, unless there was an error, and closes the
// file. It returns the first failure to write, an *os.PathError. Nothing may be
// called after it.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed && len(l.warnings) > 0 {
		l.write(l.warnings)
	}
	if !l.shown {
		unix.Close(l.fd)
	}
	return l.err
}

// write writes whole records with one system call. What the kernel takes only a
// part of (a full disk, a pipe) is not completed: the rest of a line after
// another process's record helps nobody.
func (l *Log) write(b []byte) {
	for {
		n, err := unix.Write(l.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n < len(b) {
			err = unix.ENOSPC
		}
		if err != nil && l.err == nil {
			l.err = &os.PathError{Op: "write", Path: l.path, Err: err}
		}
		return
	}
}

// record appends one line to b. The time is in UTC, because the local one needs
// the zone file of the system read.
func (l *Log) record(b []byte, level, msg string) []byte {
	now := time.Now().UTC()
	b = slices.Grow(b, len(msg)+80)
	if l.json {
		b = append(b, `{"level":"`...)
		b = append(b, level...)
		b = append(b, `","msg":`...)
		b = appendJSON(b, msg)
		b = append(b, `,"time":"`...)
		b = now.AppendFormat(b, time.RFC3339)
		return append(b, "\"}\n"...)
	}
	b = append(b, `time="`...)
	b = now.AppendFormat(b, time.RFC3339)
	b = append(b, `" level=`...)
	b = append(b, level...)
	b = append(b, ` msg=`...)
	b = strconv.AppendQuote(b, msg)
	return append(b, '\n')
}

// appendJSON appends s as a JSON string (RFC 8259). What is not UTF-8, a file
// name for instance, becomes U+FFFD, because JSON has no form for it.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r == utf8.RuneError || r == '\u2028' || r == '\u2029':
			// The two separators end a line in JavaScript.
			b = append(b, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return append(b, '"')
}
