package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/terminal"
)

var runCommand = &cli.Command{
	Name:      "run",
	Usage:     "create and start a container, and wait for it",
	ArgsUsage: "BUNDLE/ [ID] | ID",
	Flags: append([]cli.Flag{
		&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return as soon as the process runs"},
		&cli.BoolFlag{Name: "keep", Usage: "keep the container after its end, until delete"},
		&cli.BoolFlag{Name: "no-subreaper", Usage: "leave orphans of the container to others"},
	}, birthFlags...),
	Action: func(c *cli.Context) error {
		r, err := requestOf(c)
		if err != nil {
			return failed(c, "", err)
		}
		r.detach = c.Bool("detach")
		if r.detach {
			made, err := r.create()
			if err != nil {
				return failed(c, r.id, err)
			}
			return failed(c, r.id, made.finish(r))
		}
		return failed(c, r.id, r.foreground(c.Bool("keep"), !c.Bool("no-subreaper")))
	},
}

// foreground runs a container and stays until it ends. Its exit status becomes
// ours: that of the process, or 128 plus the number of the signal that killed it.
func (r *request) foreground(keep, subreaper bool) error {
	made, err := r.create()
	if err != nil {
		return err
	}
	if subreaper {
		if err := terminal.SetSubreaper(); err != nil {
			return withCleanup(err, made.undo.unwind())
		}
	}
	finished := false
	code, err := made.attend(func() error {
		err := made.finish(r)
		finished = err == nil
		return err
	}, len(hooksOf(made.spec, hookPoststart)) > 0 || r.pidfdSocket != "" || made.spec.Annotations[annotationPidfdReceiver] != "")
	if err != nil && !finished { // nothing is left, or is to be left
		return withCleanup(err, made.undo.unwind())
	}
	if code == 128+int(unix.SIGKILL) {
		made.tellOOM()
	}
	if !keep {
		err = errors.Join(err, remove(r.store, r.id, true, &made.dir.Record.Init))
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// tellOOM warns if the container ended for want of memory: its exit status is that of any kill.
func (m *made) tellOOM() {
	if m.cgroup == nil {
		return
	}
	if killed, err := m.cgroup.OOMKilled(); err != nil || !killed {
		return
	}
	text := "the kernel has killed a process of the container for want of memory"
	if l := m.spec.Linux; l != nil && l.Resources != nil && l.Resources.Memory != nil && l.Resources.Memory.Limit != nil {
		text += fmt.Sprintf(": /linux/resources/memory/limit is %d", *l.Resources.Memory.Limit)
	}
	sayWarning(false, text)
}

// attend stays with a process in the foreground until it ends: signals and the
// terminal are passed on. It returns the status that shells give the process's
// end: its exit code, or 128 plus the number of the signal that killed it. started
// is called once everything is in place; if that may take long, signals are passed on
// meanwhile too.
func (b *birth) attend(started func() error, long bool) (code int, err error) {
	// The signals go by pidfd: it stays with the process even when its pid does not.
	pidfd, err := unix.FcntlInt(uintptr(b.child.Pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	defer unix.Close(pidfd)
	send := func(sig unix.Signal) { _ = unix.PidfdSendSignal(pidfd, sig, nil, 0) }
	if long {
		b.signals.Forward(send)
	}

	var session *terminal.Session
	if b.master != nil {
		if session, err = terminal.Proxy(b.master, os.Stdin, os.Stdout); err != nil {
			return 0, err
		}
		defer session.Close()
	}
	pid := b.child.Pid
	if err := started(); err != nil {
		return 0, err
	}
	status, err := b.signals.Wait(pid, send)
	if err != nil {
		return 0, fmt.Errorf("wait for process %d: %w", pid, err)
	}
	if session != nil {
		err = errors.Join(session.Wait(terminal.DrainLimit), session.Close())
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), err
	}
	return status.ExitStatus(), err
}

// sendConsole hands the pty's master to whoever listens on the console socket.
func (b *birth) sendConsole() error {
	if b.opt.consoleSocket == "" {
		return nil
	}
	// The receiver expects a descriptor in blocking mode. os.File.Fd leaves the mode of
	// a file that was in the other when it was made.
	fd := int(b.master.Fd())
	err := os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
	if err == nil {
		if err = terminal.SendFd(b.opt.consoleSocket, fd, "/dev/pts/ptmx"); err != nil {
			err = fmt.Errorf("--console-socket: %w", err)
		}
	}
	err = errors.Join(err, b.master.Close())
	b.master = nil
	return err
}
