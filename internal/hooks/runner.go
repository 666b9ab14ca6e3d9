package hooks

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
	"github.com/oci-mini/oci-mini/internal/userns"
)

// Runner says how hooks are run. The zero Runner runs them in the runtime's
// namespaces and its current directory, and drops what they write.
type Runner struct {
	// Dir is the working directory, absolute: the bundle for hooks in the
	// runtime's namespaces. It is entered after the mount namespace, and before
	// the user becomes root of the user namespace: a bundle below a directory
	// that only the runtime's user may enter does no harm. Empty means the current
	// one, or the root of the mount namespace that was joined.
	Dir string
	// Stdout and Stderr are what the hook writes to. Without Stdout, that is
	// /dev/null; without Stderr, a pipe whose last lines become part of the
	// error.
	Stdout, Stderr *os.File
	// FileLimit is the hook's RLIMIT_NOFILE, nil for the runtime's own. The Go
	// runtime raises its soft limit at its start, so that a caller who wants the
	// hook to have what every other program of the host has must say what that was.
	FileLimit *unix.Rlimit
	// Interrupt aborts the hook at the first signal that arrives.
	Interrupt <-chan os.Signal
	// In is where the hook runs; nil means in the runtime's namespaces.
	In *Namespaces
}

// Namespaces are those of a process, for a hook to run in.
//
// While the hook's process sets itself up there, it cannot be dumped or traced by
// those who live there (PR_SET_DUMPABLE, CVE-2016-9962), unless they have
// CAP_SYS_PTRACE in the runtime's user namespace. It has a session of its own, so
// that the runtime's terminal is out of reach.
type Namespaces struct {
	// Pidfd is of the process; Flags are CLONE_NEW* flags of those of its
	// namespaces that are not the runtime's (setns(2), Linux 5.8). With
	// CLONE_NEWUSER, the hook is user and group 0 there.
	//
	// Joining the mount namespace makes the root of its mount tree the hook's
	// root. Before the process has called pivot_root(2) that is the root of the
	// host's tree as copied at the clone, with the container's mounts in it: paths
	// mean what they mean to the runtime, unless that is itself in a chroot.
	// Afterwards it is the container's root.
	Pidfd int
	Flags uint64
	// Users says what becomes of the runtime's additional groups with CLONE_NEWUSER.
	Users userns.Entry
	// Root becomes the hook's root directory, where it is not that of the mount
	// tree (chroot(2)).
	Root *os.File
	// Clone says how the hook's process comes into the container's cgroup; its
	// Flags must be zero. Nil leaves it in the runtime's.
	Clone *program.Options
	// Before prepends what the hook's process does before it joins, while nobody
	// in the namespaces can see it.
	Before func(*program.Assembler)
	// Confine appends what takes privileges away from the hook: a program that
	// comes out of the container's image must not have more of them than the
	// container's own process. It runs after all else; only execve(2) follows.
	Confine func(*program.Assembler)
}

// Run runs the hook with the state document as its input and waits for its end.
//
// A hook that ran and failed, was killed, or took too long, yields an *[Error]. One
// that could not be executed yields the errno of the call that failed.
func (r Runner) Run(h specs.Hook, state []byte) error {
	if err := r.run(h, state); err != nil {
		var own *Error
		if errors.As(err, &own) {
			return err
		}
		return fmt.Errorf("hook %s: %w", clean(h.Path), err)
	}
	return nil
}

// longest is the longest time limit that makes a difference, in seconds: 100 years.
// Beyond, arithmetic would overflow.
const longest = 100 * 365 * 24 * 3600

func (r Runner) run(h specs.Hook, state []byte) error {
	if !path.IsAbs(h.Path) {
		return errors.New("the path is not absolute")
	}
	var limit time.Duration
	if h.Timeout != nil {
		if *h.Timeout <= 0 {
			return fmt.Errorf("a timeout of %d s: it must be greater than zero", *h.Timeout)
		}
		limit = time.Duration(min(*h.Timeout, longest)) * time.Second
	}
	s, err := r.openStreams(state)
	if err != nil {
		return err
	}
	defer s.close()
	code, err := r.assemble(h, s)
	if err != nil {
		return err
	}
	opt := program.Options{CgroupFd: -1}
	if r.In != nil && r.In.Clone != nil {
		opt = *r.In.Clone
	}
	child, err := code.Launch(opt)
	if err != nil {
		return err
	}
	s.closeHooks()
	hook := &running{path: h.Path, child: child, streams: s, limit: limit, host: r.In == nil}
	return hook.wait(r.Interrupt)
}
