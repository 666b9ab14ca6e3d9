package terminal

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/oci-mini/oci-mini/internal/entry"
	"github.com/oci-mini/oci-mini/internal/footprint"
)

// Signals holds the signals sent to the runtime that are meant for the process
// it runs.
//
// Their handler writes a signal's number into a pipe. Package os/signal would have each
// signal pass through a thread of its own already when it is to be caught: half a
// millisecond, where an rt_sigaction takes a thousandth of that.
type Signals struct {
	reading, writing int // the pipe's ends
	caught           []caught
	begin, end       sync.Once
	forward          sync.Once
	c                chan os.Signal
	stop             chan struct{}
}

// caught is a signal that is caught, and what it did before.
type caught struct {
	sig    unix.Signal
	before action
}

// ending are the signals that a person, a service manager or a closing terminal send to
// end a program.
var ending = []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}

// Catch catches SIGHUP, SIGINT, SIGQUIT and SIGTERM. What arrives until Forward or Wait is kept,
// up to the size of a pipe.
func Catch() (*Signals, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	s := &Signals{reading: ends[0], writing: ends[1], stop: make(chan struct{})}
	if err := s.add(ending); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// CatchRest catches all other signals, but for
//
//   - SIGKILL and SIGSTOP, which cannot be caught;
//   - SIGCHLD and SIGPIPE, which tell of the runtime's own children and files,
//     and SIGURG, with which the Go scheduler interrupts threads;
//   - SIGTTIN and SIGTTOU, which stop a runtime that uses the terminal from the
//     background. Caught, they would be raised again at once, without end, as
//     the kernel restarts the read or ioctl that they interrupt;
//   - SIGPROF, which the Go runtime keeps for its profiler;
//   - SIGWINCH, which is about the caller's terminal: a [Session] handles it;
//   - 32 to 34, which are left to C libraries.
func (s *Signals) CatchRest() error { return s.add(rest()) }

// add catches signals.
func (s *Signals) add(list []unix.Signal) error {
	own, err := golangs()
	if err != nil {
		return err
	}
	s.caught = slices.Grow(s.caught, len(list))
	for _, sig := range list {
		before, err := install(sig, s.writing, own)
		if err != nil {
			return fmt.Errorf("signal %d: %w", sig, err)
		}
		s.caught = append(s.caught, caught{sig, before})
	}
	return nil
}

// rest returns the signals of CatchRest.
func rest() []unix.Signal {
	list := make([]unix.Signal, 0, 64)
	for n := unix.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG,
			unix.SIGTTIN, unix.SIGTTOU, unix.SIGPROF, unix.SIGWINCH, 32, 33, 34:
		default:
			if !slices.Contains(ending, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// Next returns a signal that has come, or 0: during the creation of a container, one means
// to give up.
func (s *Signals) Next() unix.Signal {
	if s.c == nil {
		return s.take()
	}
	select {
	case sig := <-s.c:
		return sig.(unix.Signal)
	default:
		return 0
	}
}

// take takes a signal out of the pipe.
func (s *Signals) take() unix.Signal {
	var number [1]byte
	if n, _ := unix.Read(s.reading, number[:]); n != 1 {
		return 0
	}
	return unix.Signal(number[0])
}

// C gives signals as they come to a caller that does not forward them yet. They pass
// through a goroutine.
func (s *Signals) C() <-chan os.Signal {
	s.begin.Do(func() {
		s.c = make(chan os.Signal, 128)
		entry.AddProcessors(1)
		go s.read()
	})
	return s.c
}

// read moves signals from the pipe to the channel.
func (s *Signals) read() {
	poll := []unix.PollFd{{Fd: int32(s.reading), Events: unix.POLLIN}}
	for {
		_, _ = unix.Poll(poll, -1)
		for sig := s.take(); sig != 0; sig = s.take() {
			select {
			case s.c <- sig:
			case <-s.stop:
				return
			}
		}
	}
}

// Forward calls send for every signal caught before and from now on, in the order of arrival,
// on a goroutine of its own. Errors are send's own business, and so is a signal after the
// end of the process, when there is nobody to send it to and the runtime should give up
// whatever it is doing. Only the first call does anything.
func (s *Signals) Forward(send func(unix.Signal)) {
	c := s.C()
	s.forward.Do(func() {
		go func() {
			for {
				select {
				case sig := <-c:
					send(sig.(unix.Signal))
				case <-s.stop:
					return
				}
			}
		}()
	})
}

// long is after how long without a signal a process is one that lives for long, in
// milliseconds: memory is given back then.
const long = 1000

// Wait waits for the child pid to end and returns its status, as [WaitReaping] does, and
// meanwhile forwards signals.
//
// That is done by the calling goroutine, unless the signals pass through others already: each
// one that waits in a system call takes a thread, and the memory of one.
func (s *Signals) Wait(pid int, send func(unix.Signal)) (unix.WaitStatus, error) {
	if s.c != nil {
		s.Forward(send)
		return WaitReaping(pid)
	}
	if err := s.add([]unix.Signal{unix.SIGCHLD}); err != nil {
		return 0, err
	}
	poll := []unix.PollFd{{Fd: int32(s.reading), Events: unix.POLLIN}}
	timeout := long
	for {
		// Each time and not at a SIGCHLD alone, which a full pipe has no room for.
		status, ended, err := reap(pid, unix.WNOHANG)
		if ended || err != nil {
			return status, err
		}
		if n, err := unix.Poll(poll, timeout); n == 0 && err == nil {
			_ = footprint.DropFiles() // a process that lives for long; it only costs memory if this fails
			timeout = -1
		}
		for sig := s.take(); sig != 0; sig = s.take() {
			if sig != unix.SIGCHLD {
				send(sig)
			}
		}
	}
}

// Stop ends forwarding and gives all signals their former effect. The pipe stays: a
// handler may be about to write.
func (s *Signals) Stop() {
	s.end.Do(func() {
		close(s.stop)
		for _, c := range s.caught {
			restore(c.sig, c.before)
		}
	})
}
