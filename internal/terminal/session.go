// Package terminal is what a runtime does for a process in the foreground:
// it joins the caller's terminal to the process's pseudo terminal ([Proxy]), or
// hands the pseudo terminal over to somebody else ([SendFd]), passes signals on
// ([Catch]) and collects orphans ([SetSubreaper], [WaitReaping]).
//
// It takes open files and functions, and knows nothing of containers.
package terminal

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/oci-mini/oci-mini/internal/entry"
)

// DrainLimit is a sensible argument for [Session.Wait]: the kernel moves what
// a dead process wrote to the reading side within a scheduler tick or two, even
// under load.
const DrainLimit = 250 * time.Millisecond

// afterEnd bounds in bytes what is read of a pseudo terminal after the
// process's end. The kernel holds less than 64 KiB of it (drivers/tty/pty.c,
// tty_buffer_set_limit), so anything above was written later, by a survivor.
const afterEnd = 1 << 20

// reopen is how long an output side that every process has closed is left alone
// before it is tried again. Init systems close the console and open it later.
const reopen = 50 * time.Millisecond

// Session joins a pseudo terminal to the caller's files. It is safe for
// concurrent use.
//
// Both directions are transparent: no byte is changed on the way. The one
// exception is the end of an input that is not a terminal, which is turned into
// the end-of-file character if the process's terminal understands one.
type Session struct {
	master, in, out       *os.File
	masterFd, inFd, outFd int

	tty   int         // the caller's terminal, source of the size; or -1
	raw   bool        // tty is in and in raw mode
	saved *term.State // its state before

	phase atomic.Int32 // running, ended, closed
	limit atomic.Int64 // idle time in nanoseconds, valid in phase ended
	wake  int          // eventfd: readable for ever once the phase is not running
	refs  atomic.Int32 // users of masterFd and wake

	winch   chan os.Signal
	done    chan struct{} // closed with the session
	drained chan struct{} // closed when nothing more comes out
	err     error         // why writing to out failed; read after drained

	shut, restore sync.Once
	restoreErr    error
}

const (
	running = iota
	ended
	closed
)

// Proxy starts to copy between master, the master side of a pseudo terminal,
// and the caller's files in and out, and takes over master. in and out stay the
// caller's, who must leave them alone and open until Wait has returned.
//
// If in is a terminal it is put into raw mode, until Close. If in, or else out,
// is one, its window size is copied now and at every SIGWINCH; a size of zero
// is not. If out is none, lines end in a newline alone. Copying begins at once: the other side of master should be open in the
// process by now.
//
// The caller must Close the session on every way out. Nothing but that
// restores the terminal.
func Proxy(master, in, out *os.File) (*Session, error) {
	s := &Session{
		master: master, in: in, out: out,
		tty:     -1,
		winch:   make(chan os.Signal, 1),
		done:    make(chan struct{}),
		drained: make(chan struct{}),
	}
	for _, f := range []struct {
		file *os.File
		fd   *int
	}{{master, &s.masterFd}, {in, &s.inFd}, {out, &s.outFd}} {
		fd, err := rawFd(f.file)
		if err != nil {
			return nil, err
		}
		*f.fd = fd
	}
	// Only the runtime has this open file description: the process's side
	// is another one. in and out may be shared with anybody and keep their mode.
	if err := unix.SetNonblock(s.masterFd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	s.wake = wake
	switch {
	case term.IsTerminal(s.inFd):
		s.tty = s.inFd
		if s.saved, err = term.MakeRaw(s.inFd); err != nil {
			unix.Close(wake)
			return nil, fmt.Errorf("raw mode of %s: %w", in.Name(), os.NewSyscallError("ioctl TCSETS", err))
		}
		s.raw = true
	case term.IsTerminal(s.outFd):
		s.tty = s.outFd
	}
	s.refs.Store(3) // this session, copyOut, copyIn
	if s.tty >= 0 {
		s.refs.Add(1)
		// Before the size is read, so that no change falls between.
		signal.Notify(s.winch, unix.SIGWINCH)
		s.resize()
		go s.followSize()
	}
	entry.AddProcessors(2)
	go s.copyOut()
	go s.copyIn()
	return s, nil
}

// SuitNewlines stops the pty from sending a carriage return before each newline, unless
// out is a terminal, which needs it: in a file or pipe it is a character too many. It
// is to be called before the process can write.
func SuitNewlines(master, out *os.File) error {
	fd, err := rawFd(out)
	if err != nil || term.IsTerminal(fd) {
		return err
	}
	if fd, err = rawFd(master); err != nil {
		return err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("ioctl TCGETS", err)
	}
	t.Oflag &^= unix.ONLCR
	return os.NewSyscallError("ioctl TCSETS", unix.IoctlSetTermios(fd, unix.TCSETS, t))
}

// rawFd returns the descriptor of f without f.Fd's side effect on its mode.
func rawFd(f *os.File) (fd int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	if e := c.Control(func(n uintptr) { fd = int(n) }); e != nil {
		return -1, e
	}
	return fd, nil
}

// Wait is called after the process has ended. It returns when everything that
// the process wrote has been written to out: at the end of the pseudo terminal
// or, if another process still holds it open, when nothing came for limit. Time
// in which out does not take the output is not counted; a pager may keep it
// waiting for ever, so the caller must be able to die of a signal.
//
// The error is that of the first failed write to out, after which the pseudo
// terminal is hung up.
func (s *Session) Wait(limit time.Duration) error {
	s.limit.Store(int64(limit))
	if s.phase.CompareAndSwap(running, ended) {
		s.notify()
	}
	<-s.drained
	return s.err
}

// Close ends copying, gives the caller's terminal its former state back, and
// closes the pseudo terminal, which hangs it up for who still has it open. It
// does not wait for output; Wait does. Only the first call does anything; all
// return the same error, that of the terminal.
//
// A terminal that has been given to another process group since is left to that
// group: setting it would stop the runtime (SIGTTOU, tcsetattr(3)).
func (s *Session) Close() error {
	s.hangUp()
	s.restore.Do(func() {
		if !s.raw {
			return
		}
		group, err := unix.IoctlGetInt(s.tty, unix.TIOCGPGRP)
		if err == nil && group != unix.Getpgrp() {
			return
		}
		if err := term.Restore(s.tty, s.saved); err != nil {
			s.restoreErr = fmt.Errorf("restoring %s: %w", s.in.Name(), os.NewSyscallError("ioctl TCSETS", err))
		}
	})
	return s.restoreErr
}

// hangUp ends all copying. master is closed when the last user is done.
func (s *Session) hangUp() {
	s.shut.Do(func() {
		s.phase.Store(closed)
		s.notify()
		signal.Stop(s.winch)
		close(s.done)
		s.release()
	})
}

func (s *Session) release() {
	if s.refs.Add(-1) == 0 {
		s.master.Close()
		unix.Close(s.wake)
	}
}

func (s *Session) notify() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // any number but 0, in either byte order
	unix.Write(s.wake, one[:])
}

// followSize copies the window size whenever it changes.
func (s *Session) followSize() {
	defer s.release()
	for {
		select {
		case <-s.winch:
			s.resize()
		case <-s.done:
			return
		}
	}
}

// resize copies the window size. A failure means that one of the two terminals
// is gone, which the copying notices.
func (s *Session) resize() {
	size, err := unix.IoctlGetWinsize(s.tty, unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return
	}
	unix.IoctlSetWinsize(s.masterFd, unix.TIOCSWINSZ, size)
}
