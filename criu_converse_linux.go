package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/criu"
)

// converse asks CRIU and does the runtime's part of what it tells of, until it is done. What fails
// there has CRIU give up: at a checkpoint the container goes on then. A CRIU that is killed instead
// would leave it with CRIU's own code in its processes. heed's error ends the waiting at once, and so
// does what CRIU does not heed; the caller is to end it.
func (r *criuRequest) converse(s *criu.Session, kind criu.Kind, heed func() error, do func(*criu.Answer) error) (*criu.Answer, error) {
	if err := s.Begin(); err != nil {
		return nil, err
	}
	if err := s.Ask(kind, &r.Options, criu.Features{}); err != nil {
		return nil, err
	}
	var failed error // what it has given up for
	for {
		var ended error
		a, err := s.Next(func() error { ended = heed(); return ended })
		switch {
		case failed != nil && (err != nil || a.Notice == ""):
			return nil, failed
		case ended != nil:
			return nil, ended
		case err != nil:
			return nil, r.explained(kind, err)
		case a.Notice == "" && a.Success:
			return a, nil
		case a.Notice == "":
			err = errors.New("criu could not do it")
			if a.Message != "" {
				err = errors.New(criu.Clean(a.Message))
			}
			return nil, r.explained(kind, err)
		}
		if failed == nil {
			failed = do(a)
		}
		if a.Fd >= 0 {
			unix.Close(a.Fd)
		}
		answer := s.Go
		if failed != nil {
			if !a.Heeds() {
				return nil, failed
			}
			answer = s.Deny
		}
		if err := answer(); err != nil && failed == nil {
			return nil, r.explained(kind, err)
		}
	}
}

// explained adds the last errors of CRIU's log to what is known of a failure, and where the
// whole of it is.
func (r *criuRequest) explained(kind criu.Kind, err error) error {
	lines := criu.LastErrors(r.logPath())
	if len(lines) > 0 {
		err = fmt.Errorf("%s; the whole log is %s", strings.Join(lines, "; "), r.logPath())
	}
	return &criuError{kind, err}
}

// criuError is a failure of CRIU itself.
type criuError struct {
	kind criu.Kind
	err  error
}

func (e *criuError) Error() string { return fmt.Sprintf("criu %s: %v", e.kind, e.err) }
func (e *criuError) Unwrap() error { return e.err }

// statusReady tells whoever waits at --status-fd that the pages can be asked for.
func (r *criuRequest) statusReady() error {
	if r.statusFd < 0 {
		return nil
	}
	_, err := unix.Write(r.statusFd, []byte{0})
	unix.Close(r.statusFd)
	r.statusFd = -1
	return os.NewSyscallError("write --status-fd", err)
}

// criuHint is advice for what CRIU says, or "".
func criuHint(err error) string {
	var failed *criuError
	text := err.Error()
	switch {
	case errors.Is(err, criu.ErrMissing):
		return "checkpoint and restore are done by CRIU: install the package criu"
	case !errors.As(err, &failed):
		return ""
	case strings.Contains(text, "iptables-restore"):
		return "CRIU calls iptables to lock the network: install it, or give --network-lock nftables or skip"
	case strings.Contains(text, "--shell-job"):
		return "the container has a terminal or session of somebody outside: give --shell-job to checkpoint and to restore"
	case strings.Contains(text, "tcp-established"), strings.Contains(text, "Connected TCP socket in image"):
		return "give --tcp-established to checkpoint and to restore"
	case strings.Contains(text, "ext-unix-sk"), strings.Contains(text, "External socket is used"):
		return "give --ext-unix-sk to checkpoint and to restore"
	case strings.Contains(text, "without peer"):
		return "a UNIX socket of the container is connected to one outside, which CRIU keeps only if both are in one network namespace, with --ext-unix-sk"
	case strings.Contains(text, "skip-in-flight"):
		return "give --tcp-skip-in-flight to checkpoint"
	case strings.Contains(text, "link-remap"):
		return "give --link-remap to checkpoint"
	case strings.Contains(text, "has bad size"):
		return "a file that a process had open must be as long as it was, unless it was opened to append (>>)"
	case strings.Contains(text, "file-locks"), strings.Contains(text, "Some file locks"):
		return "give --file-locks to checkpoint and to restore"
	case strings.Contains(text, "ghost file"):
		return "the setting ghost-limit in the file of org.criu.config is how much of a file without a name CRIU keeps"
	case strings.Contains(text, "vdso"), strings.Contains(text, "kerndat"):
		return "criu check tells whether this kernel and this CRIU suit each other"
	}
	return ""
}
