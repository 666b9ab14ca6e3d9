package hooks

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/program"
)

const (
	// killGrace is how long a killed hook may take to die: a process in an
	// uninterruptible call is left to its fate.
	killGrace = 2 * time.Second
	// pipeSize is more than a pipe holds unless somebody enlarged it (pipe(7)). It
	// bounds what is read after the hook's end, while others may go on writing.
	pipeSize = 64 << 10
)

// running is a hook between its launch and its end.
type running struct {
	path    string
	child   *program.Child
	streams *streams
	limit   time.Duration // zero for none

	host bool // in the runtime's namespaces

	deadline time.Time // if there is a limit
	killed   bool      // by us
	signal   os.Signal // that made us kill it, nil if it was the limit
}

// wait waits for the hook's end and says what became of it.
func (h *running) wait(interrupt <-chan os.Signal) error {
	defer h.child.Release()
	stop := func() {}
	if h.limit > 0 || interrupt != nil {
		stop = h.watch(interrupt)
	}
	_, err := h.child.Next()
	if err != nil {
		stop()
		if !h.killed {
			return h.notExecuted(err)
		}
		return h.end()
	}
	err = h.follow()
	stop()
	if err != nil {
		// It is not known to be dead, and must not go on behind a reported failure.
		_ = h.child.Kill()
		h.killed = true
	}
	if h.killed {
		// The first process is a zombie, or too busy to become one: in either case the
		// number of its group is still its own.
		_ = unix.Kill(-h.child.Pid, unix.SIGKILL)
	}
	if err != nil {
		return err
	}
	return h.end()
}

// watch kills the hook, whatever it is at, when its time is over or a signal
// arrives. It writes to h until the function that it returns has returned.
func (h *running) watch(interrupt <-chan os.Signal) (stop func()) {
	var over <-chan time.Time
	if h.limit > 0 {
		h.deadline = time.Now().Add(h.limit)
		over = time.After(h.limit)
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
			return
		case <-over:
		case h.signal = <-interrupt:
		}
		h.killed = true
		// Again, because a program may just have forked, and its first process alone died.
		for {
			_ = h.child.Kill()
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// follow feeds the hook and reads from it until its first process has ended.
func (h *running) follow() error {
	s := h.streams
	for {
		fds := []unix.PollFd{
			{Fd: int32(h.child.Pidfd), Events: unix.POLLIN},
			{Fd: int32(s.state), Events: unix.POLLOUT}, // negative ones are passed over
			{Fd: int32(s.errs), Events: unix.POLLIN},
		}
		var patience *unix.Timespec
		if h.limit > 0 {
			ts := unix.NsecToTimespec(int64(max(time.Until(h.deadline)+killGrace, 0)))
			patience = &ts
		}
		n, err := unix.Ppoll(fds, patience, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("ppoll", err)
		case n == 0:
			return nil // killed, and not dead yet
		}
		if fds[1].Revents != 0 {
			if err := s.write(); err != nil {
				return err
			}
		}
		if fds[0].Revents != 0 {
			return nil
		}
		if fds[2].Revents != 0 {
			if err := s.read(pipeSize); err != nil {
				return err
			}
		}
	}
}

// end takes the hook off the process table and says how it ended.
func (h *running) end() error {
	var status unix.WaitStatus
	for {
		// It has ended, unless it was killed and can't be for now.
		_, err := unix.Wait4(h.child.Pid, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		break
	}
	e := &Error{Path: h.path}
	switch {
	case h.killed && h.signal != nil:
		e.Interrupt = h.signal
	case h.killed:
		e.Timeout = h.limit
	case status.Signaled():
		e.Signal = status.Signal()
	case status.ExitStatus() != 0:
		e.Status = status.ExitStatus()
	default:
		return nil
	}
	if err := h.streams.read(pipeSize); err != nil {
		return err
	}
	e.Stderr = h.streams.tail.String()
	return e
}

// notExecuted is the failure of a program that did not come to its execve. Its own
// words are those of a container's first process.
func (h *running) notExecuted(err error) error {
	_ = h.child.Kill()
	_, _ = h.child.Reap()
	var f *program.Failure
	switch {
	case !errors.As(err, &f):
		return err
	case f.Killed && f.BySignal:
		return &Error{Path: h.path, Signal: unix.Signal(f.Status)}
	case h.host && f.Nr == unix.SYS_EXECVE && f.Errno == unix.ENOENT:
		return missing(h.path, f)
	}
	return f
}
