package terminal

import (
	"os"
	"os/signal"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Signals holds the signals sent to the runtime that are meant for the process
// it runs.
type Signals struct {
	c    chan os.Signal
	busy sync.WaitGroup // goroutines that still have signals to catch
	stop chan struct{}
	once sync.Once
}

// Catch begins to catch the signals that a person, a service manager or a
// closing terminal send to end a program: SIGHUP, SIGINT, SIGQUIT and SIGTERM.
// What arrives until Forward is kept, up to 128 signals.
//
// Every signal costs os/signal two switches of threads, about 15 µs, so Catch
// returns at once and [Signals.Wait] waits.
func Catch() *Signals {
	s := &Signals{c: make(chan os.Signal, 128), stop: make(chan struct{})}
	s.add([]os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM})
	return s
}

// CatchUsual begins to catch the signals that people and programs send to each other:
// SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP and SIGCONT.
//
// It returns at once. Until a signal is caught it does to the runtime what it
// would have done a moment earlier.
func (s *Signals) CatchUsual() { s.add(usual) }

var usual = []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTSTP, unix.SIGCONT}

// CatchRest begins to catch all others, which nobody sends to a program that has only
// just started, but for
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
//
// They take about 0.7 ms.
func (s *Signals) CatchRest() { s.add(rest()) }

// add catches signals on a goroutine.
func (s *Signals) add(list []os.Signal) {
	s.busy.Go(func() {
		// In small parts, because Notify holds a lock that Stop and another
		// Notify (that of a Session) wait for.
		for part := range slices.Chunk(list, 4) {
			select {
			case <-s.stop:
				return
			default:
				signal.Notify(s.c, part...)
			}
		}
	})
}

// rest returns the signals of CatchRest.
func rest() []os.Signal {
	list := make([]os.Signal, 0, 64)
	for n := unix.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG,
			unix.SIGTTIN, unix.SIGTTOU, unix.SIGPROF, unix.SIGWINCH, 32, 33, 34:
		case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
		default:
			if !slices.Contains(usual, os.Signal(n)) {
				list = append(list, n)
			}
		}
	}
	return list
}

// Wait returns when all signals that were asked for are caught.
func (s *Signals) Wait() { s.busy.Wait() }

// C gives the signals caught so far to a caller that does not forward them yet:
// during the creation of a container, a signal means to give up.
func (s *Signals) C() <-chan os.Signal { return s.c }

// Forward calls send for every signal caught before and from now on, in the
// order of arrival, on a goroutine of its own. It returns when all signals that
// were asked for are caught; so the process is to be set going after it. Errors are send's own
// business, and so is a signal after the end of the process, when there is
// nobody to send it to and the runtime should give up whatever it is doing.
func (s *Signals) Forward(send func(unix.Signal)) {
	s.Wait()
	go func() {
		for {
			select {
			case sig := <-s.c:
				send(sig.(unix.Signal))
			case <-s.stop:
				return
			}
		}
	}()
}

// Stop ends forwarding and gives all signals their former effect. It costs as
// much as catching them, so a runtime that is about to exit leaves it out.
func (s *Signals) Stop() {
	s.once.Do(func() {
		close(s.stop)
		s.Wait()
		signal.Stop(s.c)
	})
}
